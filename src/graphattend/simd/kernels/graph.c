/* Attention over the neighbour lists of a graph (CSR): row i of (indptr, indices) lists the nodes that i attends to. Keys and
 * values are read where they lie, several neighbours at a time; nothing is gathered into a copy. */
#include "graph.h"
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

int segments_valid(const long long *start, isize segments, isize edges) {
    if (segments < 0 || start[0] != 0 || start[segments] != (long long)edges) return 0;
    for (isize i = 0; i < segments; i++)
        if (start[i + 1] < start[i]) return 0;
    return 1;
}

int get_neighbors(const Array *indptr, const Array *indices, isize nodes, isize targets, Neighbors *n) {
    n->start = (const long long *)indptr->data;
    n->narrow = indices->kind == INT32 ? (const int *)indices->data : 0;
    n->wide = indices->kind == INT64 ? (const long long *)indices->data : 0;
    n->edges = indices->shape[0];
    n->longest = 0;
    if (indptr->shape[0] != nodes + 1 || !segments_valid(n->start, nodes, n->edges)) return 0;
    for (isize i = 0; i < nodes; i++) n->longest = max_size(n->longest, (isize)(n->start[i + 1] - n->start[i]));
    for (isize e = 0; e < n->edges; e++) {
        long long node = n->wide ? n->wide[e] : n->narrow[e]; /* before it is narrowed */
        if (node < 0 || node >= targets) return 0;
    }
    return 1;
}

enum { TOGETHER = 4 };

/* Scores of one node and head against its neighbours. */
static void edge_scores(const Neighbors *n, const ByHead *k, const real *q, isize head, isize first, isize count, real scale,
                        real *scores) {
    const real *rows[TOGETHER], *base = k->data + head * k->head_step;
    isize i = 0;
    for (; i + TOGETHER <= count; i += TOGETHER) {
        for (int r = 0; r < TOGETHER; r++) rows[r] = base + neighbor(n, first + i + r) * k->node_step;
        dots(TOGETHER, rows, q, k->width, scores + i);
    }
    for (; i < count; i++) {
        rows[0] = base + neighbor(n, first + i) * k->node_step;
        dots(1, rows, q, k->width, scores + i);
    }
    scale_row(scores, count, scale);
}

static void edge_sum(const Neighbors *n, const ByHead *v, isize head, isize first, isize count, const real *weights, real *out) {
    const real *rows[TOGETHER], *base = v->data + head * v->head_step;
    fill(out, v->width, 0);
    isize i = 0;
    for (; i + TOGETHER <= count; i += TOGETHER) {
        for (int r = 0; r < TOGETHER; r++) rows[r] = base + neighbor(n, first + i + r) * v->node_step;
        add_rows(TOGETHER, rows, weights + i, v->width, out);
    }
    for (; i < count; i++) {
        rows[0] = base + neighbor(n, first + i) * v->node_step;
        add_rows(1, rows, weights + i, v->width, out);
    }
}

Status KERNEL(graph_attend)(Call *call) {
    const Array *a = call->array;
    ByHead q = by_head(&a[graph_attend_q]), k = by_head(&a[graph_attend_k]), v = by_head(&a[graph_attend_v]);
    ByHead out = by_head(&a[graph_attend_out]);
    ByEdge bias = by_edge(&a[graph_attend_bias]), weights = by_edge(&a[graph_attend_weights]);
    Neighbors n;
    if (!get_neighbors(&a[graph_attend_indptr], &a[graph_attend_indices], q.nodes, k.nodes, &n))
        return wrong(call, "graph_attend: indptr or indices do not fit");
    if (!edges_fit(&bias, n.edges, q.heads) || !edges_fit(&weights, n.edges, q.heads) || k.nodes != v.nodes || out.nodes != q.nodes ||
        k.heads != q.heads || v.heads != q.heads || out.heads != q.heads || k.width != q.width || out.width != v.width)
        return wrong(call, "graph_attend: shapes differ");
    real scale = (real)call->number[graph_attend_scale], bad = 0;
    real *scores = workspace_get((usize)(n.longest + 1) * sizeof(real));
    if (!scores) return NO_MEMORY;
    void *state = work_begin((double)n.edges * (double)q.heads * (double)(q.width + v.width));
    for (isize i = 0; i < q.nodes; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        for (isize h = 0; h < q.heads; h++) {
            real *to = out.data + i * out.node_step + h * out.head_step;
            edge_scores(&n, &k, q.data + i * q.node_step + h * q.head_step, h, first, degree, scale, scores);
            bad += note_row(scores, degree);
            if (bias.data)
                for (isize e = 0; e < degree; e++) scores[e] += bias.data[(first + e) * bias.edge_step + h];
            real total = exp_and_sum(scores, scores, degree, safe_peak(row_max(scores, degree)));
            scale_row(scores, degree, total == 0 ? 0 : 1 / total);
            edge_sum(&n, &v, h, first, degree, scores, to);
            bad += note_row(to, v.width);
            if (weights.data)
                for (isize e = 0; e < degree; e++) weights.data[(first + e) * weights.edge_step + h] = scores[e];
        }
    }
    work_end(state);
    workspace_free(scores);
    return finished(bad);
}
