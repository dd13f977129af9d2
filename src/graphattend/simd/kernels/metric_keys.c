/* Gradients of the keys and values of a graph, each summed over the rows that read it;
 * metric_rows.c would add to rows scattered in memory. */
#include "kernels.h"
#include "metric.h"
#include "rows.h"

Status KERNEL(metric_keys)(Call *call) {
    const Array *a = call->array, *k = &a[metric_keys_k],
                *slopes[2] = {&a[metric_keys_slopes], &a[metric_keys_value_slopes]};
    ByHead rows[2] = {by_head(&a[metric_keys_inner]), by_head(&a[metric_keys_directions])},
           out = by_head(&a[metric_keys_out]);
    Index order = index_of(&a[metric_keys_order]);
    isize keys = k->shape[0], d = k->shape[1],
          queries = rows[0].data ? rows[0].nodes : rows[1].nodes;
    Neighbors n;
    Spaces spaces;
    if (!get_spaces(&a[metric_keys_spaces], d, &spaces))
        return wrong(call, "metric_keys: no such spaces");
    if (!get_neighbors(&a[metric_keys_indptr], &a[metric_keys_indices], keys, queries, &n))
        return wrong(call, "metric_keys: indptr or indices do not fit");
    if (!is_like(&out, keys, 1, d)) return wrong(call, "metric_keys: shapes differ");
    if (a[metric_keys_order].shape[0] != n.edges)
        return wrong(call, "metric_keys: order does not fit");
    for (int i = 0; i < 2; i++) {
        if (given(slopes[i]) != (rows[i].data != 0)) return DECLINED;
        if (!rows[i].data) continue;
        if (!is_like(&rows[i], queries, 1, d) || slopes[i]->shape[1] != spaces.count ||
            slopes[i]->shape[2] != 2 || !index_within(&order, n.edges, slopes[i]->shape[0]))
            return wrong(call, "metric_keys: rows, order or slopes do not fit");
    }
    real *pull = workspace_get((usize)(n.longest + 2 * d) * sizeof(real) +
                               (usize)(spaces.count + 1) * sizeof(Fact));
    if (!pull) return NO_MEMORY;
    real *inner = pull + n.longest, *none = inner + d;
    Fact *facts = (Fact *)(none + d);
    int fine = 1;
    fill(none, d, 0);
    void *state = work_begin((double)n.edges * (double)d);
    for (isize j = 0; j < keys && fine; j++) {
        const real *key = (const real *)k->data + j * step(k, 2);
        real *to = row_at(&out, j, 0);
        isize first = (isize)n.start[j], count = (isize)n.start[j + 1] - first;
        fine = all_facts(&spaces, key, 0, 1, facts);
        if (!fine) break;
        inner_row(&spaces, key, facts, inner);
        fill(to, d, 0);
        for (int i = 0; i < 2; i++)
            for (int s = 0; s < spaces.count && rows[i].data; s++) {
                const Space *space = &spaces.space[s];
                const real *own = inner + space->at, *slope = (const real *)slopes[i]->data;
                isize by_edge = slopes[i]->strides[0] / slopes[i]->item,
                      by_space = slopes[i]->strides[1] / slopes[i]->item;
                real along = 0;
                for (isize e = 0; e < count; e++) {
                    fetch_edge(&order, n.edges, slope, by_edge, first + e);
                    const real *at = slope + index_at(&order, first + e) * by_edge + s * by_space;
                    pull[e] = at[0], along += at[1];
                }
                add_rows(1, &own, &along, space->width, to + space->at);
                ByHead some = {rows[i].data + space->at, queries, 1, space->width,
                               rows[i].node_step,        0};
                edge_pull(&n, &some, first, count, pull, 1, 0, i ? none : own, to + space->at);
            }
        outer_gradient(&spaces, key, facts, to);
    }
    work_end(state);
    workspace_free(pull);
    return fine ? DONE : DECLINED;
}
