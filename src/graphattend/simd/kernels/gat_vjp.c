/* Gradients of a graph attention layer edge by edge, from the saved weights (see gat.c). */
#include "graph.h"
#include "kernels.h"

/* Four heads, or as many as there are; 0 in the others. */
INL v4 load_heads(const real *from, isize count) {
    if (count >= 4) return LOAD(from);
    v4 x = splat(0);
    for (isize r = 0; r < count; r++) x[r] = from[r];
    return x;
}
INL void store_heads(v4 x, isize count, real *to) {
    if (count >= 4) STORE(to, x);
    else
        for (isize r = 0; r < count; r++) to[r] = x[r];
}

/* out[e * lanes + h] = x[h] . rows[neighbor(first + e)][h] for the heads from h on, at most four.
 */
static void head_dots(const Neighbors *n, const ByHead *by, isize first, isize count,
                      const ByHead *x, isize node, isize h, isize lanes, real *out) {
    isize heads = min_size(4, by->heads - h);
    for (isize e = 0; e < count; e++) {
        const real *row = row_at(by, neighbor(n, first + e), h), *own = row_at(x, node, h);
        v4 dots = splat(0);
        for (isize r = 0; r < heads; r++)
            dots[r] = dot(row + r * by->head_step, own + r * x->head_step, by->width);
        STORE(out + e * lanes + h, dots);
    }
}

/* The same for four heads of 4 `groups` columns. */
INL void four_head_dots(const int groups, const Neighbors *n, const ByHead *by, isize first,
                        isize count, const ByHead *x, isize node, isize h, isize lanes, real *out) {
    v4 own[4][4];
    for (int r = 0; r < 4; r++)
        for (int k = 0; k < groups; k++) own[r][k] = LOAD(row_at(x, node, h + r) + 4 * k);
    for (isize e = 0; e < count; e++) {
        fetch_row(n, by->data + h * by->head_step, by->node_step, 4 * by->width, first + e);
        const real *row = row_at(by, neighbor(n, first + e), h);
        v4 sum[4];
        for (int r = 0; r < 4; r++) {
            sum[r] = splat(0);
            for (int k = 0; k < groups; k++)
                sum[r] = madd(LOAD(row + r * by->head_step + 4 * k), own[r][k], sum[r]);
        }
        STORE(out + e * lanes + h, hsum4(sum[0], sum[1], sum[2], sum[3]));
    }
}

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
        for (isize h = 0; h < heads; h += 4) {
            isize some = heads - h;
            const real *w = weights.data + first * weights.edge_step + h;
            v4 own = load_heads((const real *)query->data + i * query_step + h, some), mean = zero,
               total = zero;
            if (some >= 4 && grad.width == 8)
                four_head_dots(2, &n, &hidden, first, degree, &grad, i, h, lanes, ds);
            else if (some >= 4 && grad.width == 16)
                four_head_dots(4, &n, &hidden, first, degree, &grad, i, h, lanes, ds);
            else head_dots(&n, &hidden, first, degree, &grad, i, h, lanes, ds);
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
