/* Attention over neighbour lists; the gradients of queries and scores, from the saved weights; and
 * the sums that give the gradients of keys and values. */
#include "graph.h"
#include "kernels.h"
#include "rotate.h"
#include "softmax.h"

/* The lists are short, so loops over the remainder of a vector would dominate. All loops here
 * process whole vectors. */

/* scores = scale * scores + bias (optional); returns their maximum. Adds the scores without bias to
 * the test of finiteness. */
static real finish_scores(real *scores, isize count, real scale, const real *bias, isize bias_step,
                          vw *bad) {
    vw top = splatw(MINUS_INFINITY);
    for (isize e = 0; e < count; e += WIDE) {
        vw s = LOADW(scores + e) * splatw(scale);
        *bad = note_badw(*bad, s);
        STOREW(scores + e, s);
        top = vmaxw(top, s);
    }
    if (!bias) return row_max((const real *)&top, WIDE);
    for (isize e = 0; e < count; e++) scores[e] += bias[e * bias_step];
    return row_max(scores, count);
}

/* exp(scores - peak), and their sum; 0 beyond the last. */
static real exponentials(real *scores, isize count, real peak) {
    isize e = count & ~(isize)(4 * WIDE - 1);
    real sum = e ? exp_blocks(scores, scores, e, peak) : 0;
    const real *t = exp_table();
    vw sums = splatw(0);
    STOREW(scores + count, splatw(MINUS_INFINITY));
    for (; e < count; e += WIDE) {
        vw s = LOADW(scores + e) - splatw(peak);
        exp_wides(1, t, &s);
        STOREW(scores + e, s);
        sums += s;
    }
    return sum + hsum(fold(sums));
}

/* scores = scale * scores, which become weights without exponentials. Returns their sum, or -1 if
 * one is so small that the features, which are exponentials, may have underflowed. */
#ifdef F64
#define SMALLEST 1e-260
#else
#define SMALLEST 1e-26f
#endif
static real plain_sum(real *scores, isize count, real scale, vw *bad) {
    vw sums = splatw(0), low = splatw(MINUS_INFINITY);
    for (isize e = 0; e < count; e += WIDE) {
        vw s = LOADW(scores + e) * splatw(scale);
        *bad = note_badw(*bad, s);
        STOREW(scores + e, s);
        low = vmaxw(low, -s);
    }
    STOREW(scores + count, splatw(0));
    for (isize e = 0; e < count; e += WIDE) sums += LOADW(scores + e);
    return row_max((const real *)&low, WIDE) > -SMALLEST ? -1 : hsum(fold(sums));
}

/* `edge_dots` of rows that are rotated by the positions of their edges. */
static void turned_edges(Turns *turns, const Neighbors *n, const ByHead *rows, isize head,
                         isize first, isize count, const real *x, const double *positions,
                         real *out) {
    const real *base = rows->data + head * rows->head_step;
    turns_query(turns, x);
    for (isize e = 0; e < count; e++) {
        fetch_row(n, base, rows->node_step, rows->width, first + e);
        out[e] = turned_dot(turns, base + neighbor(n, first + e) * rows->node_step,
                            positions[first + e]);
    }
    if (count) STOREW(out + count, splatw(out[count - 1]));
}

/* Narrow heads are processed together, four in the lanes of a vector. */
static int side_by_side_heads(const ByHead *k, const ByHead *v) {
    return FULL && k->heads > 1 && k->width <= 16 && v->width <= 16 && side_by_side(k) &&
        side_by_side(v);
}

/* Scores of one node's edges with adjacent heads: scale * product + bias. Adds the scores without
 * bias to the test of finiteness. */
static void head_scores(const Neighbors *n, const ByHead *q, const ByHead *k, isize node,
                        isize first, isize degree, real scale, const ByEdge *bias, isize lanes,
                        real *scores, v4 *bad) {
    edge_dots_heads(n, k, first, degree, q, node, lanes, scores);
    for (isize e = 0; e < degree; e++)
        for (isize h = 0; h < q->heads; h += 4) {
            v4 s = LOAD(scores + e * lanes + h) * splat(scale);
            *bad = note_bad(*bad, s);
            if (bias->data)
                s += load_heads(bias->data + (first + e) * bias->edge_step + h, q->heads - h);
            STORE(scores + e * lanes + h, s);
        }
}

/* Converts ds from the gradients of the weights of one node's edges, with adjacent heads, to those
 * of the scores. */
static void head_gradients(const ByEdge *weights, isize first, isize degree, isize lanes, int plain,
                           real *ds) {
    for (isize h = 0; h < weights->heads; h += 4) {
        isize some = weights->heads - h, step = weights->edge_step;
        const real *w = weights->data + first * step + h;
        v4 mean = splat(0);
        for (isize e = 0; e < degree; e++)
            mean = madd(load_heads(w + e * step, some), LOAD(ds + e * lanes + h), mean);
        for (isize e = 0; e < degree; e++) {
            v4 d = LOAD(ds + e * lanes + h) - mean;
            STORE(ds + e * lanes + h, plain ? d : load_heads(w + e * step, some) * d);
        }
    }
}

Status KERNEL(graph_attend)(Call *call) {
    const Array *a = call->array;
    ByHead q = by_head(&a[graph_attend_q]), k = by_head(&a[graph_attend_k]),
           v = by_head(&a[graph_attend_v]);
    ByHead out = by_head(&a[graph_attend_out]);
    ByEdge bias = by_edge(&a[graph_attend_bias]), weights = by_edge(&a[graph_attend_weights]),
           gain = by_edge(&a[graph_attend_gain]), mixture = by_edge(&a[graph_attend_mixture]);
    Neighbors n;
    if (!get_neighbors(&a[graph_attend_indptr], &a[graph_attend_indices], q.nodes, k.nodes, &n))
        return wrong(call, "graph_attend: indptr or indices do not fit");
    if (!edges_fit(&bias, n.edges, q.heads) || !edges_fit(&weights, n.edges, q.heads) ||
        !is_like(&k, k.nodes, q.heads, q.width) || !is_like(&v, k.nodes, q.heads, v.width) ||
        !is_like(&out, q.nodes, q.heads, v.width))
        return wrong(call, "graph_attend: shapes differ");
    const Array *positions = &a[graph_attend_positions], *frequency = &a[graph_attend_frequency];
    int turning = given(positions), plain = call->number[graph_attend_plain] != 0;
    if (!FULL && (turning || plain || gain.data)) return DECLINED;
    if (FULL &&
        (turning != given(frequency) ||
         (turning && (positions->shape[0] != n.edges || frequency->shape[0] != q.width / 2))))
        return wrong(call, "graph_attend: the positions do not fit");
    if (FULL && plain && bias.data) return DECLINED;
    int add = FULL && gain.data;
    if (add && (!edges_fit(&gain, q.nodes, q.heads) || !edges_fit(&mixture, n.edges, 1)))
        return wrong(call, "graph_attend: the gain does not fit");
    if (!add && mixture.data) return DECLINED;
    const double *at = (const double *)positions->data;
    Turns turns;
    Status status = DONE;
    if (FULL && turning) {
        status = turns_start(&turns, (const double *)frequency->data, q.width,
                             call->number[graph_attend_interleaved] != 0, at, 1, n.edges);
        if (status != DONE) return status;
    }
    int together = side_by_side_heads(&k, &v) && !turning && !plain && !mixture.data;
    isize heads = q.heads, lanes = together ? round_up(heads, 4) : 1;
    real scale = (real)call->number[graph_attend_scale], rest = 0,
         *scores = workspace_get((usize)(edge_room(n.longest) * lanes + 2 * lanes) * sizeof(real)),
         *inverses = scores + edge_room(n.longest) * lanes;
    vw bad = splatw(0);
    v4 bad_heads = splat(0);
    if (!scores) status = NO_MEMORY;
    void *state = work_begin((double)n.edges * (double)q.heads * (double)(q.width + v.width));
    for (isize i = 0; i < q.nodes && status == DONE; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        const real *shares = add ? gain.data + i * gain.edge_step : 0;
        if (together) {
            real *factors = inverses + lanes;
            int none = add && !weights.data;
            for (isize h = 0; h < heads && none; h++) none = shares[h] == 0;
            if (none) continue;
            head_scores(&n, &q, &k, i, first, degree, scale, &bias, lanes, scores, &bad_heads);
            softmax_heads(scores, degree, lanes, inverses);
            for (isize h = 0; h < heads; h++) factors[h] = (add ? shares[h] : 1) * inverses[h];
            edge_sum_heads(&n, &v, first, degree, scores, lanes, factors, add, row_at(&out, i, 0),
                           out.head_step);
            for (isize h = 0; h < heads; h++) rest += note_row(row_at(&out, i, h), v.width);
            if (weights.data)
                for (isize e = 0; e < degree; e++)
                    for (isize h = 0; h < heads; h += 4)
                        store_heads(LOAD(scores + e * lanes + h) * LOAD(inverses + h), heads - h,
                                    weights.data + (first + e) * weights.edge_step + h);
            continue;
        }
        for (isize h = 0; h < heads; h++) {
            real *to = row_at(&out, i, h), share = add ? shares[h] : 1;
            if (add && share == 0 && !weights.data) continue;
            if (FULL && turning)
                turned_edges(&turns, &n, &k, h, first, degree, row_at(&q, i, h), at, scores);
            else edge_dots(&n, &k, h, first, degree, row_at(&q, i, h), scores);
            const real *more = bias.data ? bias.data + first * bias.edge_step + h : 0;
            real total;
            if (FULL && plain) total = plain_sum(scores, degree, scale, &bad);
            else {
                real peak = finish_scores(scores, degree, scale, more, bias.edge_step, &bad);
                total = exponentials(scores, degree, safe_peak(peak));
            }
            if (total < 0) status = DECLINED;
            real inverse = total == 0 ? 0 : 1 / total;
            edge_sum(&n, &v, h, first, degree, scores, share * inverse, add, to);
            rest += note_row(to, v.width);
            real part = share * inverse / (real)heads;
            for (isize e = 0; FULL && mixture.data && e < degree; e++)
                mixture.data[first + e] += scores[e] * part;
            if (weights.data)
                for (isize e = 0; e < degree; e++)
                    weights.data[(first + e) * weights.edge_step + h] = scores[e] * inverse;
        }
    }
    work_end(state);
    workspace_free(scores);
    if (FULL && turning) turns_end(&turns);
    return status == DONE ? finished(rest + note_row((const real *)&bad, WIDE) + hsum(bad_heads))
                          : status;
}

Status KERNEL(graph_attend_vjp)(Call *call) {
    const Array *a = call->array;
    ByHead grad = by_head(&a[graph_attend_vjp_grad]), k = by_head(&a[graph_attend_vjp_k]),
           v = by_head(&a[graph_attend_vjp_v]);
    ByHead dq = by_head(&a[graph_attend_vjp_dq]);
    ByEdge weights = by_edge(&a[graph_attend_vjp_weights]),
           dscores = by_edge(&a[graph_attend_vjp_dscores]);
    Neighbors n;
    if (!get_neighbors(&a[graph_attend_vjp_indptr], &a[graph_attend_vjp_indices], grad.nodes,
                       v.nodes, &n))
        return wrong(call, "graph_attend_vjp: indptr or indices do not fit");
    isize heads = grad.heads;
    if (!edges_fit(&weights, n.edges, heads) || !edges_fit(&dscores, n.edges, heads) ||
        !is_like(&v, v.nodes, heads, grad.width) || !is_like(&k, v.nodes, heads, k.width) ||
        (dq.data && !is_like(&dq, grad.nodes, heads, k.width)))
        return wrong(call, "graph_attend_vjp: shapes differ");
    int plain = FULL && call->number[graph_attend_vjp_plain] != 0;
    real scale = (real)call->number[graph_attend_vjp_scale], *ds;
    int together = side_by_side_heads(&k, &v);
    isize lanes = together ? round_up(heads, 4) : 2;
    ds = workspace_get((usize)(edge_room(n.longest) * lanes + lanes) * sizeof(real));
    if (!ds) return NO_MEMORY;
    real *w = ds + edge_room(n.longest), *factors = ds + edge_room(n.longest) * lanes;
    fill(factors, lanes, scale);
    void *state = work_begin((double)n.edges * (double)heads * (double)(k.width + v.width));
    for (isize i = 0; i < grad.nodes; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        if (together) {
            edge_dots_heads(&n, &v, first, degree, &grad, i, lanes, ds);
            head_gradients(&weights, first, degree, lanes, plain, ds);
            for (isize e = 0; e < degree; e++)
                for (isize h = 0; h < heads; h += 4)
                    store_heads(LOAD(ds + e * lanes + h), heads - h,
                                dscores.data + (first + e) * dscores.edge_step + h);
            if (dq.data)
                edge_sum_heads(&n, &k, first, degree, ds, lanes, factors, 0, row_at(&dq, i, 0),
                               dq.head_step);
            continue;
        }
        for (isize h = 0; h < heads; h++) {
            real *to = dscores.data + first * dscores.edge_step + h;
            edge_dots(&n, &v, h, first, degree, row_at(&grad, i, h), ds);
            softmax_gradient(weights.data + first * weights.edge_step + h, weights.edge_step,
                             degree, plain, w, ds);
            for (isize e = 0; e < degree; e++) to[e * dscores.edge_step] = ds[e];
            if (dq.data) edge_sum(&n, &k, h, first, degree, ds, scale, 0, row_at(&dq, i, h));
        }
    }
    work_end(state);
    workspace_free(ds);
    return DONE;
}

/* w = some heads' weights of one list's edges, which stand at `order`; 1 without weights. */
static void weights_at(const ByEdge *weights, const Index *order, isize first, isize count, isize h,
                       isize heads, real *w) {
    const real *from = weights->data + h;
    isize step = weights->edge_step;
    if (!weights->data) fill(w, count * heads, 1);
    else if (heads == 1 && order->narrow)
        for (isize e = 0; e < count; e++) w[e] = from[order->narrow[first + e] * step];
    else
        for (isize e = 0; e < count; e++) {
            const real *at = from + index_at(order, first + e) * step;
            isize r = 0;
            for (; r + 4 <= heads; r += 4) STORE(w + e * heads + r, LOAD(at + r));
            for (; r < heads; r++) w[e * heads + r] = at[r];
        }
}

Status KERNEL(graph_sum)(Call *call) {
    const Array *a = call->array;
    ByHead x = by_head(&a[graph_sum_x]), out = by_head(&a[graph_sum_out]);
    ByEdge weights = by_edge(&a[graph_sum_weights]);
    Index order = index_of(&a[graph_sum_order]);
    Neighbors n;
    if (!get_neighbors(&a[graph_sum_indptr], &a[graph_sum_indices], out.nodes, x.nodes, &n))
        return wrong(call, "graph_sum: indptr or indices do not fit");
    if (given(&a[graph_sum_order]) != given(&a[graph_sum_weights]))
        return wrong(call, "graph_sum: weights need an order");
    if (weights.data &&
        (a[graph_sum_order].shape[0] != n.edges || !index_within(&order, n.edges, weights.edges)))
        return wrong(call, "graph_sum: order does not fit");
    if ((weights.data && weights.heads != x.heads) || !is_like(&out, out.nodes, x.heads, x.width))
        return wrong(call, "graph_sum: shapes differ");
    int narrow = x.heads > 1 && x.width <= 16 && side_by_side(&x),
        add = call->number[graph_sum_add] != 0;
    isize heads = narrow ? x.heads : 1; /* at once */
    real scale = (real)call->number[graph_sum_scale],
         *w = workspace_get((usize)((n.longest + 1) * heads) * sizeof(real));
    if (!w) return NO_MEMORY;
    real *factor = w + n.longest * heads;
    fill(factor, heads, scale);
    void *state = work_begin((double)n.edges * (double)x.heads * (double)x.width);
    for (isize i = 0; i < out.nodes; i++) {
        isize first = (isize)n.start[i], degree = (isize)n.start[i + 1] - first;
        for (isize h = 0; h < x.heads; h += heads) {
            weights_at(&weights, &order, first, degree, h, heads, w);
            if (narrow)
                edge_sum_heads(&n, &x, first, degree, w, heads, factor, add, row_at(&out, i, 0),
                               out.head_step);
            else edge_sum(&n, &x, h, first, degree, w, scale, add, row_at(&out, i, h));
        }
    }
    work_end(state);
    workspace_free(w);
    return DONE;
}
