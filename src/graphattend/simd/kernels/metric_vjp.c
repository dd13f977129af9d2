/* Gradients of the scores of metric.c. Over a graph: metric_rows.c. */
#include "kernels.h"
#include "metric.h"
#include "rows.h"

typedef struct {
    Points keys;
    int root;
    real *dk; /* (keys, width), in inner coordinates until the end */
    isize dk_step;
    const real *none; /* for the first query, zeros in the place of dk, which is not yet written */
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

/* One query: adds to dk and dshare, and writes dq in inner coordinates. gs are the gradients of the
 * scores, with a length that is a multiple of four. */
static void query_gradient(const Slopes *job, const List *list, const real *q, const Fact *own,
                           const real *gs, real *dq, double *dshare) {
    const Spaces *spaces = job->keys.spaces;
    real bent[MOST_SPACES] = {0};
    fill(dq, spaces->width, 0);
    for (isize e = 0; e < list->count; e += 4) {
        isize at[4];
        Sight sight[MOST_SPACES];
        v4 distance[MOST_SPACES], total = splat(0), g = LOAD(gs + e);
        four(list, e, at);
        for (int s = 0; s < spaces->count; s++) {
            sight[s] = sight4(&job->keys, s, at, q, own[s].gap);
            distance[s] = distance4(&spaces->space[s], &sight[s]);
            total = madd(distance[s], distance[s], total);
        }
        v4 whole = vsqrt(total);
        for (int s = 0; s < spaces->count; s++) {
            const Space *space = &spaces->space[s];
            v4 beta, gamma_q, gamma_k,
                by_distance = -g * splat(spaces->space[job->root ? 0 : s].share);
            if (job->root)
                by_distance =
                    by_distance * distance[s] / select((m4)(whole == splat(0)), splat(1), whole);
            slopes4(space, sight[s].square, space->kind == SPHERE ? sight[s].sum : sight[s].gaps,
                    splat(own[s].gap), &beta, &gamma_q, &gamma_k);
            beta *= by_distance, gamma_q *= by_distance, gamma_k *= by_distance;
            Four keys;
            isize live = min_size(4, list->count - e);
            for (isize r = 0; r < live; r++) {
                bent[s] += gamma_q[r];
                dshare[s] -= (double)g[r] * (double)(job->root ? whole[r] : distance[s][r]);
                keys.to[r] = job->dk + at[r] * job->dk_step + space->at;
                keys.before[r] = job->none ? job->none : keys.to[r];
                keys.row[r] = point_at(&job->keys, at[r], s);
                keys.factor[r] = fact_at(&job->keys, at[r], s).factor;
                keys.beta[r] = beta[r], keys.gamma[r] = gamma_k[r];
            }
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
    }
}

Status KERNEL(metric_vjp)(Call *call) {
    const Array *a = call->array, *q = &a[metric_vjp_q], *k = &a[metric_vjp_k],
                *weights = &a[metric_vjp_weights];
    const Array *grad = &a[metric_vjp_dweights], *dq = &a[metric_vjp_dq], *dk = &a[metric_vjp_dk],
                *dshare = &a[metric_vjp_dshare];
    isize m = len(q, 2), n = len(k, 2), d = len(q, 1);
    Spaces spaces;
    if (!get_spaces(&a[metric_vjp_spaces], d, &spaces))
        return wrong(call, "metric_vjp: no such spaces");
    if (len(k, 1) != d || len(dq, 1) != d || len(dq, 2) != m || len(weights, 1) != n ||
        len(grad, 1) != n || len(weights, 2) != m || len(grad, 2) != m || !same_batch(dq, dk) ||
        len(dk, 1) != d || len(dk, 2) != n || dshare->shape[0] != m ||
        dshare->shape[1] != spaces.count)
        return wrong(call, "metric_vjp: shapes differ");
    Batch batch;
    batch_start(&batch, dq, 2);
    int at_dq = batch_add(&batch, dq, 2), at_dk = batch_add(&batch, dk, 2),
        at_q = batch_add(&batch, q, 2), at_k = batch_add(&batch, k, 2);
    int at_w = batch_add(&batch, weights, 2), at_g = batch_add(&batch, grad, 2);
    if (at_dk < 0 || at_q < 0 || at_k < 0 || at_w < 0 || at_g < 0)
        return wrong(call, "metric_vjp: leading axes do not broadcast");
    isize most = round_up(n, 4) + 4, facts = n * spaces.count;
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
    void *state = work_begin(2.0 * (double)batch.count * (double)(m * n) * (double)d);
    for (isize b = 0; b < batch.count && fine; b++, batch_next(&batch)) {
        const real *rows = (const real *)batch.at[at_k];
        Slopes job = {{&spaces, rows, step(k, 2), key_facts, 0},
                      call->number[metric_vjp_root] != 0.0,
                      (real *)batch.at[at_dk],
                      step(dk, 2),
                      none};
        fine = all_facts(&spaces, rows, step(k, 2), n, key_facts);
        for (isize i = 0; i < m && fine; i++, job.none = 0) {
            const real *query = (const real *)batch.at[at_q] + i * step(q, 2);
            List list = list_of(0, i, n);
            const real *w = (const real *)batch.at[at_w] + i * step(weights, 2),
                       *g = (const real *)batch.at[at_g] + i * step(grad, 2);
            real mean = 0, *to = (real *)batch.at[at_dq] + i * step(dq, 2);
            fine = all_facts(&spaces, query, 0, 1, own);
            if (!fine) break;
            for (isize e = 0; e < list.count; e++) mean += w[e] == 0 ? 0 : w[e] * g[e];
            for (isize e = 0; e < list.count; e++) gs[e] = w[e] == 0 ? 0 : w[e] * (g[e] - mean);
            for (isize e = list.count; e < round_up(list.count, 4); e++) gs[e] = 0;
            double *shares = (double *)(dshare->data + i * dshare->strides[0]);
            inner_row(&spaces, query, own, here);
            query_gradient(&job, &list, here, own, gs, to, shares);
            outer_gradient(&spaces, query, own, to);
        }
        for (isize j = 0; j < n && fine; j++)
            outer_gradient(&spaces, rows + j * step(k, 2), key_facts + j * spaces.count,
                           job.dk + j * job.dk_step);
    }
    work_end(state);
    workspace_free(gs);
    return fine ? DONE : DECLINED;
}
