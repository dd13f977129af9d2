/* A whole graph attention layer in one call: projection, scores, LeakyReLU, softmax per neighbour
 * list, weighted sum. Velickovic, Cucurull, Casanova, Romero, Lio, Bengio: Graph Attention
 * Networks, arXiv:1710.10903, equations 1 to 5.
 *
 * With h = x W: score(i, j, head) = LeakyReLU(a_query . h_i + a_key . h_j + what the edge adds);
 * the heads of an edge lie side by side, so they fill the lanes. */
#include "gemm.h"
#include "graph.h"
#include "kernels.h"
#include "rows.h"

typedef struct {
    const Array *x, *w, *a_query, *a_key;
    real *hidden;
    ByHead out;
    ByEdge added, weights, gain;
    Neighbors n;
    isize nodes, d, heads, width;
    real slope;
} Layer;

/* (H, D, E) as one matrix (D, H E), so that all heads are one product. */
static void join_heads(const Layer *l, real *joined) {
    isize columns = l->heads * l->width;
    for (isize h = 0; h < l->heads; h++)
        for (isize k = 0; k < l->d; k++) {
            const real *from =
                (const real *)(l->w->data + h * l->w->strides[0] + k * l->w->strides[1]);
            real *to = joined + k * columns + h * l->width;
            for (isize j = 0; j < l->width; j++) to[j] = from[j];
        }
}

/* to[node * lanes + h] = a[h] . hidden[node][h] for every node; the lanes beyond the last head stay
 * 0. */
static void node_scores(const Layer *l, const Array *a, isize lanes, real *to) {
    isize columns = l->heads * l->width;
    const real *hidden = l->hidden;
    for (isize i = 0; i < l->nodes; i++) {
        fill(to + i * lanes, lanes, 0);
        for (isize h = 0; h < l->heads; h++)
            to[i * lanes + h] = dot(hidden + i * columns + h * l->width,
                                    (const real *)(a->data + h * a->strides[0]), l->width);
    }
}

/* Unnormalised weights of one node's edges, heads side by side, and their inverse sums. */
static void edge_weights(const Layer *l, isize first, isize degree, isize lanes, const real *query,
                         const real *key, real *weights, real *inverse) {
    v4 slope = splat(l->slope);
    for (isize h = 0; h < lanes; h += 4)
        for (isize e = 0; e < degree; e++) {
            v4 s = LOAD(query + h) + LOAD(key + neighbor(&l->n, first + e) * lanes + h);
            if (l->added.data)
                s += load_heads(l->added.data + (first + e) * l->added.edge_step + h, l->heads - h);
            STORE(weights + e * lanes + h, select((m4)(s < splat(0)), s * slope, s));
        }
    softmax_heads(weights, degree, lanes, inverse);
}

/* out = (or +=, where there is a gain) the sums of the neighbours' rows, factor[head] times. */
static void weighted_sum(const Layer *l, isize first, isize degree, isize lanes,
                         const real *weights, const real *factor, real *out) {
    isize columns = l->heads * l->width;
    int add = FULL && l->gain.data;
    ByHead rows = {l->hidden, l->nodes, l->heads, l->width, columns, l->width};
    if (l->width % 4 == 0) {
        edge_sum_heads(&l->n, &rows, first, degree, weights, lanes, factor, add, out,
                       l->out.head_step);
        return;
    }
    for (isize h = 0; h < l->heads; h++) {
        real *to = out + h * l->out.head_step;
        if (!add) fill(to, l->width, 0);
        for (isize e = 0; e < degree; e++) {
            const real *row = row_at(&rows, neighbor(&l->n, first + e), h);
            real w = weights[e * lanes + h] * factor[h];
            add_rows(1, &row, &w, l->width, to);
        }
    }
}

static isize layer_workspace(const Layer *l, isize lanes) {
    isize columns = l->heads * l->width;
    isize product = l->d * columns + multiply_workspace(columns, l->d);
    return max_size(product, 2 * l->nodes * lanes + (l->n.longest + 1) * lanes);
}

static real run(const Layer *l, isize lanes, real *workspace) {
    isize columns = l->heads * l->width;
    join_heads(l, workspace);
    multiply(l->nodes, columns, l->d, (const real *)l->x->data, step(l->x, 2), workspace, columns,
             l->hidden, columns, PLAIN, workspace + l->d * columns);
    real bad = note_row(l->hidden, l->nodes * columns);
    real *query = workspace, *key = query + l->nodes * lanes, *weights = key + l->nodes * lanes;
    real *inverse = weights + l->n.longest * lanes;
    node_scores(l, l->a_query, lanes, query);
    node_scores(l, l->a_key, lanes, key);
    for (isize i = 0; i < l->nodes; i++) {
        isize first = (isize)l->n.start[i], degree = (isize)l->n.start[i + 1] - first;
        real share = FULL && l->gain.data ? l->gain.data[i * l->gain.edge_step] : 1;
        if (share == 0 && !l->weights.data) continue;
        edge_weights(l, first, degree, lanes, query + i * lanes, key, weights, inverse);
        if (l->weights.data)
            for (isize e = 0; e < degree; e++)
                for (isize h = 0; h < l->heads; h++)
                    l->weights.data[(first + e) * l->weights.edge_step + h] =
                        weights[e * lanes + h] * inverse[h];
        if (FULL && l->gain.data) scale_row(inverse, lanes, share);
        weighted_sum(l, first, degree, lanes, weights, inverse, l->out.data + i * l->out.node_step);
    }
    return bad;
}

static int is_matrix(const Array *a, isize rows, isize columns) {
    return a->shape[0] == rows && a->shape[1] == columns;
}

Status KERNEL(gat)(Call *call) {
    const Array *a = call->array, *x = &a[gat_x], *w = &a[gat_w], *hidden = &a[gat_hidden];
    if (!hidden->contiguous || (!FULL && given(&a[gat_gain]))) return DECLINED;
    Layer l = {.x = x,
               .w = w,
               .a_query = &a[gat_a_query],
               .a_key = &a[gat_a_key],
               .hidden = (real *)hidden->data,
               .out = by_head(&a[gat_out]),
               .added = by_edge(&a[gat_added]),
               .weights = by_edge(&a[gat_weights]),
               .gain = by_edge(&a[gat_gain]),
               .nodes = x->shape[0],
               .d = x->shape[1],
               .heads = w->shape[0],
               .width = w->shape[2],
               .slope = (real)call->number[gat_slope]};
    if (!get_neighbors(&a[gat_indptr], &a[gat_indices], l.nodes, l.nodes, &l.n))
        return wrong(call, "gat: indptr or indices do not fit");
    if (!edges_fit(&l.added, l.n.edges, l.heads) || !edges_fit(&l.weights, l.n.edges, l.heads) ||
        (FULL && !edges_fit(&l.gain, l.nodes, 1)) || w->shape[1] != l.d ||
        !is_matrix(l.a_query, l.heads, l.width) || !is_matrix(l.a_key, l.heads, l.width) ||
        !is_matrix(hidden, l.nodes, l.heads * l.width) || l.out.nodes != l.nodes ||
        l.out.heads != l.heads || l.out.width != l.width)
        return wrong(call, "gat: shapes differ");
    isize lanes = round_up(l.heads, 4);
    real *workspace = workspace_get((usize)layer_workspace(&l, lanes) * sizeof(real));
    if (!workspace) return NO_MEMORY;
    void *state = work_begin(((double)l.nodes * (double)l.d + (double)l.n.edges) *
                             (double)(l.heads * l.width));
    real bad = run(&l, lanes, workspace);
    work_end(state);
    workspace_free(workspace);
    return finished(bad);
}
