/* Sums of rotated rows over neighbour lists: the gradients of attention whose keys are rotated by
 * the positions of their edges. */
#include "graph.h"
#include "kernels.h"
#include "rotate.h"

Status KERNEL(graph_turn)(Call *call) {
    const Array *a = call->array, *positions = &a[graph_turn_positions];
    ByHead x = by_head(&a[graph_turn_x]), y = by_head(&a[graph_turn_y]),
           out = by_head(&a[graph_turn_out]);
    ByEdge weights = by_edge(&a[graph_turn_weights]), slopes = by_edge(&a[graph_turn_slopes]);
    Index order = index_of(&a[graph_turn_order]);
    Neighbors n;
    if (!get_neighbors(&a[graph_turn_indptr], &a[graph_turn_indices], out.nodes, x.nodes, &n))
        return wrong(call, "graph_turn: indptr or indices do not fit");
    int ordered = given(&a[graph_turn_order]);
    if (positions->shape[0] != weights.edges || !edges_fit(&slopes, weights.edges, 1) ||
        (!ordered && weights.edges != n.edges) ||
        (ordered &&
         (a[graph_turn_order].shape[0] != n.edges ||
          !index_within(&order, n.edges, weights.edges))))
        return wrong(call, "graph_turn: order, weights, positions or slopes do not fit");
    if (!is_like(&out, out.nodes, 1, x.width) || (y.data && !is_like(&y, out.nodes, 1, x.width)) ||
        (slopes.data && !y.data) || a[graph_turn_frequency].shape[0] != x.width / 2)
        return wrong(call, "graph_turn: shapes differ");
    real scale = (real)call->number[graph_turn_scale];
    int back = call->number[graph_turn_back] != 0;
    const double *at = (const double *)positions->data;
    Turns turns;
    Status status = turns_start(&turns, (const double *)a[graph_turn_frequency].data, x.width,
                                call->number[graph_turn_interleaved] != 0, at, 1, weights.edges);
    if (status != DONE) return status;
    void *state = work_begin((double)n.edges * (double)x.width * 4.0);
    for (isize i = 0; i < out.nodes; i++) {
        if (y.data) turns_query(&turns, row_at(&y, i, 0));
        for (isize e = (isize)n.start[i]; e < (isize)n.start[i + 1]; e++) {
            isize edge = ordered ? index_at(&order, e) : e;
            real w = weights.data[edge * weights.edge_step];
            fetch_row(&n, x.data, x.node_step, x.width, e);
            if (ordered) {
                fetch_edge(&order, n.edges, weights.data, weights.edge_step, e);
                fetch_edge(&order, n.edges, (const real *)at, sizeof(double) / sizeof(real), e);
            }
            real slope = turned_sum(&turns, row_at(&x, neighbor(&n, e), 0), at[edge], back, w,
                                    slopes.data != 0);
            if (slopes.data) slopes.data[edge * slopes.edge_step] = scale * w * slope;
        }
        turns_sums(&turns, scale, row_at(&out, i, 0));
    }
    work_end(state);
    turns_end(&turns);
    return DONE;
}
