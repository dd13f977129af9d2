/* Softmax over the last axis, and over the segments of a CSR layout. */
#include "args.h"
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

/* Alone in its function, as what follows a loop changes V8's registers in it. */
f4 exp_sixteens(const float *x, float *y, isize n, float peak) {
    const float *t = exp_table();
    f4 sum0 = splat(0.f), sum1 = sum0, top = splat(peak);
#if WIDE > 4
    fw wide = splatw(0.f);
    for (const float *end = x + (n & ~(isize)(4 * WIDE - 1)); x != end; x += 4 * WIDE, y += 4 * WIDE, n -= 4 * WIDE) {
        fw e[4];
        for (int k = 0; k < 4; k++) e[k] = LOADW(x + WIDE * k) - splatw(peak);
        exp_wides(4, t, e);
        for (int k = 0; k < 4; k++) STOREW(y + WIDE * k, e[k]);
        wide += (e[0] + e[2]) + (e[1] + e[3]);
    }
    sum0 = fold(wide);
#endif
    for (const float *end = x + n; x != end; x += 16, y += 16) {
        f4 e[4];
        for (int k = 0; k < 4; k++) e[k] = LOAD(x + 4 * k) - top;
        exp_vectors(4, t, e);
        for (int k = 0; k < 4; k++) STORE(y + 4 * k, e[k]);
        sum0 += e[0] + e[2], sum1 += e[1] + e[3];
    }
    return sum0 + sum1;
}

/* A NaN or +inf among the scores must show in the whole row, as it does in the formula: the maximum that ignores NaN would
 * hide it. A row of -inf only gives zeros. */
static void softmax_row(const float *x, float *y, isize n) {
    float peak = row_max(x, n);
    float sum = exp_and_sum(x, y, n, safe_peak(peak));
    float inverse = sum == 0.f ? 0.f : 1.f / sum;
    if (sum != sum || peak == __builtin_inff()) fill(y, n, __builtin_nanf(""));
    else scale_row(y, n, inverse);
}

static void softmax_row64(const double *x, double *y, isize n) {
    d2 top = splatd(-__builtin_inf());
    isize i = 0;
    for (; i + 2 <= n; i += 2) top = vmaxd(top, LOADD(x + i));
    double peak = top[0] > top[1] ? top[0] : top[1];
    for (; i < n; i++)
        if (x[i] > peak) peak = x[i];
    d2 shift = splatd(peak == -__builtin_inf() ? 0.0 : peak), sums = splatd(0.0);
    for (i = 0; i + 2 <= n; i += 2) {
        d2 e = exp_double(LOADD(x + i) - shift);
        STORED(y + i, e);
        sums += e;
    }
    double sum = sums[0] + sums[1];
    for (; i < n; i++) {
        y[i] = exp_double(splatd(x[i]) - shift)[0];
        sum += y[i];
    }
    double inverse = sum == 0.0 ? 0.0 : 1.0 / sum;
    for (i = 0; i < n; i++) y[i] *= inverse;
}

/* softmax(x, out) -> True, or None */
PyObject *kernel_softmax(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 2) return wrong_count();
    Kind kind = array_kind(args[0]);
    Array x, out;
    if (kind != FLOAT32 && kind != FLOAT64) return declined();
    if (!get_array(args[0], kind, 1, &x) || !get_output(args[1], kind, 1, &out) || !disjoint(&x, &out)) return declined();
    if (x.ndim != out.ndim || len(&x, 1) != len(&out, 1)) return wrong_value("softmax: x and out differ in shape");
    Batch batch;
    batch_start(&batch, &out, 1);
    if (batch_add(&batch, &out, 1) != 0 || batch_add(&batch, &x, 1) != 1)
        return wrong_value("softmax: x and out differ in shape");
    void *python = release_python((double)batch.count * (double)len(&x, 1));
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        if (kind == FLOAT32) softmax_row((const float *)batch.at[1], (float *)batch.at[0], len(&x, 1));
        else softmax_row64((const double *)batch.at[1], (double *)batch.at[0], len(&x, 1));
    }
    regain_python(python);
    return boolean(1);
}

/* segment_softmax(scores (K,) or (K, H), indptr (V+1,) int64, out) -> True, or None.
 * Segments with several columns (heads) are normalised column by column. */
static void segment_columns(const float *x, float *y, isize n, isize heads, isize ldx, isize ldy) {
    const float *t = exp_table();
    for (isize h = 0; h < heads; h += 4) {
        int lanes = (int)min_size(4, heads - h);
        f4 top = splat(MINUS_INFINITY), sum = splat(0.f);
        for (isize i = 0; i < n; i++)
            for (int r = 0; r < lanes; r++)
                if (x[i * ldx + h + r] > top[r]) top[r] = x[i * ldx + h + r];
        top = select((i4)(top == splat(MINUS_INFINITY)), splat(0.f), top);
        for (isize i = 0; i < n; i++) {
            f4 v = splat(0.f);
            for (int r = 0; r < lanes; r++) v[r] = x[i * ldx + h + r];
            v = exp_small(t, v - top);
            sum += v;
            for (int r = 0; r < lanes; r++) y[i * ldy + h + r] = v[r];
        }
        f4 inverse = select((i4)(sum == splat(0.f)), splat(0.f), splat(1.f) / sum);
        for (isize i = 0; i < n; i++)
            for (int r = 0; r < lanes; r++) y[i * ldy + h + r] *= inverse[r];
    }
}

PyObject *kernel_segment_softmax(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 3) return wrong_count();
    Array x, indptr, out;
    if (!get_array(args[0], FLOAT32, 1, &x) || !get_array(args[1], INT64, 1, &indptr) ||
        !get_output(args[2], FLOAT32, 1, &out) || !disjoint(&x, &out) || !disjoint(&indptr, &out))
        return declined();
    if (x.ndim > 2 || indptr.ndim != 1 || out.ndim != x.ndim) return declined();
    isize edges = x.shape[0], heads = x.ndim == 2 ? x.shape[1] : 1, segments = indptr.shape[0] - 1;
    if (out.shape[0] != edges || (x.ndim == 2 && out.shape[1] != heads))
        return wrong_value("segment_softmax: scores and out differ in shape");
    if (indptr.shape[0] > 1 && indptr.strides[0] != 8) return declined();
    const long long *start = (const long long *)indptr.data;
    if (!segments_valid(start, segments, edges)) return wrong_value("segment_softmax: indptr is not a partition of scores");
    const float *from = (const float *)x.data;
    float *to = (float *)out.data;
    isize ldx = x.strides[0] / 4, ldy = out.strides[0] / 4;
    for (isize v = 0; v < segments; v++) {
        isize at = (isize)start[v], n = (isize)(start[v + 1] - start[v]);
        if (n == 0) continue;
        if (x.ndim == 1) softmax_row(from + at, to + at, n);
        else segment_columns(from + at * ldx, to + at * ldy, n, heads, ldx, ldy);
    }
    return boolean(1);
}
