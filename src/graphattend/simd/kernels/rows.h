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

#define scale_row K(scale_row)
void scale_row(real *x, isize n, real factor);
#define row_max K(row_max)
real row_max(const real *x, isize n);
/* 0 unless some entry is infinite or NaN (see note_bad). */
#define note_row K(note_row)
real note_row(const real *x, isize n);

#endif
