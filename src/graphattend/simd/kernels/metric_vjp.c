/* Gradients of the scores of metric.c. In inner coordinates with w = y - x, a distance d(x, y) with
 * gradient 1 has the gradients beta w + gamma_x x and -beta w + gamma_y y:
 *
 *   flat    beta = -1 / |w|, gamma = 0
 *   ball    beta = -2 / (|w| sqrt(a b + c|w|^2)), gamma_x = -beta c|w|^2 / a, gamma_y = -beta
 * c|w|^2 / b, a and b the gaps of x and y sphere  beta = -r / sin t, gamma = beta |w|^2 / 2, t the
 * angle */
#include "kernels.h"
#include "metric.h"
#include "rows.h"

/* Zero for points that are equal or opposite. */
static void slopes(const Space *space, const Sight *sight, const real *gap_of_q, const v4 *gap_of_k,
                   v4 *beta, v4 *gamma_q, v4 *gamma_k) {
    v4 zero = splat(0), one = splat(1), square = sight->square, c = splat(space->c);
    m4 same = (m4)(square <= splat(COINCIDENT));
    *gamma_q = *gamma_k = zero;
    if (space->kind == FLAT) *beta = select(same, zero, -one / vsqrt(select(same, one, square)));
    else if (space->kind == SPHERE) {
        v4 sine = square * sight->sum * splat((real)0.25);
        same = (m4)(sine <= splat(COINCIDENT));
        *beta = select(same, zero, splat(-1 / space->root) / vsqrt(select(same, one, sine)));
        *gamma_q = *gamma_k = *beta * square * splat((real)0.5);
    } else {
        *beta = select(same, zero,
                       splat(-2) / vsqrt(select(same, one, square * (sight->gaps + c * square))));
        *gamma_q = -*beta * c * square / splat(*gap_of_q),
        *gamma_k = -*beta * c * square / *gap_of_k;
    }
}

typedef struct {
    Points keys;
    int root;
    real *dk; /* (keys, width), in inner coordinates until the end; none over a graph */
    isize dk_step;
    const real *none; /* for the first query, zeros in the place of dk, which is not yet written */
    real *slopes;     /* over a graph (edges, spaces, 2), from which metric_keys computes dk */
} Slopes;

/* Four keys: their rows, and the rows of their gradients, before and after a query. */
typedef struct {
    const real *row[4], *before[4];
    real *to[4], factor[4], beta[4], gamma[4];
} Four;

/* Adds the gradients of `count` keys from the first one on to those before, and that of q to dq. */
INL void add_slopes(const int count, const Four *keys, int first, const real *q, isize d,
                    real *dq) {
    isize k = 0;
#define STEP(v, LOADX, STOREX, splatx, maddx, lanes)                                               \
    for (; k + lanes <= d; k += lanes) {                                                           \
        v x = LOADX(q + k), sum = LOADX(dq + k);                                                   \
        for (int r = first; r < first + count; r++) {                                              \
            v y = LOADX(keys->row[r] + k) * splatx(keys->factor[r]),                               \
              w = (y - x) * splatx(keys->beta[r]);                                                 \
            sum += w;                                                                              \
            STOREX(keys->to[r] + k,                                                                \
                   maddx(splatx(keys->gamma[r]), y, LOADX(keys->before[r] + k) - w));              \
        }                                                                                          \
        STOREX(dq + k, sum);                                                                       \
    }
#if WIDE > 4
    STEP(vw, LOADW, STOREW, splatw, maddw, WIDE)
#endif
    STEP(vec, LOADV, STOREV, splatv, maddv, LANES)
#undef STEP
    for (; k < d; k++)
        for (int r = first; r < first + count; r++) {
            real y = keys->row[r][k] * keys->factor[r], w = (y - q[k]) * keys->beta[r];
            dq[k] += w, keys->to[r][k] = keys->before[r][k] + (keys->gamma[r] * y - w);
        }
}

/* One query: adds to dk or writes its slopes, adds to dshare, and writes dq in inner coordinates.
 * gs are the gradients of the scores, with a length that is a multiple of four; they are
 * overwritten. */
static void query_gradient(const Slopes *job, const List *list, const real *q, const Fact *own,
                           real *gs, real *dq, double *dshare) {
    const Spaces *spaces = job->keys.spaces;
    real bent[MOST_SPACES] = {0};
    fill(dq, spaces->width, 0);
    for (isize e = 0; e < list->count; e += 4) {
        isize at[4];
        Sight sight[MOST_SPACES];
        v4 distance[MOST_SPACES], total = splat(0), g = LOAD(gs + e);
        four(list, e, at);
        if (list->near)
            for (isize r = 0; r < 4; r++)
                fetch_row(list->near, job->keys.data, job->keys.step, spaces->width,
                          list->first + e + r);
        for (int s = 0; s < spaces->count; s++) {
            sight[s] = sight4(&job->keys, s, at, q, own[s].gap);
            distance[s] = distance4(&spaces->space[s], &sight[s]);
            total = madd(distance[s], distance[s], total);
        }
        v4 whole = vsqrt(total);
        for (int s = 0; s < spaces->count; s++) {
            const Space *space = &spaces->space[s];
            v4 beta, gamma_q, gamma_k,
                gap_of_k = splat(1),
                by_distance = -g * splat(spaces->space[job->root ? 0 : s].share);
            if (job->root)
                by_distance =
                    by_distance * distance[s] / select((m4)(whole == splat(0)), splat(1), whole);
            for (int r = 0; r < 4; r++) gap_of_k[r] = fact_at(&job->keys, at[r], s).gap;
            slopes(space, &sight[s], &own[s].gap, &gap_of_k, &beta, &gamma_q, &gamma_k);
            beta *= by_distance, gamma_q *= by_distance, gamma_k *= by_distance;
            Four keys;
            isize live = min_size(4, list->count - e);
            for (isize r = 0; r < live; r++) {
                bent[s] += gamma_q[r];
                dshare[s] -= (double)g[r] * (double)(job->root ? whole[r] : distance[s][r]);
                if (list->near) {
                    real *slope = job->slopes + 2 * ((list->first + e + r) * spaces->count + s);
                    slope[0] = beta[r], slope[1] = gamma_k[r];
                    continue;
                }
                keys.to[r] = job->dk + at[r] * job->dk_step + space->at;
                keys.before[r] = job->none ? job->none : keys.to[r];
                keys.row[r] = point_at(&job->keys, at[r], s);
                keys.factor[r] = fact_at(&job->keys, at[r], s).factor;
                keys.beta[r] = beta[r], keys.gamma[r] = gamma_k[r];
            }
            if (list->near) continue;
            const real *x = q + space->at;
            if (live == 4) add_slopes(4, &keys, 0, x, space->width, dq + space->at);
            else
                for (int r = 0; r < live; r++)
                    add_slopes(1, &keys, r, x, space->width, dq + space->at);
        }
    }
    for (int s = 0; s < spaces->count; s++) {
        const Space *space = &spaces->space[s];
        const real *x = q + space->at;
        add_rows(1, &x, bent + s, space->width, dq + space->at);
        if (!list->near) continue;
        ByHead rows = {(real *)job->keys.data + space->at, 0, 1, space->width, job->keys.step, 0};
        int scaled = space->kind == SHEET || space->kind == SPHERE;
        for (isize e = 0; scaled && e < list->count; e++)
            gs[e] = fact_at(&job->keys, member(list, e), s).factor;
        edge_pull(list->near, &rows, list->first, list->count,
                  job->slopes + 2 * (list->first * spaces->count + s), 2 * spaces->count,
                  scaled ? gs : 0, x, dq + space->at);
    }
}

Status KERNEL(metric_vjp)(Call *call) {
    const Array *a = call->array, *q = &a[metric_vjp_q], *k = &a[metric_vjp_k],
                *weights = &a[metric_vjp_weights];
    const Array *grad = &a[metric_vjp_dweights], *dq = &a[metric_vjp_dq], *dk = &a[metric_vjp_dk],
                *dshare = &a[metric_vjp_dshare], *slopes = &a[metric_vjp_slopes],
                *inner = &a[metric_vjp_inner];
    const Array *indptr = &a[metric_vjp_indptr], *indices = &a[metric_vjp_indices];
    isize m = len(q, 2), n = len(k, 2), d = len(q, 1);
    Neighbors lists, *near = 0;
    Spaces spaces;
    if (!get_spaces(&a[metric_vjp_spaces], d, &spaces))
        return wrong(call, "metric_vjp: no such spaces");
    if (given(indptr) != given(indices) || given(dk) == given(indptr) ||
        given(slopes) != given(indptr) || given(inner) != given(indptr))
        return DECLINED;
    if (given(indptr)) {
        if (!slopes->contiguous) return DECLINED;
        if (q->ndim > 2 || k->ndim > 2 || weights->ndim != 1 || grad->ndim != 1) return DECLINED;
        if (!get_neighbors(indptr, indices, m, n, &lists))
            return wrong(call, "metric_vjp: indptr or indices do not fit");
        near = &lists;
    }
    isize edges = near ? lists.edges : n, core = near ? 1 : 2;
    if (len(k, 1) != d || len(dq, 1) != d || len(dq, 2) != m || weights->ndim < core ||
        grad->ndim < core || len(weights, 1) != edges || len(grad, 1) != edges ||
        (core == 2 && (len(weights, 2) != m || len(grad, 2) != m)) ||
        (!near && (!same_batch(dq, dk) || len(dk, 1) != d || len(dk, 2) != n)) ||
        (near &&
         (dq->ndim > 2 || slopes->shape[0] != edges || slopes->shape[1] != spaces.count ||
          slopes->shape[2] != 2 || inner->shape[0] != m || inner->shape[1] != d)) ||
        dshare->shape[0] != m || dshare->shape[1] != spaces.count)
        return wrong(call, "metric_vjp: shapes differ");
    Batch batch;
    batch_start(&batch, dq, 2);
    int at_dq = batch_add(&batch, dq, 2), at_dk = near ? 0 : batch_add(&batch, dk, 2),
        at_q = batch_add(&batch, q, 2), at_k = batch_add(&batch, k, 2);
    int at_w = near ? 0 : batch_add(&batch, weights, 2),
        at_g = near ? 0 : batch_add(&batch, grad, 2);
    if (at_dk < 0 || at_q < 0 || at_k < 0 || at_w < 0 || at_g < 0)
        return wrong(call, "metric_vjp: leading axes do not broadcast");
    isize most = round_up(near ? lists.longest : n, 4) + 4, facts = n * spaces.count;
    real *gs = workspace_get((usize)(most + 2 * round_up(d, 8)) * sizeof(real) +
                             (usize)(facts + spaces.count) * sizeof(Fact));
    if (!gs) return NO_MEMORY;
    real *here = gs + most;
    real *none = here + round_up(d, 8);
    Fact *own = (Fact *)(none + round_up(d, 8)), *key_facts = own + spaces.count;
    for (isize i = 0; i < m; i++)
        for (int s = 0; s < spaces.count; s++)
            *(double *)(dshare->data + i * dshare->strides[0] + s * (isize)sizeof(double)) = 0.0;
    int fine = 1;
    fill(none, d, 0);
    void *state =
        work_begin(2.0 * (double)batch.count * (double)(near ? edges : m * n) * (double)d);
    for (isize b = 0; b < batch.count && fine; b++, batch_next(&batch)) {
        const real *rows = (const real *)batch.at[at_k];
        Slopes job = {{&spaces, rows, step(k, 2), key_facts, 0},
                      call->number[metric_vjp_root] != 0.0,
                      near ? 0 : (real *)batch.at[at_dk],
                      near ? 0 : step(dk, 2),
                      none,
                      (real *)slopes->data};
        fine = all_facts(&spaces, rows, step(k, 2), n, key_facts);
        for (isize i = 0; i < m && fine; i++, job.none = 0) {
            const real *query = (const real *)batch.at[at_q] + i * step(q, 2);
            List list = list_of(near, i, n);
            const real *w = near ? (const real *)weights->data + list.first * step(weights, 1)
                                 : (const real *)batch.at[at_w] + i * step(weights, 2);
            const real *g = near ? (const real *)grad->data + list.first * step(grad, 1)
                                 : (const real *)batch.at[at_g] + i * step(grad, 2);
            real mean = 0, *to = (real *)batch.at[at_dq] + i * step(dq, 2);
            fine = all_facts(&spaces, query, 0, 1, own);
            if (!fine) break;
            for (isize e = 0; e < list.count; e++) mean += w[e] == 0 ? 0 : w[e] * g[e];
            for (isize e = 0; e < list.count; e++) gs[e] = w[e] == 0 ? 0 : w[e] * (g[e] - mean);
            for (isize e = list.count; e < round_up(list.count, 4); e++) gs[e] = 0;
            if (near) here = (real *)inner->data + i * step(inner, 2);
            double *shares = (double *)(dshare->data + i * dshare->strides[0]);
            inner_row(&spaces, query, own, here);
            query_gradient(&job, &list, here, own, gs, to, shares);
            outer_gradient(&spaces, query, own, to);
        }
        for (isize j = 0; j < n && fine && !near; j++)
            outer_gradient(&spaces, rows + j * step(k, 2), key_facts + j * spaces.count,
                           job.dk + j * job.dk_step);
    }
    work_end(state);
    workspace_free(gs);
    return fine ? DONE : DECLINED;
}
