/* Gradients of the keys of a graph, each summed over the rows that read it. Otherwise the kernels
 * over rows (metric_vjp.c, mean.c) would add to keys scattered in memory. */
#include "kernels.h"
#include "metric.h"
#include "rows.h"

Status KERNEL(metric_keys)(Call *call) {
    const Array *a = call->array, *k = &a[metric_keys_k], *slopes = &a[metric_keys_slopes];
    ByHead rows = by_head(&a[metric_keys_rows]), out = by_head(&a[metric_keys_out]);
    Index order = index_of(&a[metric_keys_order]);
    isize keys = k->shape[0], d = k->shape[1];
    Neighbors n;
    Spaces spaces;
    if (!get_spaces(&a[metric_keys_spaces], d, &spaces))
        return wrong(call, "metric_keys: no such spaces");
    if (!get_neighbors(&a[metric_keys_indptr], &a[metric_keys_indices], keys, rows.nodes, &n))
        return wrong(call, "metric_keys: indptr or indices do not fit");
    if (a[metric_keys_order].shape[0] != n.edges ||
        !index_within(&order, n.edges, slopes->shape[0]) || slopes->shape[1] != spaces.count ||
        slopes->shape[2] != 2)
        return wrong(call, "metric_keys: order or slopes do not fit");
    if (!is_like(&rows, rows.nodes, 1, d) || !is_like(&out, keys, 1, d))
        return wrong(call, "metric_keys: shapes differ");
    int apart = call->number[metric_keys_apart] != 0, fine = 1;
    real *pull = workspace_get((usize)(n.longest + 2 * d) * sizeof(real) +
                               (usize)(spaces.count + 1) * sizeof(Fact));
    if (!pull) return NO_MEMORY;
    real *inner = pull + n.longest, *none = inner + d;
    Fact *facts = (Fact *)(none + d);
    isize by_edge = slopes->strides[0] / slopes->item, by_space = slopes->strides[1] / slopes->item;
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
        for (int s = 0; s < spaces.count; s++) {
            const Space *space = &spaces.space[s];
            const real *own = inner + space->at;
            real along = 0;
            for (isize e = 0; e < count; e++) {
                const real *slope = (const real *)slopes->data +
                    index_at(&order, first + e) * by_edge + s * by_space;
                pull[e] = slope[0], along += slope[1];
            }
            add_rows(1, &own, &along, space->width, to + space->at);
            ByHead some = {rows.data + space->at, rows.nodes, 1, space->width, rows.node_step, 0};
            edge_pull(&n, &some, first, count, pull, 1, 0, apart ? own : none, to + space->at);
        }
        outer_gradient(&spaces, key, facts, to);
    }
    work_end(state);
    workspace_free(pull);
    return fine ? DONE : DECLINED;
}
