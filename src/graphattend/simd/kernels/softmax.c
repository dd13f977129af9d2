/* Softmax over the last axis, and over the segments of a CSR layout. */
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

/* A separate function, because code after a loop changes V8's use of registers in the loop. */
real exp_blocks(const real *x, real *y, isize n, real peak) {
    const real *t = exp_table();
    vec sum0 = splatv(0), sum1 = sum0, top = splatv(peak);
    real sum = 0;
#if WIDE > 4
    vw wide = splatw(0);
    for (const real *end = x + (n & ~(isize)(4 * WIDE - 1)); x != end;
         x += 4 * WIDE, y += 4 * WIDE, n -= 4 * WIDE) {
        vw e[4];
        for (int k = 0; k < 4; k++) e[k] = LOADW(x + WIDE * k) - splatw(peak);
        exp_wides(4, t, e);
        for (int k = 0; k < 4; k++) STOREW(y + WIDE * k, e[k]);
        wide += (e[0] + e[2]) + (e[1] + e[3]);
    }
    sum = hsum(fold(wide));
#endif
    for (const real *end = x + n; x != end; x += 4 * LANES, y += 4 * LANES) {
        vec e[4];
        for (int k = 0; k < 4; k++) e[k] = LOADV(x + LANES * k) - top;
        exp_vectors(4, t, e);
        for (int k = 0; k < 4; k++) STOREV(y + LANES * k, e[k]);
        sum0 += e[0] + e[2], sum1 += e[1] + e[3];
    }
    return sum + vec_sum(sum0 + sum1);
}

real exp_and_sum(const real *x, real *y, isize n, real peak) {
    const real *t = exp_table();
    isize i = n & ~(isize)(4 * LANES - 1);
    real sum = i ? exp_blocks(x, y, i, peak) : 0;
    vec sums = splatv(0);
    for (; i + LANES <= n; i += LANES) {
        vec e = LOADV(x + i) - splatv(peak);
        exp_vectors(1, t, &e);
        STOREV(y + i, e);
        sums += e;
    }
    if (i < n) { /* the rest in one vector */
        vec e = splatv(MINUS_INFINITY);
        for (isize r = i; r < n; r++) e[r - i] = x[r] - peak;
        exp_vectors(1, t, &e);
        for (isize r = i; r < n; r++) y[r] = e[r - i];
        sums += e;
    }
    return sum + vec_sum(sums);
}

/* A NaN or +inf among the scores must affect the whole row, as in the formula. A maximum that
 * ignores NaN would hide it. A row of -inf gives zeros. */
static void softmax_row(const real *x, real *y, isize n) {
    real peak = row_max(x, n);
    real sum = exp_and_sum(x, y, n, safe_peak(peak));
    real inverse = sum == 0 ? 0 : 1 / sum;
    if (sum != sum || peak == INFINITY) fill(y, n, (real)__builtin_nan(""));
    else scale_row(y, n, inverse);
}

Status KERNEL(softmax)(Call *call) {
    const Array *x = &call->array[softmax_x], *out = &call->array[softmax_out];
    if (x->ndim != out->ndim || len(x, 1) != len(out, 1))
        return wrong(call, "softmax: x and out differ in shape");
    Batch batch;
    batch_start(&batch, out, 1);
    if (batch_add(&batch, out, 1) != 0 || batch_add(&batch, x, 1) != 1)
        return wrong(call, "softmax: x and out differ in shape");
    void *state = work_begin((double)batch.count * (double)len(x, 1));
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        softmax_row((const real *)batch.at[1], (real *)batch.at[0], len(x, 1));
    work_end(state);
    return DONE;
}

/* Segments with several columns (heads) are normalised column by column. */
static void segment_columns(const real *x, real *y, isize n, isize heads, isize ldx, isize ldy) {
    const real *t = exp_table();
    for (isize h = 0; h < heads; h += 4) {
        int lanes = (int)min_size(4, heads - h);
        v4 top = splat(MINUS_INFINITY), sum = splat(0);
        for (isize i = 0; i < n; i++)
            for (int r = 0; r < lanes; r++)
                if (x[i * ldx + h + r] > top[r]) top[r] = x[i * ldx + h + r];
        top = select((m4)(top == splat(MINUS_INFINITY)), splat(0), top);
        for (isize i = 0; i < n; i++) {
            v4 v = splat(0);
            for (int r = 0; r < lanes; r++) v[r] = x[i * ldx + h + r];
            v = exp_small(t, v - top);
            sum += v;
            for (int r = 0; r < lanes; r++) y[i * ldy + h + r] = v[r];
        }
        v4 inverse = select((m4)(sum == splat(0)), splat(0), splat(1) / sum);
        for (isize i = 0; i < n; i++)
            for (int r = 0; r < lanes; r++) y[i * ldy + h + r] *= inverse[r];
    }
}

Status KERNEL(segment_softmax)(Call *call) {
    const Array *x = &call->array[segment_softmax_scores],
                *indptr = &call->array[segment_softmax_indptr];
    const Array *out = &call->array[segment_softmax_out];
    if (out->ndim != x->ndim) return DECLINED;
    isize edges = x->shape[0], heads = x->ndim == 2 ? x->shape[1] : 1,
          segments = indptr->shape[0] - 1;
    if (out->shape[0] != edges || (x->ndim == 2 && out->shape[1] != heads))
        return wrong(call, "segment_softmax: scores and out differ in shape");
    const long long *start = (const long long *)indptr->data;
    if (!segments_valid(start, segments, edges))
        return wrong(call, "segment_softmax: indptr is not a partition of scores");
    const real *from = (const real *)x->data;
    real *to = (real *)out->data;
    isize ldx = x->strides[0] / x->item, ldy = out->strides[0] / out->item;
    for (isize v = 0; v < segments; v++) {
        isize at = (isize)start[v], n = (isize)(start[v + 1] - start[v]);
        if (n == 0) continue;
        if (x->ndim == 1) softmax_row(from + at, to + at, n);
        else segment_columns(from + at * ldx, to + at * ldy, n, heads, ldx, ldy);
    }
    return DONE;
}
