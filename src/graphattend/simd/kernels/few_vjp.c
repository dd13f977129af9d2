/* Gradients of all inputs of few.c's attention, from its weights. Each block of V and of K is read
 * once for all queries, and each row of their gradients is written once. */
#include "kernels.h"
#include "rotate.h"

enum { BLOCK = 64 };
/* Natively, a second pass over data in the first-level cache is as fast or faster. */
#ifdef __wasm__
enum { ONE_PASS = 1 };
#else
enum { ONE_PASS = 0 };
#endif

typedef struct {
    const real *q, *K, *V, *weights, *grad, *dweights, *slopes; /* the last two may be 0 */
    isize ldq, ldk, ldv, ldw, ldg, lddw, lds, queries, keys, d, e;
    real scale;
    int add; /* whether the gradients by K and V are added to dk and dv */
    real *dq, *dk, *dv, *dscores;
    isize lddq, lddk, lddv, ldds;
    const double *positions; /* or 0 */
    real *more;              /* the gradients by positions, or those by -|k|^2, or 0 */
    isize position_step, ldmore;
} FewVjp;

/* `vectors` vectors of out = (+=, if `add`) factor times the sum over the queries of w[r] x[r]. */
INL void sum_of_rows(const int vectors, const real *w, isize ldw, const real *x, isize ldx,
                     isize queries, real factor, int add, real *out) {
    vw sum[4];
    for (int j = 0; j < vectors; j++) {
        sum[j] = splatw(0);
        if (add) sum[j] = LOADW(out + j * WIDE);
    }
    for (isize r = 0; r < queries; r++) {
        vw weight = splatw(w[r * ldw] * factor);
        for (int j = 0; j < vectors; j++)
            sum[j] = maddw(weight, LOADW(x + r * ldx + j * WIDE), sum[j]);
    }
    for (int j = 0; j < vectors; j++) STOREW(out + j * WIDE, sum[j]);
}

/* out[i] = (+=, if `add`) factor times the sum over the queries of w[r][i] x[r]. */
static void outer_rows(const real *w, isize ldw, const real *x, isize ldx, isize queries, isize n,
                       isize d, real factor, int add, real *out, isize ldo) {
    for (isize i = 0; i < n; i++, w++, out += ldo) {
        isize j = 0;
        for (; j + 4 * WIDE <= d; j += 4 * WIDE)
            sum_of_rows(4, w, ldw, x + j, ldx, queries, factor, add, out + j);
        for (; j + WIDE <= d; j += WIDE)
            sum_of_rows(1, w, ldw, x + j, ldx, queries, factor, add, out + j);
        for (; j < d; j++) {
            if (!add) out[j] = 0;
            for (isize r = 0; r < queries; r++) out[j] += w[r * ldw] * factor * x[r * ldx + j];
        }
    }
}

/* A vector that is stored at `out`, or added to it. */
INL vw onto(int add, const real *out, vw x) {
    if (add) x += LOADW(out);
    return x;
}

/* For one query, in one pass over the rows: the products with y, and out[i] = (+=) w[i] y. */
static void dots_and_outer(const real *x, isize ldx, const real *y, const real *w, isize n, isize d,
                           int add, real *dots, real *out, isize ldo) {
    for (isize i = 0; i < n; i++, x += ldx, out += ldo) {
        vw sum[4], weight = splatw(w[i]);
        real rest = 0;
        isize k = 0;
        for (int j = 0; j < 4; j++) sum[j] = splatw(0);
        for (; k + 4 * WIDE <= d; k += 4 * WIDE)
            for (int j = 0; j < 4; j++) {
                vw g = LOADW(y + k + j * WIDE);
                sum[j] = maddw(LOADW(x + k + j * WIDE), g, sum[j]);
                STOREW(out + k + j * WIDE, onto(add, out + k + j * WIDE, g * weight));
            }
        for (; k + WIDE <= d; k += WIDE) {
            sum[0] = maddw(LOADW(x + k), LOADW(y + k), sum[0]);
            STOREW(out + k, onto(add, out + k, LOADW(y + k) * weight));
        }
        for (; k < d; k++) rest += x[k] * y[k], out[k] = (add ? out[k] : 0) + w[i] * y[k];
        dots[i] = hsum(fold((sum[0] + sum[1]) + (sum[2] + sum[3]))) + rest;
    }
}

/* Likewise of `rows` rows: sum += sum of w[i] x[i], and out[i] = (+=) w[i] factor y. */
INL void add_and_outer(const int rows, const real *x, isize ldx, const real *y, const real *w,
                       real factor, isize d, int add, real *sum, real *out, isize ldo) {
    vw weight[4], scaled[4];
    isize k = 0;
    for (int i = 0; i < rows; i++) weight[i] = splatw(w[i]), scaled[i] = splatw(w[i] * factor);
    for (; k + WIDE <= d; k += WIDE) {
        vw total = LOADW(sum + k), q = LOADW(y + k);
        for (int i = 0; i < rows; i++) {
            total = maddw(LOADW(x + i * ldx + k), weight[i], total);
            real *to = out + i * ldo + k;
            STOREW(to, onto(add, to, q * scaled[i]));
        }
        STOREW(sum + k, total);
    }
    for (; k < d; k++)
        for (int i = 0; i < rows; i++)
            sum[k] += w[i] * x[i * ldx + k],
                out[i * ldo + k] = (add ? out[i * ldo + k] : 0) + w[i] * factor * y[k];
}

/* Adds the gradients by -|k|^2 for n keys from `first` on. Returns a bound of their sizes. */
static real less_squares(const FewVjp *f, isize first, isize n) {
    real most = 0;
    for (isize i = first; i < first + n; i++) {
        const real *k = f->K + i * f->ldk;
        real square = dot(k, k, f->d), sum = 0;
        for (isize r = 0; r < f->queries; r++) {
            real g = f->dscores[r * f->ldds + i];
            f->more[r * f->ldmore] += g * square;
            sum += g;
        }
        most += (sum < 0 ? -sum : sum) * (square + 1);
        sum *= -2 * f->scale;
        add_rows(1, &k, &sum, f->d, f->dk + i * f->lddk);
    }
    return 2 * f->scale * most;
}

/* The largest size of a number, or NaN if one is not finite. */
NOINLINE real largest(const real *x, isize n) {
    vw top = splatw(0);
    isize i = 0;
    for (; i + WIDE <= n; i += WIDE) top = vmaxw(top, vmaxw(LOADW(x + i), -LOADW(x + i)));
    real most = 0;
    for (int j = 0; j < WIDE; j++)
        if (top[j] > most) most = top[j];
    for (; i < n; i++) {
        real size = x[i] < 0 ? -x[i] : x[i];
        if (size > most) most = size;
    }
    return most + note_row(x, n);
}

/* Converts ds from the gradient of the weights (without `dweights`) to that of the scores. Where a
 * weight is zero, its gradient is ignored, even if it is not finite. */
static void score_gradients(const real *w, const real *dweights, const real *slopes, isize n,
                            real *ds) {
    vw sums = splatw(0), none = splatw(0);
    real mean = 0;
    isize i = 0;
    for (; i + WIDE <= n; i += WIDE) {
        vw g = LOADW(ds + i), weight = LOADW(w + i);
        if (dweights) g += LOADW(dweights + i);
        g = selectw((mw)(weight == none), none, g);
        STOREW(ds + i, g);
        sums = maddw(weight, g, sums);
    }
    for (; i < n; i++) {
        ds[i] = w[i] == 0 ? 0 : dweights ? ds[i] + dweights[i] : ds[i];
        mean += w[i] * ds[i];
    }
    mean += hsum(fold(sums));
    for (i = 0; i + WIDE <= n; i += WIDE) {
        vw g = LOADW(w + i) * (LOADW(ds + i) - splatw(mean));
        STOREW(ds + i, slopes ? g * LOADW(slopes + i) : g);
    }
    for (; i < n; i++) ds[i] = w[i] * (ds[i] - mean) * (slopes ? slopes[i] : 1);
}

/* `turns` is set if there are positions. Returns a test of finiteness of all output, except of what
 * dk and dv were before. The outer products need no test: none is larger than the product of the
 * largest numbers. */
static real few_vjp(const FewVjp *f, Turns *turns) {
    real bad = 0, most = 0;
    int one = ONE_PASS && f->queries == 1, turned = f->positions != 0;
    if (one)
        dots_and_outer(f->V, f->ldv, f->grad, f->weights, f->keys, f->e, f->add, f->dscores, f->dv,
                       f->lddv);
    for (isize first = 0; !one && first < f->keys; first += BLOCK) {
        isize n = min_size(BLOCK, f->keys - first);
        for (isize r = 0; r < f->queries; r++)
            row_dots(f->V + first * f->ldv, f->ldv, n, f->grad + r * f->ldg, f->e,
                     f->dscores + r * f->ldds + first);
        outer_rows(f->weights + first, f->ldw, f->grad, f->ldg, f->queries, n, f->e, 1, f->add,
                   f->dv + first * f->lddv, f->lddv);
    }
    for (isize r = 0; r < f->queries; r++) {
        score_gradients(f->weights + r * f->ldw, f->dweights ? f->dweights + r * f->lddw : 0,
                        f->slopes ? f->slopes + r * f->lds : 0, f->keys, f->dscores + r * f->ldds);
        fill(f->dq + r * f->lddq, f->d, 0);
        if (f->more) f->more[r * f->ldmore] = 0;
    }
    for (isize r = 0; turned && r < f->queries; r++)
        turned_gradients(turns, f->q + r * f->ldq, f->K, f->ldk, f->positions, f->position_step,
                         f->keys, f->dscores + r * f->ldds, f->scale, f->add || r > 0, f->dk,
                         f->lddk, f->dq + r * f->lddq, f->more + r * f->ldmore);
    for (isize i = 0, rows; one && !turned && i < f->keys; i += rows) {
        const real *x = f->K + i * f->ldk, *w = f->dscores + i;
        real *out = f->dk + i * f->lddk;
        rows = f->keys - i < 4 ? 1 : 4;
        if (rows == 4)
            add_and_outer(4, x, f->ldk, f->q, w, f->scale, f->d, f->add, f->dq, out, f->lddk);
        else add_and_outer(1, x, f->ldk, f->q, w, f->scale, f->d, f->add, f->dq, out, f->lddk);
        if (f->more) most += less_squares(f, i, rows);
    }
    for (isize first = 0; !one && !turned && first < f->keys; first += BLOCK) {
        isize n = min_size(BLOCK, f->keys - first);
        for (isize r = 0; r < f->queries; r++)
            add_weighted(f->K + first * f->ldk, f->ldk, n, f->dscores + r * f->ldds + first, f->d,
                         f->dq + r * f->lddq);
        outer_rows(f->dscores + first, f->ldds, f->q, f->ldq, f->queries, n, f->d, f->scale, f->add,
                   f->dk + first * f->lddk, f->lddk);
        if (f->more) most += less_squares(f, first, n);
    }
    for (isize r = 0; r < f->queries; r++) {
        most += largest(f->weights + r * f->ldw, f->keys) * largest(f->grad + r * f->ldg, f->e);
        most += (turned ? 2 : 1) * largest(f->dscores + r * f->ldds, f->keys) * f->scale *
            largest(f->q + r * f->ldq, f->d);
        if (turned) bad += note_row(f->more + r * f->ldmore, f->keys);
        scale_row(f->dq + r * f->lddq, f->d, f->scale);
        bad += note_row(f->dq + r * f->lddq, f->d);
    }
    return bad + most * 0;
}

Status KERNEL(attend_few_vjp)(Call *call) {
    const Array *a = call->array;
    const Array *q = &a[attend_few_vjp_q], *k = &a[attend_few_vjp_k], *v = &a[attend_few_vjp_v],
                *weights = &a[attend_few_vjp_weights], *grad = &a[attend_few_vjp_grad],
                *dweights = &a[attend_few_vjp_dweights], *slopes = &a[attend_few_vjp_slopes];
    const Array *dq = &a[attend_few_vjp_dq], *dk = &a[attend_few_vjp_dk],
                *dv = &a[attend_few_vjp_dv], *ds = &a[attend_few_vjp_dscores],
                *more = &a[attend_few_vjp_more];
    const Array *positions = &a[attend_few_vjp_positions],
                *frequency = &a[attend_few_vjp_frequency];
    isize m = len(q, 2), n = len(k, 2), d = len(k, 1), e = len(v, 1);
    if (len(q, 1) != d || len(v, 2) != n || len(weights, 2) != m || len(weights, 1) != n ||
        len(grad, 2) != m || len(grad, 1) != e ||
        (given(dweights) && (len(dweights, 2) != m || len(dweights, 1) != n)) ||
        (given(slopes) && (len(slopes, 2) != m || len(slopes, 1) != n)))
        return wrong(call, "attend_few_vjp: shapes differ");
    if (len(dq, 2) != m || len(dq, 1) != d || len(dk, 2) != n || len(dk, 1) != d ||
        len(dv, 2) != n || len(dv, 1) != e || len(ds, 2) != m || len(ds, 1) != n ||
        !same_batch(ds, dq) || !same_batch(ds, dk) || !same_batch(ds, dv))
        return wrong(call, "attend_few_vjp: gradients have other shapes");
    int turned = given(positions);
    if (given(more) &&
        (len(more, 2) != m || len(more, 1) != (turned ? n : 1) || !same_batch(ds, more)))
        return wrong(call, "attend_few_vjp: the additional gradients have another shape");
    if (turned != given(frequency) ||
        (turned &&
         (!given(more) || (len(positions, 1) != n && len(positions, 1) != 1) ||
          len(frequency, 1) != d / 2)))
        return wrong(call, "attend_few_vjp: the positions do not fit");
    Batch batch;
    batch_start(&batch, ds, 2);
    const Array *all[] = {q,  k,  v,        weights, grad, dq,       dk,
                          dv, ds, dweights, slopes,  more, positions};
    enum { ALL = 13 };
    int at[ALL];
    for (int i = 0; i < ALL; i++)
        if (given(all[i]) && (at[i] = batch_add(&batch, all[i], i == ALL - 1 ? 1 : 2)) < 0)
            return wrong(call, "attend_few_vjp: leading axes do not broadcast");
    FewVjp f = {.ldq = step(q, 2),
                .ldk = step(k, 2),
                .ldv = step(v, 2),
                .ldw = step(weights, 2),
                .ldg = step(grad, 2),
                .lddw = given(dweights) ? step(dweights, 2) : 0,
                .lds = given(slopes) ? step(slopes, 2) : 0,
                .queries = m,
                .keys = n,
                .d = d,
                .e = e,
                .scale = (real)call->number[attend_few_vjp_scale],
                .add = call->number[attend_few_vjp_add] != 0,
                .lddq = step(dq, 2),
                .lddk = step(dk, 2),
                .lddv = step(dv, 2),
                .ldds = step(ds, 2),
                .ldmore = given(more) ? step(more, 2) : 0,
                .position_step = turned && len(positions, 1) == n ? step(positions, 1) : 0};
    real bad = 0;
    Turns turns = {0};
    Status status = DONE;
    double work = 2.0 * (double)batch.count * (double)m * (double)n * (double)(d + e);
    void *state = turned ? 0 : work_begin(work); /* a table of turns asks the host for memory */
    for (isize b = 0; b < batch.count && status == DONE; b++, batch_next(&batch)) {
        char *const *here = batch.at;
        f.q = (const real *)here[at[0]], f.K = (const real *)here[at[1]],
        f.V = (const real *)here[at[2]], f.weights = (const real *)here[at[3]],
        f.grad = (const real *)here[at[4]], f.dq = (real *)here[at[5]], f.dk = (real *)here[at[6]],
        f.dv = (real *)here[at[7]], f.dscores = (real *)here[at[8]];
        if (given(dweights)) f.dweights = (const real *)here[at[9]];
        if (given(slopes)) f.slopes = (const real *)here[at[10]];
        if (given(more)) f.more = (real *)here[at[11]];
        if (turned) {
            f.positions = (const double *)here[at[12]];
            status = turns_start(&turns, (const double *)frequency->data, d,
                                 call->number[attend_few_vjp_interleaved] != 0, f.positions,
                                 f.position_step, n);
        }
        if (status == DONE) bad += few_vjp(&f, &turns);
        if (turned) turns_end(&turns);
    }
    work_end(state);
    return status == DONE ? finished(bad) : status;
}
