/* One vector against the rows of a matrix: dot products and weighted sums. Rows lie `stride` floats apart. */
#ifndef GA_ROWS_H
#define GA_ROWS_H

#include "vec.h"

/* out[i] = q . rows[i] for `count` rows given by their addresses (count <= 4, a constant at every call). */
INL void dots(const int count, const float *const *rows, const float *q, isize d, float *out) {
    f4 sum[4];
    float tail[4];
    for (int i = 0; i < count; i++) sum[i] = splat(0.f), tail[i] = 0.f;
    isize k = 0;
    for (; k + 4 <= d; k += 4) {
        f4 v = LOAD(q + k);
        for (int i = 0; i < count; i++) sum[i] = madd(LOAD(rows[i] + k), v, sum[i]);
    }
    for (; k < d; k++)
        for (int i = 0; i < count; i++) tail[i] += rows[i][k] * q[k];
    for (int i = 0; i < count; i++) out[i] = hsum(sum[i]) + tail[i];
}

/* Reading rows in fours, hardware prefetches badly. One load from each cache line of the next four rows, a step ahead, brings
 * memory to the speed of the first-level cache; it needs rows without gaps (`ahead`, a constant at every call). */
INL void touch(const float *line) { (void)*(const volatile float *)line; }
INL int may_touch(isize stride, isize d, isize left) { return stride == d && left >= 8; }

/* Four rows, `stride` apart, against q: out[i] = q . rows[i]. */
INL void dot_four(const int ahead, const float *rows, isize stride, const float *q, isize d, float *out) {
    const float *next = rows + 4 * stride, *end = q + (d & ~(isize)7);
    f4 s0 = splat(0.f), s1 = s0, s2 = s0, s3 = s0;
#pragma GCC unroll 1
    for (; q != end; q += 8, rows += 8) {
        f4 x = LOAD(q), y = LOAD(q + 4);
        if (ahead) touch(next), touch(next + 16), next += 32;
        s0 = madd(LOAD(rows), x, s0), s1 = madd(LOAD(rows + stride), x, s1);
        s2 = madd(LOAD(rows + 2 * stride), x, s2), s3 = madd(LOAD(rows + 3 * stride), x, s3);
        s0 = madd(LOAD(rows + 4), y, s0), s1 = madd(LOAD(rows + stride + 4), y, s1);
        s2 = madd(LOAD(rows + 2 * stride + 4), y, s2), s3 = madd(LOAD(rows + 3 * stride + 4), y, s3);
    }
    f4 sum = hsum4(s0, s1, s2, s3);
    for (isize k = 0; k < (d & 7); k++)
        sum = madd(splat(q[k]), (f4){rows[k], rows[stride + k], rows[2 * stride + k], rows[3 * stride + k]}, sum);
    STORE(out, sum);
}

/* out[i] = q . K[i] */
static inline void row_dots(const float *K, isize stride, isize n, const float *q, isize d, float *out) {
    isize i = 0;
    for (; may_touch(stride, d, n - i); i += 4) dot_four(1, K + i * stride, stride, q, d, out + i);
    for (; i + 4 <= n; i += 4) dot_four(0, K + i * stride, stride, q, d, out + i);
    for (; i < n; i++) {
        const float *row = K + i * stride;
        dots(1, &row, q, d, out + i);
    }
}

/* out[j] += sum over rows of w[i] rows[i][j] (count <= 4, a constant at every call). */
INL void add_rows(const int count, const float *const *rows, const float *w, isize d, float *out) {
    f4 weight[4];
    for (int i = 0; i < count; i++) weight[i] = splat(w[i]);
    isize j = 0;
    for (; j + 4 <= d; j += 4) {
        f4 sum = LOAD(out + j);
        for (int i = 0; i < count; i++) sum = madd(weight[i], LOAD(rows[i] + j), sum);
        STORE(out + j, sum);
    }
    for (; j < d; j++)
        for (int i = 0; i < count; i++) out[j] += w[i] * rows[i][j];
}

/* out[j] += sum of w[i] rows[i][j] over four rows, `stride` apart. */
INL void add_four(const int ahead, const float *rows, isize stride, const float *w, isize d, float *out) {
    const float *next = rows + 4 * stride, *end = out + (d & ~(isize)7);
    f4 w0 = splat(w[0]), w1 = splat(w[1]), w2 = splat(w[2]), w3 = splat(w[3]);
#pragma GCC unroll 1
    for (; out != end; out += 8, rows += 8) {
        f4 x = LOAD(out), y = LOAD(out + 4);
        if (ahead) touch(next), touch(next + 16), next += 32;
        x = madd(w0, LOAD(rows), x), y = madd(w0, LOAD(rows + 4), y);
        x = madd(w1, LOAD(rows + stride), x), y = madd(w1, LOAD(rows + stride + 4), y);
        x = madd(w2, LOAD(rows + 2 * stride), x), y = madd(w2, LOAD(rows + 2 * stride + 4), y);
        x = madd(w3, LOAD(rows + 3 * stride), x), y = madd(w3, LOAD(rows + 3 * stride + 4), y);
        STORE(out, x), STORE(out + 4, y);
    }
    for (isize j = 0; j < (d & 7); j++)
        out[j] += w[0] * rows[j] + w[1] * rows[stride + j] + w[2] * rows[2 * stride + j] + w[3] * rows[3 * stride + j];
}

/* out[j] += sum_i w[i] V[i][j] */
static inline void add_weighted(const float *V, isize stride, isize n, const float *w, isize d, float *out) {
    isize i = 0;
    for (; may_touch(stride, d, n - i); i += 4) add_four(1, V + i * stride, stride, w + i, d, out);
    for (; i + 4 <= n; i += 4) add_four(0, V + i * stride, stride, w + i, d, out);
    for (; i < n; i++) {
        const float *row = V + i * stride;
        add_rows(1, &row, w + i, d, out);
    }
}

INL void fill(float *x, isize n, float value) {
    for (isize i = 0; i < n; i++) x[i] = value;
}

INL void scale_row(float *x, isize n, float factor) {
    isize i = 0;
    for (; i + 16 <= n; i += 16) {
        f4 a=LOAD(x+i), b=LOAD(x+i+4), c=LOAD(x+i+8), d=LOAD(x+i+12), f=splat(factor);
        STORE(x+i,a*f), STORE(x+i+4,b*f), STORE(x+i+8,c*f), STORE(x+i+12,d*f);
    }
    for (; i + 4 <= n; i += 4) STORE(x + i, LOAD(x + i) * splat(factor));
    for (; i < n; i++) x[i] *= factor;
}

INL float row_max(const float *x, isize n) {
    f4 a = splat(MINUS_INFINITY), b = a, c = a, d = a;
    isize i = 0;
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
    for (; i + 4 <= n; i += 4) sum = note_bad(sum, LOAD(x + i));
    for (; i < n; i++) sum = note_bad(sum, splat(x[i]));
    return sum;
}

#endif
