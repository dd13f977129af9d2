/* Attention of a few queries that share their keys, with its weights, for scores that are a product
 * plus a bias: first the scores of all keys, then softmax, then the weighted sum. Each block of K
 * and V is read once for all queries. */
#include "few.h"
#include "kernels.h"
#include "softmax.h"

enum { BLOCK = 64, ROWS = 4 };

/* out[i] = sum of K[i] * (q - K[i]), the product less the square of K[i]. */
static void row_products(const real *K, isize stride, isize n, const real *q, isize d, real *out) {
    for (isize i = 0; i < n; i += ROWS) {
        const real *rows[ROWS];
        vw sum[ROWS];
        for (int r = 0; r < ROWS; r++)
            rows[r] = K + min_size(i + r, n - 1) * stride, sum[r] = splatw(0);
        isize k = 0;
        for (; k + WIDE <= d; k += WIDE) {
            vw v = LOADW(q + k);
            for (int r = 0; r < ROWS; r++) {
                vw x = LOADW(rows[r] + k);
                sum[r] = maddw(x, v - x, sum[r]);
            }
        }
        for (isize r = 0; r < min_size(ROWS, n - i); r++) {
            real rest = 0;
            for (isize j = k; j < d; j++) rest += rows[r][j] * (q[j] - rows[r][j]);
            out[i + r] = hsum(fold(sum[r])) + rest;
        }
    }
}

/* Converts products to the input of softmax and returns its maximum. Adds the scores without bias
 * to the test of finiteness. */
static real finish_scores(const Few *f, isize query, real *s, real *bad) {
    const real *bias = f->bias ? f->bias + query * f->bias_query : 0;
    vw sum = splatw(0), top = splatw(MINUS_INFINITY), scale = splatw(f->scale),
       slope = splatw(f->slope);
    isize i = 0, whole_vectors = !bias || f->bias_key == 1;
    for (; whole_vectors && i + WIDE <= f->keys; i += WIDE) {
        vw x = LOADW(s + i) * scale;
        sum = note_badw(sum, x);
        if (bias) x += LOADW(bias + i);
        if (f->slope != 1) x = selectw(x > splatw(0), x, x * slope);
        STOREW(s + i, x);
        top = vmaxw(top, x);
    }
    real peak = MINUS_INFINITY, rest = 0;
    for (int j = 0; j < WIDE; j++)
        if (top[j] > peak) peak = top[j];
    for (; i < f->keys; i++) {
        real x = s[i] * f->scale;
        rest += x * 0;
        if (bias) x += bias[i * f->bias_key];
        if (!(x > 0)) x *= f->slope;
        s[i] = x;
        if (x > peak) peak = x;
    }
    *bad += hsum(fold(sum)) + rest;
    if (!f->mask.allowed && !f->mask.added) return peak;
    Mask mask = f->mask;
    if (mask.allowed) mask.allowed += query * mask.query_step;
    else mask.added += query * mask.query_step;
    apply_mask(s, 0, f->keys, mask);
    return row_max(s, f->keys);
}

real attend_few(const Few *f, Turns *turns) {
    real bad = 0;
    for (isize r = 0; f->positions && r < f->queries; r++)
        turned_dots(turns, f->q + r * f->ldq, f->K, f->ldk, f->positions, f->position_step, f->keys,
                    f->weights + r * f->ldw);
    for (isize first = 0; !f->positions && first < f->keys; first += BLOCK) {
        isize n = min_size(BLOCK, f->keys - first);
        const real *K = f->K + first * f->ldk;
        for (isize r = 0; r < f->queries; r++) {
            const real *q = f->q + r * f->ldq;
            real *s = f->weights + r * f->ldw + first;
            if (f->squares) row_products(K, f->ldk, n, q, f->d, s);
            else row_dots(K, f->ldk, n, q, f->d, s);
        }
    }
    for (isize r = 0; r < f->queries; r++) {
        real *w = f->weights + r * f->ldw, peak = finish_scores(f, r, w, &bad);
        real total = exp_and_sum(w, w, f->keys, safe_peak(peak));
        scale_row(w, f->keys, total > 0 ? 1 / total : 0);
    }
    if (!f->V) return bad;
    for (isize r = 0; r < f->queries; r++) fill(f->out + r * f->ldo, f->e, 0);
    isize block = f->queries == 1 ? f->keys : BLOCK;
    for (isize first = 0; first < f->keys; first += block)
        for (isize r = 0; r < f->queries; r++)
            add_weighted(f->V + first * f->ldv, f->ldv, min_size(block, f->keys - first),
                         f->weights + r * f->ldw + first, f->e, f->out + r * f->ldo);
    for (isize r = 0; r < f->queries; r++) bad += note_row(f->out + r * f->ldo, f->e);
    return bad;
}

static isize step_or_zero(const Array *array, int axis) {
    return len(array, axis) == 1 ? 0 : step(array, axis);
}
static int fits(isize length, isize all) { return length == 1 || length == all; }

/* Whether both have the same axes except the last. Otherwise the smaller one would be written
 * repeatedly. */
static int same_rows(const Array *a, const Array *b) {
    for (int i = 2; i <= a->ndim && a->ndim == b->ndim; i++)
        if (len(a, i) != len(b, i)) return 0;
    return a->ndim == b->ndim;
}

Status KERNEL(attend_few)(Call *call) {
    const Array *q = &call->array[attend_few_q], *k = &call->array[attend_few_k],
                *v = &call->array[attend_few_v];
    const Array *bias = &call->array[attend_few_bias], *weights = &call->array[attend_few_weights];
    const Array *positions = &call->array[attend_few_positions],
                *frequency = &call->array[attend_few_frequency];
    const Array *out = &call->array[attend_few_out];
    isize m = len(q, 2), n = len(k, 2), d = len(k, 1);
    int values = given(v), turns = given(positions);
    if (len(q, 1) != d || len(weights, 2) != m || len(weights, 1) != n)
        return wrong(call, "attend_few: q, k and weights differ");
    if (values != given(out) ||
        (values && (len(v, 2) != n || len(out, 1) != len(v, 1) || !same_rows(out, weights))))
        return wrong(call, "attend_few: k, v and out differ");
    if (given(bias) && (!fits(len(bias, 2), m) || !fits(len(bias, 1), n)))
        return wrong(call, "attend_few: the bias does not fit");
    if (turns != given(frequency) ||
        (turns && (!fits(len(positions, 1), n) || len(frequency, 1) != d / 2)))
        return wrong(call, "attend_few: the positions do not fit");
    Array none = {.kind = ABSENT};
    Limits limits = {&call->array[attend_few_mask], &none, 0, 0, 0};
    Batch batch;
    batch_start(&batch, weights, 2);
    int at_w = batch_add(&batch, weights, 2), at_q = batch_add(&batch, q, 2),
        at_k = batch_add(&batch, k, 2);
    int at_v = values ? batch_add(&batch, v, 2) : 0,
        at_out = values ? batch_add(&batch, out, 2) : 0;
    int at_bias = given(bias) ? batch_add(&batch, bias, 2) : 0,
        at_positions = turns ? batch_add(&batch, positions, 1) : 0;
    if (at_w < 0 || at_q < 0 || at_k < 0 || at_v < 0 || at_out < 0 || at_bias < 0 ||
        at_positions < 0 || !limits_batch(&limits, &batch, m, n))
        return wrong(call, "attend_few: leading axes do not broadcast");
    Few f = {.ldq = step(q, 2),
             .ldk = step(k, 2),
             .ldw = step(weights, 2),
             .queries = m,
             .keys = n,
             .d = d};
    f.scale = (real)call->number[attend_few_scale], f.slope = (real)call->number[attend_few_slope];
    f.squares = call->number[attend_few_squares] != 0;
    if (values) f.ldv = step(v, 2), f.ldo = step(out, 2), f.e = len(v, 1);
    if (given(bias)) f.bias_query = step_or_zero(bias, 2), f.bias_key = step_or_zero(bias, 1);
    isize position_step = turns ? step_or_zero(positions, 1) : 0, count = position_step ? n : 1;
    double *exact = turns ? workspace_get((usize)count * sizeof(double)) : 0;
    if (turns && !exact) return NO_MEMORY;
    f.position_step = position_step ? 1 : 0;
    real bad = 0;
    const real *before = 0;
    Turns table = {0};
    Status status = DONE;
    double work = (double)batch.count * (double)m * (double)n * (double)(d + f.e);
    void *state = turns ? 0 : work_begin(work); /* a table of turns asks the host for memory */
    for (isize b = 0; b < batch.count && status == DONE; b++, batch_next(&batch)) {
        f.q = (const real *)batch.at[at_q], f.K = (const real *)batch.at[at_k],
        f.weights = (real *)batch.at[at_w];
        if (values) f.V = (const real *)batch.at[at_v], f.out = (real *)batch.at[at_out];
        if (given(bias)) f.bias = (const real *)batch.at[at_bias];
        const real *now = turns ? (const real *)batch.at[at_positions] : 0;
        if (now != before) {
            if (before) turns_end(&table);
            before = now;
            for (isize i = 0; i < count; i++) exact[i] = before[i * position_step];
            f.positions = exact;
            status =
                turns_start(&table, (const double *)frequency->data, d,
                            call->number[attend_few_interleaved] != 0, exact, f.position_step, n);
        }
        f.mask = visible_now(&limits, &batch, n).mask;
        if (status == DONE) bad += attend_few(&f, &table);
    }
    work_end(state);
    if (turns) turns_end(&table), workspace_free(exact);
    return status == DONE ? finished(bad) : status;
}
