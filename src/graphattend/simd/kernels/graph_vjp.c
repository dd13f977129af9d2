/* Gradients of attention over neighbour lists, from the saved weights. */
#include "graph.h"
#include "kernels.h"
#include "rows.h"

static void add_scaled(float *to, const float *from, float factor, isize n) {
    isize i = 0;
    for (; i + WIDE <= n; i += WIDE) STOREW(to + i, maddw(splatw(factor), LOADW(from + i), LOADW(to + i)));
    for (; i + 4 <= n; i += 4) STORE(to + i, madd(splat(factor), LOAD(from + i), LOAD(to + i)));
    for (; i < n; i++) to[i] += factor * from[i];
}

static void clear(const ByHead *by) {
    for (isize i = 0; i < by->nodes; i++)
        for (isize h = 0; h < by->heads; h++) fill(by->data + i * by->node_step + h * by->head_step, by->width, 0.f);
}

static float *at(const ByHead *by, isize node, isize head) { return by->data + node * by->node_step + head * by->head_step; }

enum { Q, K, V, GRAD, DQ, DK, DV, ARRAYS };

/* Rows of neighbours lie anywhere: ask for those of the edge after next. */
INL void fetch(const float *row, isize n) {
#ifndef __wasm__
    for (isize k = 0; k < n; k += 16) __builtin_prefetch(row + k);
#else
    (void)row, (void)n;
#endif
}

/* One node and head: `ds` receives the gradients of the scores (before the scale). */
static void node_gradient(const ByHead *a, const Neighbors *n, const ByEdge *weights, isize i, isize h, float scale, float *ds) {
    isize first = (isize)n->start[i], degree = (isize)n->start[i + 1] - first;
    const float *grad = at(&a[GRAD], i, h), *q = at(&a[Q], i, h);
    float *dq = at(&a[DQ], i, h), mean = 0.f;
    for (isize e = 0; e < degree; e++) {
        isize j = neighbor(n, first + e);
        if (first + e + 2 < n->edges) {
            isize next = neighbor(n, first + e + 2);
            fetch(at(&a[V], next, h), a[V].width), fetch(at(&a[DV], next, h), a[V].width);
        }
        float w = weights->data[(first + e) * weights->edge_step + h];
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

/* graph_attend_vjp(q, k, v, grad_out, dq, dk, dv, indptr, indices, weights (K, [H]), dbias (K, [H]) or None, scale) -> True, or
 * None. dbias receives the gradient by what was added to the scores. */
PyObject *kernel_graph_attend_vjp(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != ARRAYS + 5) return wrong_count();
    int ok = 1, valid, weights_valid, bias_valid;
    float scale = get_float(args[ARRAYS + 4], &ok);
    if (!ok) return 0;
    ByHead a[ARRAYS];
    ByEdge weights, dbias;
    Neighbors n;
    for (int i = 0; i < ARRAYS; i++)
        if (!get_by_head(args[i], i >= DQ, &a[i])) return declined();
    if (!get_neighbors(args[ARRAYS], args[ARRAYS + 1], a[Q].nodes, a[K].nodes, &n, &valid) ||
        !get_by_edge(args[ARRAYS + 2], 0, n.edges, a[Q].heads, &weights, &weights_valid) ||
        !get_by_edge(args[ARRAYS + 3], 1, n.edges, a[Q].heads, &dbias, &bias_valid) || !weights.data)
        return declined();
    if (!valid) return wrong_value("graph_attend_vjp: indptr or indices do not fit");
    static const int like[ARRAYS] = {Q, Q, V, V, Q, Q, V}, nodes[ARRAYS] = {Q, K, K, Q, Q, K, K};
    for (int i = 0; i < ARRAYS; i++)
        if (a[i].heads != a[Q].heads || a[i].width != a[like[i]].width || a[i].nodes != a[nodes[i]].nodes || !weights_valid ||
            !bias_valid)
            return wrong_value("graph_attend_vjp: shapes differ");
    const Array *all[ARRAYS + 4];
    for (int i = 0; i < ARRAYS; i++) all[i] = &a[i].array;
    all[ARRAYS] = &n.indptr, all[ARRAYS + 1] = &n.indices, all[ARRAYS + 2] = &weights.array;
    all[ARRAYS + 3] = dbias.data ? &dbias.array : 0;
    for (int i = 0; i < ARRAYS + 4; i++) /* every output against everything else */
        for (int j = 0; j < i; j++) {
            int written = (i >= DQ && i <= DV) || i == ARRAYS + 3 || (j >= DQ && j <= DV);
            if (written && all[i] && !disjoint(all[i], all[j])) return declined();
        }
    Workspace workspace;
    if (!workspace_get(&workspace, n.longest + 1)) return 0;
    void *python = release_python((double)n.edges * (double)a[Q].heads * (double)(a[Q].width + a[V].width));
    for (int i = DQ; i <= DV; i++) clear(&a[i]);
    for (isize i = 0; i < a[Q].nodes; i++)
        for (isize h = 0; h < a[Q].heads; h++) {
            node_gradient(a, &n, &weights, i, h, scale, workspace.floats);
            if (!dbias.data) continue;
            isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
            for (isize e = 0; e < degree; e++) dbias.data[(first + e) * dbias.edge_step + h] = workspace.floats[e];
        }
    regain_python(python);
    workspace_free(&workspace);
    return boolean(1);
}
