/* Attention of one query: scores, softmax and weighted sum in blocks of keys. K and V are read once
 * and in long runs, because the hardware's prefetching restarts at each change between them. Online
 * softmax: Milakov and Gimelshein, arXiv:1805.02867. */
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

enum { BLOCK = 1024 };

/* x times factor, in place. Returns the maximum; adds to the test *bad (see is_bad). */
static real scale_and_check(real *x, isize n, real factor, real *bad) {
    vw top = splatw(MINUS_INFINITY), second = top, sum = splatw(0), other = sum, f = splatw(factor);
    isize i = 0;
    for (; i + 2 * WIDE <= n; i += 2 * WIDE) {
        vw a = LOADW(x + i) * f, b = LOADW(x + i + WIDE) * f;
        STOREW(x + i, a), STOREW(x + i + WIDE, b);
        sum = note_badw(sum, a), other = note_badw(other, b);
        top = vmaxw(top, a), second = vmaxw(second, b);
    }
    top = vmaxw(top, second);
    real peak = top[0], rest = 0;
    for (int k = 1; k < WIDE; k++)
        if (top[k] > peak) peak = top[k];
    for (; i < n; i++) {
        x[i] *= factor;
        rest += x[i] * 0;
        if (x[i] > peak) peak = x[i];
    }
    *bad += hsum(fold(sum + other)) + rest;
    return peak;
}

real attend_one(const real *q, const real *K, isize ldk, const real *V, isize ldv, isize n, isize d,
                isize e, real scale, Mask mask, real *out, real *stats) {
    real scores[BLOCK] __attribute__((aligned(64)));
    real peak = MINUS_INFINITY, sum = 0;
    real bad = 0;
    fill(out, e, 0);
    for (isize first = 0; first < n; first += BLOCK) {
        isize block = min_size(BLOCK, n - first);
        row_dots(K + first * ldk, ldk, block, q, d, scores);
        real block_peak = scale_and_check(scores, block, scale, &bad);
        if (mask.allowed || mask.added) {
            apply_mask(scores, first, block, mask);
            block_peak = row_max(scores, block);
        }
        if (block_peak > peak) {
            real shrink = exp_scalar(peak - block_peak); /* 0 the first time */
            sum *= shrink;
            if (first) scale_row(out, e, shrink);
            peak = block_peak;
        }
        sum += exp_and_sum(scores, scores, block, safe_peak(peak));
        add_weighted(V + first * ldv, ldv, block, scores, e, out);
    }
    scale_row(out, e, sum > 0 ? 1 / sum : 0);
    if (stats) stats[0] = peak, stats[1] = sum;
    return bad + note_row(out, e);
}

Status KERNEL(attend_one)(Call *call) {
    const Array *q = &call->array[attend_one_q], *k = &call->array[attend_one_k],
                *v = &call->array[attend_one_v];
    const Array *out = &call->array[attend_one_out];
    real scale = (real)call->number[attend_one_scale];
    isize n = len(k, 2), d = len(k, 1), e = len(v, 1);
    if (len(q, 1) != d) return wrong(call, "attend_one: q and k differ in their last axis");
    if (len(v, 2) != n) return wrong(call, "attend_one: k and v differ in the number of keys");
    if (len(out, 1) != e) return wrong(call, "attend_one: out and v differ in their last axis");
    Batch batch;
    batch_start(&batch, out, 1);
    Array none = {.kind = ABSENT};
    Limits limits = {&call->array[attend_one_mask], &none, 0, 0, 0};
    if (batch_add(&batch, out, 1) < 0 || batch_add(&batch, q, 1) < 0 ||
        batch_add(&batch, k, 2) < 0 || batch_add(&batch, v, 2) < 0 ||
        !limits_batch(&limits, &batch, 1, n))
        return wrong(call, "attend_one: leading axes do not broadcast");
    real bad = 0;
    void *state = work_begin((double)batch.count * (double)n * (double)(d + e));
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        bad += attend_one((const real *)batch.at[1], (const real *)batch.at[2], step(k, 2),
                          (const real *)batch.at[3], step(v, 2), n, d, e, scale,
                          visible_now(&limits, &batch, n).mask, (real *)batch.at[0], 0);
    work_end(state);
    return finished(bad);
}
