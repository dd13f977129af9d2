/* Gradients of attention by distance over a graph (metric.c), row by row: of the queries, and what
 * each edge adds to its key and its value, which metric_keys.c sums up. */
#include "frechet.h"
#include "kernels.h"

/* The arrays of one row, with one number for each edge and space for whole vectors. */
typedef struct {
    real *weights, *shares, *by_weights, *by_scores; /* shares have the sum one */
    real *square, *other, *distance; /* of each space, `apart` numbers each (see `sights`) */
    real *whole, *beta, *bend;       /* the root of all squared distances; slopes */
    isize apart;
    Midpoint midpoint;
} Row;

static real row_sum(vx x) {
#if WIDE > 4
    return hsum(fold(x));
#else
    return hsum(x);
#endif
}

/* The scores of one query. Writes the slopes of the keys, adds to dshare, and writes dq. */
static void score_gradient(const Points *keys, const List *list, const real *q, const Fact *own,
                           int root, const Row *row, real *slopes, real *dq, double *dshare) {
    const Spaces *spaces = keys->spaces;
    isize n = list->count, count = spaces->count;
    real *whole = row->whole;
    fill(whole, round_up(n, SPAN), 0);
    for (int s = 0; s < count; s++) {
        isize first = s * row->apart;
        for (isize e = 0; e < n; e += SPAN) {
            vx d = distances(&spaces->space[s], LOADX(row->square + first + e),
                             LOADX(row->other + first + e));
            STOREX(row->distance + first + e, d);
            if (root) STOREX(whole + e, maddx(d, d, LOADX(whole + e)));
        }
    }
    for (isize e = 0; root && e < n; e += SPAN) STOREX(whole + e, vsqrtx(LOADX(whole + e)));
    for (int s = 0; s < count; s++) {
        const Space *space = &spaces->space[s];
        const real *distance = row->distance + s * row->apart, *x = q + space->at;
        real *to = dq + space->at, bent = 0;
        vx gap = splatx(own[s].gap), share = splatx(-spaces->space[root ? 0 : s].share),
           bends = splatx(0), sums = bends;
        for (isize e = 0; e < n; e += SPAN) {
            vx beta, gamma_q, gamma_k, of_score = LOADX(row->by_scores + e), g = of_score * share,
                                       d = LOADX(distance + e), w = d;
            if (root) {
                w = LOADX(whole + e);
                g = g * d / selectx((mx)(w == splatx(0)), splatx(1), w);
            }
            slopesx(space, LOADX(row->square + s * row->apart + e),
                    LOADX(row->other + s * row->apart + e), gap, &beta, &gamma_q, &gamma_k);
            STOREX(row->beta + e, beta * g);
            STOREX(row->bend + e, gamma_k * g);
            bends = maddx(gamma_q, g, bends), sums = maddx(of_score, w, sums);
        }
        for (isize e = 0; e < n; e++) {
            real *slope = slopes + 2 * (e * count + s);
            slope[0] = row->beta[e], slope[1] = row->bend[e];
        }
        bent = row_sum(bends);
        dshare[s] = -(double)row_sum(sums);
        int scaled = space->kind == SHEET || space->kind == SPHERE;
        for (isize e = 0; scaled && e < n; e++)
            row->midpoint.factors[e] = fact_at(keys, member(list, e), s).factor;
        ByHead rows = in_space(keys, s);
        fill(to, space->width, 0);
        add_rows(1, &x, &bent, space->width, to);
        edge_pull(list->near, &rows, list->first, n, row->beta, 1,
                  scaled ? row->midpoint.factors : 0, x, to);
    }
}

static real *take(real **free, isize count) {
    real *taken = *free;
    *free += count;
    return taken;
}

Status KERNEL(metric_rows)(Call *call) {
    const Array *a = call->array, *dshare = &a[metric_rows_dshare],
                *slopes[2] = {&a[metric_rows_slopes], &a[metric_rows_value_slopes]};
    ByHead q = by_head(&a[metric_rows_q]), k = by_head(&a[metric_rows_k]),
           v = by_head(&a[metric_rows_v]), grad = by_head(&a[metric_rows_grad]),
           dq = by_head(&a[metric_rows_dq]), inner = by_head(&a[metric_rows_inner]),
           directions = by_head(&a[metric_rows_directions]);
    ByEdge w = by_edge(&a[metric_rows_weights]), dw = by_edge(&a[metric_rows_dweights]);
    isize d = q.width, m = q.nodes, keys = k.nodes;
    int root = call->number[metric_rows_root] != 0, averages = v.data != 0;
    Neighbors n;
    Spaces spaces;
    if (!get_spaces(&a[metric_rows_spaces], d, &spaces))
        return wrong(call, "metric_rows: no such spaces");
    if (!get_neighbors(&a[metric_rows_indptr], &a[metric_rows_indices], m, keys, &n))
        return wrong(call, "metric_rows: indptr or indices do not fit");
    isize count = spaces.count;
    if (averages != (grad.data != 0) || averages != (directions.data != 0) ||
        averages != given(slopes[1]) || (!averages && !dw.data))
        return DECLINED;
    int fits = w.edges == n.edges && edges_fit(&dw, n.edges, 1) && is_like(&k, keys, 1, d) &&
        is_like(&dq, m, 1, d) && is_like(&inner, m, 1, d) && dshare->shape[0] == m &&
        dshare->shape[1] == count;
    if (averages)
        fits = fits && is_like(&v, keys, 1, d) && is_like(&grad, m, 1, d) &&
            is_like(&directions, m, 1, d);
    for (int i = 0; i <= averages; i++) {
        fits = fits && slopes[i]->shape[0] == n.edges && slopes[i]->shape[1] == count &&
            slopes[i]->shape[2] == 2;
        if (!slopes[i]->contiguous) return DECLINED;
    }
    if (!fits) return wrong(call, "metric_rows: shapes differ");
    isize apart = edge_room(round_up(n.longest, SPAN)), facts = keys * count;
    real *numbers =
        workspace_get((usize)(apart * (3 * count + 10) + 2 * round_up(d, 8)) * sizeof(real) +
                      (usize)(2 * facts + count) * sizeof(Fact));
    if (!numbers) return NO_MEMORY;
    real *free = numbers;
    Row row = {.apart = apart,
               .square = take(&free, count * apart),
               .other = take(&free, count * apart),
               .distance = take(&free, count * apart)};
    row.weights = take(&free, apart), row.shares = take(&free, apart),
    row.by_weights = take(&free, apart), row.by_scores = take(&free, apart),
    row.whole = take(&free, apart);
    row.beta = take(&free, apart), row.bend = take(&free, apart);
    row.midpoint = (Midpoint){take(&free, apart), take(&free, apart), take(&free, apart),
                              take(&free, round_up(d, 8)), take(&free, round_up(d, 8))};
    Fact *own = (Fact *)free, *key_facts = own + count, *value_facts = key_facts;
    void *state = work_begin(4.0 * (double)n.edges * (double)d);
    Points to = {&spaces, k.data, k.node_step, key_facts, 0};
    int fine = all_facts(&spaces, k.data, k.node_step, keys, key_facts);
    if (averages && v.data != k.data) {
        value_facts = key_facts + facts;
        fine = fine && all_facts(&spaces, v.data, v.node_step, keys, value_facts);
    }
    Points values = {&spaces, v.data, v.node_step, value_facts, 0};
    for (isize i = 0; i < m && fine; i++) {
        List list = list_of(&n, i, keys);
        isize edges = list.count, at = 2 * list.first * count;
        const real *own_weights = w.data + list.first * w.edge_step;
        real *here = row_at(&inner, i, 0), *slope[2], total = 0;
        for (int s = 0; s <= averages; s++) slope[s] = (real *)slopes[s]->data + at;
        isize whole = round_up(edges, SPAN);
        for (isize e = 0; e < edges; e++) {
            row.weights[e] = own_weights[e * w.edge_step], total += row.weights[e];
            row.by_weights[e] = dw.data ? dw.data[(list.first + e) * dw.edge_step] : 0;
        }
        for (isize e = edges; e < whole; e++) row.weights[e] = row.by_weights[e] = 0;
        vx inverse = splatx(total > 0 ? 1 / total : 0), means = splatx(0);
        for (isize e = 0; e < whole; e += SPAN)
            STOREX(row.shares + e, LOADX(row.weights + e) * inverse);
        for (int s = 0; s < count && averages && fine; s++) {
            isize first = spaces.space[s].at;
            real *direction = row_at(&directions, i, 0) + first;
            if (spaces.space[s].kind == SHEET) direction[-1] = 0;
            if (total > 0)
                fine = midpoint_gradient(&values, &list, s, row.shares, row_at(&grad, i, 0) + first,
                                         &row.midpoint, direction, slope[1] + 2 * s, 2 * count,
                                         row.by_weights);
            else {
                fill(direction, spaces.space[s].width, 0);
                for (isize e = 0; e < edges; e++)
                    slope[1][2 * (e * count + s)] = slope[1][2 * (e * count + s) + 1] = 0;
            }
        }
        fine = fine && all_facts(&spaces, row_at(&q, i, 0), 0, 1, own);
        if (!fine) break;
        inner_row(&spaces, row_at(&q, i, 0), own, here);
        for (isize e = 0; e < whole;
             e += SPAN) { /* a weight of zero may have an infinite gradient */
            vx some = LOADX(row.weights + e), none = splatx(0);
            means += selectx((mx)(some == none), none, some * LOADX(row.by_weights + e));
        }
        vx mean = splatx(row_sum(means));
        for (isize e = 0; e < whole; e += SPAN) {
            vx some = LOADX(row.weights + e), none = splatx(0);
            STOREX(row.by_scores + e,
                   selectx((mx)(some == none), none, some * (LOADX(row.by_weights + e) - mean)));
        }
        for (int s = 0; s < count; s++) {
            real *square = row.square + s * apart, *other = row.other + s * apart;
            sights(&to, &list, s, here, own[s].gap, square, other);
            for (isize e = edges; e < whole; e++) square[e] = 0, other[e] = 1;
        }
        score_gradient(&to, &list, here, own, root, &row, slope[0], row_at(&dq, i, 0),
                       (double *)(dshare->data + i * dshare->strides[0]));
        outer_gradient(&spaces, row_at(&q, i, 0), own, row_at(&dq, i, 0));
    }
    work_end(state);
    workspace_free(numbers);
    return fine ? DONE : DECLINED;
}
