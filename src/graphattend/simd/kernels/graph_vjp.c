/* Gradients of attention over neighbour lists, from the saved weights. */
#include "graph.h"
#include "kernels.h"
#include "rows.h"

static void add_scaled(real *to, const real *from, real factor, isize n) {
    isize i = 0;
    for (; i + WIDE <= n; i += WIDE) STOREW(to + i, maddw(splatw(factor), LOADW(from + i), LOADW(to + i)));
    for (; i + LANES <= n; i += LANES) STOREV(to + i, maddv(splatv(factor), LOADV(from + i), LOADV(to + i)));
    for (; i < n; i++) to[i] += factor * from[i];
}

static void clear(const ByHead *by) {
    for (isize i = 0; i < by->nodes; i++)
        for (isize h = 0; h < by->heads; h++) fill(by->data + i * by->node_step + h * by->head_step, by->width, 0);
}

static real *at(const ByHead *by, isize node, isize head) { return by->data + node * by->node_step + head * by->head_step; }

/* As declared: graph_attend_vjp_q, ... */
enum { Q, K, V, GRAD, DQ, DK, DV, ARRAYS };

/* Rows of neighbours lie anywhere: ask for those of the edge after next. */
INL void fetch(const real *row, isize n) {
#ifndef __wasm__
    for (isize k = 0; k < n; k += 64 / (isize)sizeof(real)) __builtin_prefetch(row + k);
#else
    (void)row, (void)n;
#endif
}

/* One node and head: `ds` receives the gradients of the scores (before the scale). */
static void node_gradient(const ByHead *a, const Neighbors *n, const ByEdge *weights, isize i, isize h, real scale, real *ds) {
    isize first = (isize)n->start[i], degree = (isize)n->start[i + 1] - first;
    const real *grad = at(&a[GRAD], i, h), *q = at(&a[Q], i, h);
    real *dq = at(&a[DQ], i, h), mean = 0;
    for (isize e = 0; e < degree; e++) {
        isize j = neighbor(n, first + e);
        if (first + e + 2 < n->edges) {
            isize next = neighbor(n, first + e + 2);
            fetch(at(&a[V], next, h), a[V].width), fetch(at(&a[DV], next, h), a[V].width);
        }
        real w = weights->data[(first + e) * weights->edge_step + h];
        ds[e] = dot(at(&a[V], j, h), grad, a[V].width);
        mean += w * ds[e];
        add_scaled(at(&a[DV], j, h), grad, w, a[V].width);
    }
    for (isize e = 0; e < degree; e++) {
        isize j = neighbor(n, first + e);
        if (e + 2 < degree) {
            isize next = neighbor(n, first + e + 2);
            fetch(at(&a[K], next, h), a[Q].width), fetch(at(&a[DK], next, h), a[Q].width);
        }
        ds[e] = weights->data[(first + e) * weights->edge_step + h] * (ds[e] - mean);
        add_scaled(dq, at(&a[K], j, h), ds[e] * scale, a[Q].width);
        add_scaled(at(&a[DK], j, h), q, ds[e] * scale, a[Q].width);
    }
}

Status KERNEL(graph_attend_vjp)(Call *call) {
    ByHead a[ARRAYS];
    for (int i = 0; i < ARRAYS; i++) a[i] = by_head(&call->array[i]);
    ByEdge weights = by_edge(&call->array[graph_attend_vjp_weights]), dbias = by_edge(&call->array[graph_attend_vjp_dbias]);
    Neighbors n;
    if (!get_neighbors(&call->array[graph_attend_vjp_indptr], &call->array[graph_attend_vjp_indices], a[Q].nodes, a[K].nodes, &n))
        return wrong(call, "graph_attend_vjp: indptr or indices do not fit");
    static const int like[ARRAYS] = {Q, Q, V, V, Q, Q, V}, nodes[ARRAYS] = {Q, K, K, Q, Q, K, K};
    int fits = edges_fit(&weights, n.edges, a[Q].heads) && edges_fit(&dbias, n.edges, a[Q].heads);
    for (int i = 0; i < ARRAYS; i++)
        fits = fits && a[i].heads == a[Q].heads && a[i].width == a[like[i]].width && a[i].nodes == a[nodes[i]].nodes;
    if (!fits) return wrong(call, "graph_attend_vjp: shapes differ");
    real scale = (real)call->number[graph_attend_vjp_scale], *ds = workspace_get((usize)(n.longest + 1) * sizeof(real));
    if (!ds) return NO_MEMORY;
    void *state = work_begin((double)n.edges * (double)a[Q].heads * (double)(a[Q].width + a[V].width));
    for (int i = DQ; i <= DV; i++) clear(&a[i]);
    for (isize i = 0; i < a[Q].nodes; i++)
        for (isize h = 0; h < a[Q].heads; h++) {
            node_gradient(a, &n, &weights, i, h, scale, ds);
            if (!dbias.data) continue;
            isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
            for (isize e = 0; e < degree; e++) dbias.data[(first + e) * dbias.edge_step + h] = ds[e];
        }
    work_end(state);
    workspace_free(ds);
    return DONE;
}
