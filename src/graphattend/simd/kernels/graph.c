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

int get_neighbors(PyObject *indptr, PyObject *indices, isize nodes, isize targets, Neighbors *neighbors, int *valid) {
    Array *start = &neighbors->indptr, *index = &neighbors->indices;
    Kind kind = array_kind(indices);
    *valid = 1;
    if (kind != INT64 && kind != INT32) return 0;
    if (!get_array(indptr, INT64, 1, start) || !get_array(indices, kind, 1, index) || start->ndim != 1 || index->ndim != 1) return 0;
    neighbors->start = (const long long *)start->data;
    neighbors->narrow = kind == INT32 ? (const int *)index->data : 0;
    neighbors->wide = kind == INT64 ? (const long long *)index->data : 0;
    neighbors->edges = index->shape[0];
    *valid = start->shape[0] == nodes + 1 && segments_valid(neighbors->start, nodes, neighbors->edges);
    if (!*valid) return 1;
    neighbors->longest = 0;
    for (isize i = 0; i < nodes; i++)
        neighbors->longest = max_size(neighbors->longest, (isize)(neighbors->start[i + 1] - neighbors->start[i]));
    for (isize e = 0; e < neighbors->edges; e++) {
        long long node = neighbors->wide ? neighbors->wide[e] : neighbors->narrow[e]; /* before it is narrowed */
        if (node < 0 || node >= targets) *valid = 0;
    }
    return 1;
}

int get_by_head(PyObject *object, int output, ByHead *by) {
    Array *a = &by->array;
    if (output ? !get_output(object, FLOAT32, 2, a) : !get_array(object, FLOAT32, 2, a)) return 0;
    if (a->ndim > 3) return 0;
    by->data = (float *)a->data;
    by->nodes = a->shape[0];
    by->width = len(a, 1);
    by->heads = a->ndim == 3 ? a->shape[1] : 1;
    by->node_step = a->strides[0] / 4;
    by->head_step = a->ndim == 3 ? a->strides[1] / 4 : 0;
    return 1;
}

int get_by_edge(PyObject *object, int output, isize edges, isize heads, ByEdge *by, int *valid) {
    Array *a = &by->array;
    *valid = 1;
    by->data = 0;
    if (is_none(object)) return 1;
    if (output ? !get_output(object, FLOAT32, 1, a) : !get_array(object, FLOAT32, 1, a)) return 0;
    if (a->ndim > 2) return 0;
    *valid = a->shape[0] == edges && (a->ndim == 2 ? a->shape[1] : 1) == heads;
    by->data = (float *)a->data;
    by->edge_step = a->strides[0] / 4;
    return 1;
}

enum { TOGETHER = 4 };

/* Scores of one node and head against its neighbours. */
static void edge_scores(const Neighbors *n, const ByHead *k, const float *q, isize head, isize first, isize count, float scale,
                        float *scores) {
    const float *rows[TOGETHER], *base = k->data + head * k->head_step;
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

static void edge_sum(const Neighbors *n, const ByHead *v, isize head, isize first, isize count, const float *weights, float *out) {
    const float *rows[TOGETHER], *base = v->data + head * v->head_step;
    fill(out, v->width, 0.f);
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

/* graph_attend(q (M, [H,] D), k (V, [H,] D), v (V, [H,] E), indptr (M+1,), indices (K,), bias (K, [H]) or None, out (M, [H,] E),
 * weights (K, [H]) or None, scale) -> True if what was read is finite, else False; or None. `bias` is added to the scores. */
PyObject *kernel_graph_attend(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 9) return wrong_count();
    int ok = 1, valid, bias_valid, weights_valid;
    float scale = get_float(args[8], &ok);
    if (!ok) return 0;
    ByHead q, k, v, out;
    ByEdge bias, weights;
    Neighbors n;
    if (!get_by_head(args[0], 0, &q) || !get_by_head(args[1], 0, &k) || !get_by_head(args[2], 0, &v) ||
        !get_by_head(args[6], 1, &out) || !get_neighbors(args[3], args[4], q.nodes, k.nodes, &n, &valid) ||
        !get_by_edge(args[5], 0, n.edges, q.heads, &bias, &bias_valid) ||
        !get_by_edge(args[7], 1, n.edges, q.heads, &weights, &weights_valid))
        return declined();
    if (!valid) return wrong_value("graph_attend: indptr or indices do not fit");
    if (!bias_valid || !weights_valid || k.nodes != v.nodes || out.nodes != q.nodes || k.heads != q.heads || v.heads != q.heads ||
        out.heads != q.heads || k.width != q.width || out.width != v.width)
        return wrong_value("graph_attend: shapes differ");
    const Array *inputs[] = {&q.array, &k.array, &v.array, &n.indptr, &n.indices, bias.data ? &bias.array : 0};
    for (int i = 0; i < 6; i++) {
        if (!inputs[i]) continue;
        if (!disjoint(inputs[i], &out.array) || (weights.data && !disjoint(inputs[i], &weights.array))) return declined();
    }
    if (weights.data && !disjoint(&weights.array, &out.array)) return declined();

    Workspace workspace;
    if (!workspace_get(&workspace, n.longest + 1)) return 0;
    float *scores = workspace.floats;
    f4 bad = splat(0.f);
    void *python = release_python((double)n.edges * (double)q.heads * (double)(q.width + v.width));
    for (isize i = 0; i < q.nodes; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        for (isize h = 0; h < q.heads; h++) {
            float *to = out.data + i * out.node_step + h * out.head_step;
            edge_scores(&n, &k, q.data + i * q.node_step + h * q.head_step, h, first, degree, scale, scores);
            bad = note_row(bad, scores, degree);
            if (bias.data)
                for (isize e = 0; e < degree; e++) scores[e] += bias.data[(first + e) * bias.edge_step + h];
            float total = exp_and_sum(scores, scores, degree, safe_peak(row_max(scores, degree)));
            scale_row(scores, degree, total == 0.f ? 0.f : 1.f / total);
            edge_sum(&n, &v, h, first, degree, scores, to);
            bad = note_row(bad, to, v.width);
            if (weights.data)
                for (isize e = 0; e < degree; e++) weights.data[(first + e) * weights.edge_step + h] = scores[e];
        }
    }
    regain_python(python);
    workspace_free(&workspace);
    return boolean(!is_bad(bad));
}
