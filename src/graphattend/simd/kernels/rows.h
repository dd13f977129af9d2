/* One vector against the rows of a matrix: dot products and weighted sums. Rows lie `stride` floats apart. */
#ifndef GA_ROWS_H
#define GA_ROWS_H

#include "vec.h"

/* out[i] = q . K[i] */
void row_dots(const float *K, isize stride, isize n, const float *q, isize d, float *out);
/* out[j] += sum_i w[i] V[i][j] */
void add_weighted(const float *V, isize stride, isize n, const float *w, isize d, float *out);

INL float dot(const float *a, const float *b, isize d) {
    float rest = 0.f;
    isize k = 0;
#if WIDE > 4
    fw wide = splatw(0.f);
    for (; k + WIDE <= d; k += WIDE) wide = maddw(LOADW(a + k), LOADW(b + k), wide);
    f4 sum = fold(wide);
#else
    f4 sum = splat(0.f);
#endif
    for (; k + 4 <= d; k += 4) sum = madd(LOAD(a + k), LOAD(b + k), sum);
    for (; k < d; k++) rest += a[k] * b[k];
    return hsum(sum) + rest;
}

/* out[i] = q . rows[i] for `count` rows given by their addresses (count <= 4, a constant at every call). */
INL void dots(const int count, const float *const *rows, const float *q, isize d, float *out) {
    f4 sum[4];
    float tail[4];
    for (int i = 0; i < count; i++) sum[i] = splat(0.f), tail[i] = 0.f;
    isize k = 0;
#if WIDE > 4
    fw wide[4];
    for (int i = 0; i < count; i++) wide[i] = splatw(0.f);
    for (; k + WIDE <= d; k += WIDE) {
        fw v = LOADW(q + k);
        for (int i = 0; i < count; i++) wide[i] = maddw(LOADW(rows[i] + k), v, wide[i]);
    }
    for (int i = 0; i < count; i++) sum[i] = fold(wide[i]);
#endif
    for (; k + 4 <= d; k += 4) {
        f4 v = LOAD(q + k);
        for (int i = 0; i < count; i++) sum[i] = madd(LOAD(rows[i] + k), v, sum[i]);
    }
    for (; k < d; k++)
        for (int i = 0; i < count; i++) tail[i] += rows[i][k] * q[k];
    for (int i = 0; i < count; i++) out[i] = hsum(sum[i]) + tail[i];
}

/* out[j] += sum over rows of w[i] rows[i][j] (count <= 4, a constant at every call). */
INL void add_rows(const int count, const float *const *rows, const float *w, isize d, float *out) {
    f4 weight[4];
    for (int i = 0; i < count; i++) weight[i] = splat(w[i]);
    isize j = 0;
#if WIDE > 4
    for (; j + WIDE <= d; j += WIDE) {
        fw sum = LOADW(out + j);
        for (int i = 0; i < count; i++) sum = maddw(splatw(w[i]), LOADW(rows[i] + j), sum);
        STOREW(out + j, sum);
    }
#endif
    for (; j + 4 <= d; j += 4) {
        f4 sum = LOAD(out + j);
        for (int i = 0; i < count; i++) sum = madd(weight[i], LOAD(rows[i] + j), sum);
        STORE(out + j, sum);
    }
    for (; j < d; j++)
        for (int i = 0; i < count; i++) out[j] += w[i] * rows[i][j];
}

INL void fill(float *x, isize n, float value) {
    for (isize i = 0; i < n; i++) x[i] = value;
}

INL void scale_row(float *x, isize n, float factor) {
    isize i = 0;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {
        fw a = LOADW(x + i), b = LOADW(x + i + WIDE), c = LOADW(x + i + 2 * WIDE), d = LOADW(x + i + 3 * WIDE), f = splatw(factor);
        STOREW(x + i, a * f), STOREW(x + i + WIDE, b * f), STOREW(x + i + 2 * WIDE, c * f), STOREW(x + i + 3 * WIDE, d * f);
    }
    for (; i + 4 <= n; i += 4) STORE(x + i, LOAD(x + i) * splat(factor));
    for (; i < n; i++) x[i] *= factor;
}

INL float row_max(const float *x, isize n) {
    f4 a = splat(MINUS_INFINITY), b = a, c = a, d = a;
    isize i = 0;
#if WIDE > 4
    fw p = splatw(MINUS_INFINITY), q = p, r = p, s = p;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {
        p = vmaxw(p, LOADW(x + i)), q = vmaxw(q, LOADW(x + i + WIDE));
        r = vmaxw(r, LOADW(x + i + 2 * WIDE)), s = vmaxw(s, LOADW(x + i + 3 * WIDE));
    }
    p = vmaxw(vmaxw(p, q), vmaxw(r, s));
    for (int k = 0; k < WIDE; k += 4) a = vmax(a, *(const f4u *)((const float *)&p + k));
#endif
    for (; i + 16 <= n; i += 16) {
        a = vmax(a, LOAD(x + i)), b = vmax(b, LOAD(x + i + 4));
        c = vmax(c, LOAD(x + i + 8)), d = vmax(d, LOAD(x + i + 12));
    }
    for (; i + 4 <= n; i += 4) a = vmax(a, LOAD(x + i));
    float m = hmax(vmax(vmax(a, b), vmax(c, d)));
    for (; i < n; i++)
        if (x[i] > m) m = x[i];
    return m;
}

/* Whether every entry is finite, as a running sum (see note_bad). */
INL f4 note_row(f4 sum, const float *x, isize n) {
    isize i = 0;
#if WIDE > 4
    fw wide = splatw(0.f), other = wide;
    for (; i + 2 * WIDE <= n; i += 2 * WIDE)
        wide = note_badw(wide, LOADW(x + i)), other = note_badw(other, LOADW(x + i + WIDE));
    sum += fold(wide + other);
#endif
    for (; i + 4 <= n; i += 4) sum = note_bad(sum, LOAD(x + i));
    for (; i < n; i++) sum = note_bad(sum, splat(x[i]));
    return sum;
}

#endif
