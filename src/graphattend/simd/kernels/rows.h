/* One vector with the rows of a matrix: dot products and weighted sums. Rows are `stride` elements
 * apart. */
#ifndef GA_ROWS_H
#define GA_ROWS_H

#include "vec.h"

/* out[i] = q . K[i] */
#define row_dots K(row_dots)
void row_dots(const real *K, isize stride, isize n, const real *q, isize d, real *out);
/* out[j] += sum_i w[i] V[i][j] */
#define add_weighted K(add_weighted)
void add_weighted(const real *V, isize stride, isize n, const real *w, isize d, real *out);

INL real dot(const real *a, const real *b, isize d) {
    real rest = 0;
    isize k = 0;
#if WIDE > 4
    vw wide = splatw(0);
    for (; k + WIDE <= d; k += WIDE) wide = maddw(LOADW(a + k), LOADW(b + k), wide);
    vec sum = fold(wide);
#else
    vec sum = splatv(0);
#endif
    vec other = splatv(0);
    for (; k + 2 * LANES <= d; k += 2 * LANES) {
        sum = maddv(LOADV(a + k), LOADV(b + k), sum);
        other = maddv(LOADV(a + k + LANES), LOADV(b + k + LANES), other);
    }
    for (; k + LANES <= d; k += LANES) sum = maddv(LOADV(a + k), LOADV(b + k), sum);
    for (; k < d; k++) rest += a[k] * b[k];
    return vec_sum(sum + other) + rest;
}

/* out[i] = q . rows[i] for `count` rows given by their addresses (count <= 4, a constant at every
 * call). */
INL void dots(const int count, const real *const *rows, const real *q, isize d, real *out) {
    vec sum[4];
    real tail[4];
    for (int i = 0; i < count; i++) sum[i] = splatv(0), tail[i] = 0;
    isize k = 0;
#if WIDE > 4
    vw wide[4];
    for (int i = 0; i < count; i++) wide[i] = splatw(0);
    for (; k + WIDE <= d; k += WIDE) {
        vw v = LOADW(q + k);
        for (int i = 0; i < count; i++) wide[i] = maddw(LOADW(rows[i] + k), v, wide[i]);
    }
    for (int i = 0; i < count; i++) sum[i] = fold(wide[i]);
#endif
    for (; k + LANES <= d; k += LANES) {
        vec v = LOADV(q + k);
        for (int i = 0; i < count; i++) sum[i] = maddv(LOADV(rows[i] + k), v, sum[i]);
    }
    for (; k < d; k++)
        for (int i = 0; i < count; i++) tail[i] += rows[i][k] * q[k];
    if (count == 4) {
        v4 rest = {tail[0], tail[1], tail[2], tail[3]};
        STORE(out, vec_sum4(sum[0], sum[1], sum[2], sum[3]) + rest);
        return;
    }
    for (int i = 0; i < count; i++) out[i] = vec_sum(sum[i]) + tail[i];
}

/* out[j] += sum over rows of w[i] rows[i][j] (count <= 4, a constant at every call). */
INL void add_rows(const int count, const real *const *rows, const real *w, isize d, real *out) {
    vec weight[4];
    for (int i = 0; i < count; i++) weight[i] = splatv(w[i]);
    isize j = 0;
#if WIDE > 4
    for (; j + WIDE <= d; j += WIDE) {
        vw sum = LOADW(out + j);
        for (int i = 0; i < count; i++) sum = maddw(splatw(w[i]), LOADW(rows[i] + j), sum);
        STOREW(out + j, sum);
    }
#endif
    for (; j + LANES <= d; j += LANES) {
        vec sum = LOADV(out + j);
        for (int i = 0; i < count; i++) sum = maddv(weight[i], LOADV(rows[i] + j), sum);
        STOREV(out + j, sum);
    }
    for (; j < d; j++)
        for (int i = 0; i < count; i++) out[j] += w[i] * rows[i][j];
}

INL void fill(real *x, isize n, real value) {
    for (isize i = 0; i < n; i++) x[i] = value;
}

INL void copy_row(const real *from, isize n, real *to) {
    for (isize i = 0; i < n; i++) to[i] = from[i];
}

SHARED void scale_row(real *x, isize n, real factor) {
    isize i = 0;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {
        vw a = LOADW(x + i), b = LOADW(x + i + WIDE), c = LOADW(x + i + 2 * WIDE),
           d = LOADW(x + i + 3 * WIDE), f = splatw(factor);
        STOREW(x + i, a * f), STOREW(x + i + WIDE, b * f), STOREW(x + i + 2 * WIDE, c * f),
            STOREW(x + i + 3 * WIDE, d * f);
    }
    for (; i + LANES <= n; i += LANES) STOREV(x + i, LOADV(x + i) * splatv(factor));
    for (; i < n; i++) x[i] *= factor;
}

SHARED real row_max(const real *x, isize n) {
    vw p = splatw(MINUS_INFINITY), q = p, r = p, s = p;
    isize i = 0;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {
        p = vmaxw(p, LOADW(x + i)), q = vmaxw(q, LOADW(x + i + WIDE));
        r = vmaxw(r, LOADW(x + i + 2 * WIDE)), s = vmaxw(s, LOADW(x + i + 3 * WIDE));
    }
    p = vmaxw(vmaxw(p, q), vmaxw(r, s));
    vec top = narrow_max(p);
    for (; i + LANES <= n; i += LANES) top = vmaxv(top, LOADV(x + i));
    real m = top[0];
    for (int k = 1; k < LANES; k++)
        if (top[k] > m) m = top[k];
    for (; i < n; i++)
        if (x[i] > m) m = x[i];
    return m;
}

/* 0 unless some entry is infinite or NaN (see note_bad). */
SHARED real note_row(const real *x, isize n) {
    vw wide = splatw(0), other = wide;
    vec last = splatv(0);
    real rest = 0;
    isize i = 0;
    for (; i + 2 * WIDE <= n; i += 2 * WIDE)
        wide = note_badw(wide, LOADW(x + i)), other = note_badw(other, LOADW(x + i + WIDE));
    for (; i + LANES <= n; i += LANES) last += LOADV(x + i) * splatv(0);
    for (; i < n; i++) rest += x[i] * 0;
    return hsum(fold(wide + other)) + vec_sum(last) + rest;
}

#endif
