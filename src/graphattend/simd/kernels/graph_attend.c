/* Attention over neighbour lists, its gradients by what a node reads (from the saved weights), and the sums that give them by what a
 * node is read for. */
#include "graph.h"
#include "kernels.h"
#include "softmax.h"

Status KERNEL(graph_attend)(Call *call) {
    const Array *a = call->array;
    ByHead q = by_head(&a[graph_attend_q]), k = by_head(&a[graph_attend_k]), v = by_head(&a[graph_attend_v]);
    ByHead out = by_head(&a[graph_attend_out]);
    ByEdge bias = by_edge(&a[graph_attend_bias]), weights = by_edge(&a[graph_attend_weights]);
    Neighbors n;
    if (!get_neighbors(&a[graph_attend_indptr], &a[graph_attend_indices], q.nodes, k.nodes, &n))
        return wrong(call, "graph_attend: indptr or indices do not fit");
    if (!edges_fit(&bias, n.edges, q.heads) || !edges_fit(&weights, n.edges, q.heads) || !is_like(&k, k.nodes, q.heads, q.width) ||
        !is_like(&v, k.nodes, q.heads, v.width) || !is_like(&out, q.nodes, q.heads, v.width))
        return wrong(call, "graph_attend: shapes differ");
    real scale = (real)call->number[graph_attend_scale], bad = 0;
    real *scores = workspace_get((usize)(n.longest + 1) * sizeof(real));
    if (!scores) return NO_MEMORY;
    void *state = work_begin((double)n.edges * (double)q.heads * (double)(q.width + v.width));
    for (isize i = 0; i < q.nodes; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        for (isize h = 0; h < q.heads; h++) {
            real *to = row_at(&out, i, h);
            edge_dots(&n, &k, h, first, degree, row_at(&q, i, h), scores);
            scale_row(scores, degree, scale);
            bad += note_row(scores, degree);
            if (bias.data)
                for (isize e = 0; e < degree; e++) scores[e] += bias.data[(first + e) * bias.edge_step + h];
            real total = exp_and_sum(scores, scores, degree, safe_peak(row_max(scores, degree)));
            scale_row(scores, degree, total == 0 ? 0 : 1 / total);
            edge_sum(&n, &v, h, first, degree, scores, 0, to);
            bad += note_row(to, v.width);
            if (weights.data)
                for (isize e = 0; e < degree; e++) weights.data[(first + e) * weights.edge_step + h] = scores[e];
        }
    }
    work_end(state);
    workspace_free(scores);
    return finished(bad);
}

Status KERNEL(graph_attend_vjp)(Call *call) {
    const Array *a = call->array;
    ByHead grad = by_head(&a[graph_attend_vjp_grad]), k = by_head(&a[graph_attend_vjp_k]), v = by_head(&a[graph_attend_vjp_v]);
    ByHead dq = by_head(&a[graph_attend_vjp_dq]);
    ByEdge weights = by_edge(&a[graph_attend_vjp_weights]), dscores = by_edge(&a[graph_attend_vjp_dscores]);
    Neighbors n;
    if (!get_neighbors(&a[graph_attend_vjp_indptr], &a[graph_attend_vjp_indices], grad.nodes, v.nodes, &n))
        return wrong(call, "graph_attend_vjp: indptr or indices do not fit");
    isize heads = grad.heads;
    if (!edges_fit(&weights, n.edges, heads) || !edges_fit(&dscores, n.edges, heads) || !is_like(&v, v.nodes, heads, grad.width) ||
        !is_like(&k, v.nodes, heads, k.width) || !is_like(&dq, grad.nodes, heads, k.width))
        return wrong(call, "graph_attend_vjp: shapes differ");
    real scale = (real)call->number[graph_attend_vjp_scale], *ds = workspace_get((usize)(n.longest + 1) * sizeof(real));
    if (!ds) return NO_MEMORY;
    void *state = work_begin((double)n.edges * (double)heads * (double)(k.width + v.width));
    for (isize i = 0; i < grad.nodes; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        for (isize h = 0; h < heads; h++) {
            const real *w = weights.data + first * weights.edge_step + h;
            real *to = dscores.data + first * dscores.edge_step + h, mean = 0;
            edge_dots(&n, &v, h, first, degree, row_at(&grad, i, h), ds);
            for (isize e = 0; e < degree; e++) mean += w[e * weights.edge_step] * ds[e];
            for (isize e = 0; e < degree; e++) to[e * dscores.edge_step] = ds[e] = w[e * weights.edge_step] * (ds[e] - mean);
            scale_row(ds, degree, scale);
            edge_sum(&n, &k, h, first, degree, ds, 0, row_at(&dq, i, h));
        }
    }
    work_end(state);
    workspace_free(ds);
    return DONE;
}

Status KERNEL(graph_sum)(Call *call) {
    const Array *a = call->array;
    ByHead x = by_head(&a[graph_sum_x]), out = by_head(&a[graph_sum_out]);
    ByEdge weights = by_edge(&a[graph_sum_weights]);
    Index order = index_of(&a[graph_sum_order]);
    Neighbors n;
    if (!get_neighbors(&a[graph_sum_indptr], &a[graph_sum_indices], out.nodes, x.nodes, &n))
        return wrong(call, "graph_sum: indptr or indices do not fit");
    if (a[graph_sum_order].shape[0] != n.edges || !index_within(&order, n.edges, weights.edges))
        return wrong(call, "graph_sum: order does not fit");
    if (weights.heads != x.heads || !is_like(&out, out.nodes, x.heads, x.width)) return wrong(call, "graph_sum: shapes differ");
    real scale = (real)call->number[graph_sum_scale], *w = workspace_get((usize)(n.longest + 1) * sizeof(real));
    if (!w) return NO_MEMORY;
    int add = call->number[graph_sum_add] != 0;
    void *state = work_begin((double)n.edges * (double)x.heads * (double)x.width);
    for (isize i = 0; i < out.nodes; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        for (isize h = 0; h < x.heads; h++) {
            for (isize e = 0; e < degree; e++) w[e] = scale * weights.data[index_at(&order, first + e) * weights.edge_step + h];
            edge_sum(&n, &x, h, first, degree, w, add, row_at(&out, i, h));
        }
    }
    work_end(state);
    workspace_free(w);
    return DONE;
}
