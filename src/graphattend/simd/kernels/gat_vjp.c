/* Gradients of a graph attention layer edge by edge, from the saved weights (see gat.c). */
#include "graph.h"
#include "kernels.h"

Status KERNEL(gat_vjp)(Call *call) {
    const Array *a = call->array, *query = &a[gat_vjp_query], *key = &a[gat_vjp_key],
                *dquery = &a[gat_vjp_dquery];
    ByHead grad = by_head(&a[gat_vjp_grad]), hidden = by_head(&a[gat_vjp_hidden]);
    ByEdge added = by_edge(&a[gat_vjp_added]), weights = by_edge(&a[gat_vjp_weights]),
           dscores = by_edge(&a[gat_vjp_dscores]);
    Neighbors n;
    if (!get_neighbors(&a[gat_vjp_indptr], &a[gat_vjp_indices], grad.nodes, hidden.nodes, &n))
        return wrong(call, "gat_vjp: indptr or indices do not fit");
    isize heads = grad.heads;
    int fits = edges_fit(&added, n.edges, heads) && edges_fit(&weights, n.edges, heads) &&
        edges_fit(&dscores, n.edges, heads);
    fits = fits && is_like(&hidden, hidden.nodes, heads, grad.width) &&
        key->shape[0] == hidden.nodes && key->shape[1] == heads;
    fits = fits && query->shape[0] == grad.nodes && query->shape[1] == heads &&
        dquery->shape[0] == grad.nodes && dquery->shape[1] == heads;
    if (!fits) return wrong(call, "gat_vjp: shapes differ");
    isize lanes = round_up(heads, 4), query_step = step(query, 2), key_step = step(key, 2),
          dquery_step = step(dquery, 2);
    v4 slope = splat((real)call->number[gat_vjp_slope]), zero = splat(0);
    real *ds = workspace_get((usize)((n.longest + 1) * lanes) * sizeof(real));
    if (!ds) return NO_MEMORY;
    void *state = work_begin((double)n.edges * (double)heads * (double)grad.width);
    for (isize i = 0; i < grad.nodes; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        edge_dots_heads(&n, &hidden, first, degree, &grad, i, lanes, ds);
        for (isize h = 0; h < heads; h += 4) {
            isize some = heads - h;
            const real *w = weights.data + first * weights.edge_step + h;
            v4 own = load_heads((const real *)query->data + i * query_step + h, some), mean = zero,
               total = zero;
            for (isize e = 0; e < degree; e++)
                mean = madd(load_heads(w + e * weights.edge_step, some), LOAD(ds + e * lanes + h),
                            mean);
            for (isize e = 0; e < degree; e++) {
                v4 score = own +
                    load_heads((const real *)key->data + neighbor(&n, first + e) * key_step + h,
                               some);
                if (added.data)
                    score += load_heads(added.data + (first + e) * added.edge_step + h, some);
                v4 d =
                    load_heads(w + e * weights.edge_step, some) * (LOAD(ds + e * lanes + h) - mean);
                d = select((m4)(score < zero), d * slope, d);
                store_heads(d, some, dscores.data + (first + e) * dscores.edge_step + h);
                total += d;
            }
            store_heads(total, some, (real *)dquery->data + i * dquery_step + h);
        }
    }
    work_end(state);
    workspace_free(ds);
    return DONE;
}
