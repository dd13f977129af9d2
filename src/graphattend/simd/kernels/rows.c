/* Several rows of a matrix at a time against one vector: dot products and weighted sums. The form of the loops matters for V8:
 * what it cannot keep in registers costs more than the multiply-adds. */
#include "rows.h"

#if WIDE > 4
/* Where the vectors are wide, row after row suits the hardware's prefetching. */
INL f4 long_dot(const float *a, const float *b, isize d) {
    fw sum0 = splatw(0.f), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    isize k = 0;
    for (; k + 4 * WIDE <= d; k += 4 * WIDE) {
        sum0 = maddw(LOADW(a + k), LOADW(b + k), sum0);
        sum1 = maddw(LOADW(a + k + WIDE), LOADW(b + k + WIDE), sum1);
        sum2 = maddw(LOADW(a + k + 2 * WIDE), LOADW(b + k + 2 * WIDE), sum2);
        sum3 = maddw(LOADW(a + k + 3 * WIDE), LOADW(b + k + 3 * WIDE), sum3);
    }
    for (; k + WIDE <= d; k += WIDE) sum0 = maddw(LOADW(a + k), LOADW(b + k), sum0);
    f4 sum = fold((sum0 + sum1) + (sum2 + sum3));
    for (; k + 4 <= d; k += 4) sum = madd(LOAD(a + k), LOAD(b + k), sum);
    for (; k < d; k++) sum[0] += a[k] * b[k];
    return sum;
}

void row_dots(const float *K, isize stride, isize n, const float *q, isize d, float *out) {
    isize i = 0;
    for (; i + 4 <= n; i += 4) {
        const float *row = K + i * stride;
        f4 a = long_dot(row, q, d), b = long_dot(row + stride, q, d);
        f4 c = long_dot(row + 2 * stride, q, d), e = long_dot(row + 3 * stride, q, d);
        STORE(out + i, hsum4(a, b, c, e));
    }
    for (; i < n; i++) out[i] = hsum(long_dot(K + i * stride, q, d));
}

/* out[j] += sum of w[i] rows[i][j] for `vectors` vectors of columns, all of them in registers. */
INL void add_columns(const int vectors, const float *V, isize stride, isize n, const float *w, float *out) {
    fw sum[8];
    for (int j = 0; j < vectors; j++) sum[j] = LOADW(out + j * WIDE);
#pragma GCC unroll 1
    for (isize i = 0; i < n; i++, V += stride) {
        fw weight = splatw(w[i]);
        for (int j = 0; j < vectors; j++) sum[j] = maddw(LOADW(V + j * WIDE), weight, sum[j]);
    }
    for (int j = 0; j < vectors; j++) STOREW(out + j * WIDE, sum[j]);
}

void add_weighted(const float *V, isize stride, isize n, const float *w, isize d, float *out) {
    isize j = 0;
    for (; j + 8 * WIDE <= d; j += 8 * WIDE) add_columns(8, V + j, stride, n, w, out + j);
    for (; j + 4 * WIDE <= d; j += 4 * WIDE) add_columns(4, V + j, stride, n, w, out + j);
    for (; j + WIDE <= d; j += WIDE) add_columns(1, V + j, stride, n, w, out + j);
    for (; j + 4 <= d; j += 4) {
        f4 sum = LOAD(out + j);
        for (isize i = 0; i < n; i++) sum = madd(LOAD(V + i * stride + j), splat(w[i]), sum);
        STORE(out + j, sum);
    }
    for (; j < d; j++)
        for (isize i = 0; i < n; i++) out[j] += w[i] * V[i * stride + j];
}
#else
/* Six sums hide the latency of multiply-adds; eight leave too few registers. */
enum { ROWS = 6 };

/* Eight columns, both halves loaded together, since loads from one cache line do not wait for each other. As members of a struct
 * behind a pointer that the compiler cannot see through (HIDE) they share an address. */
typedef struct {
    f4 left, right;
} __attribute__((packed, aligned(4), may_alias)) Eight;
#define HIDE(pointer) __asm__("" : "+r"(pointer))

/* Hardware prefetches rows side by side badly. One load from each cache line of the next rows, a step ahead, and one from the
 * memory page after them bring all memory close to the speed of the first-level cache. */
INL void touch(const float *line) { (void)*(const volatile int *)line; }
INL void touch_lines(const float **next, int count) {
    HIDE(*next);
    for (int i = 0; i < count; i++) touch(*next + 16 * i);
    *next += 16 * count;
}

/* The rows to touch: the next ones, or these themselves where the next do not follow without gaps. */
INL const float *rows_ahead(const float *rows, isize stride, isize d, isize left) {
    enum { PAGE = 1024 };
    if (stride != d || left < 2 * ROWS) return rows;
    const float *next = rows + ROWS * d;
    if ((left - ROWS) * d > PAGE) touch(next + PAGE);
    return next;
}

/* out[i] = q . rows[i] for `count` rows (4 or 6, a constant at every call); six touch those at `next`. */
INL void dot_rows(const int count, const float *rows, const float *next, isize stride, const float *q, isize d, float *out) {
    const float *row[ROWS], *end = q + (d & ~(isize)7);
    f4 sum[ROWS];
    for (int i = 0; i < count; i++) row[i] = rows + i * stride, sum[i] = splat(0.f);
    for (isize k = d & ~(isize)7; k < d; k++) /* first, so that nothing but the sums outlives the loop below */
        for (int i = 0; i < count; i++) sum[i][0] += row[i][k] * q[k];
#pragma GCC unroll 1
    while (q != end) {
        HIDE(q);
        if (count == ROWS) touch_lines(&next, ROWS / 2);
        f4 x = ((const Eight *)q)->left, y = ((const Eight *)q)->right;
        for (int i = 0; i < count; i++) {
            HIDE(row[i]);
            const Eight *at = (const Eight *)row[i];
            sum[i] = madd(at->left, x, sum[i]), sum[i] = madd(at->right, y, sum[i]);
            KEEP(sum[i]);
            row[i] += 8;
        }
        q += 8;
    }
    STORE(out, hsum4(sum[0], sum[1], sum[2], sum[3]));
    for (int i = 4; i < count; i++) out[i] = hsum(sum[i]);
}

void row_dots(const float *K, isize stride, isize n, const float *q, isize d, float *out) {
    isize i = 0;
    for (; stride >= d && i + ROWS <= n; i += ROWS) {
        const float *rows = K + i * stride;
        dot_rows(ROWS, rows, rows_ahead(rows, stride, d, n - i), stride, q, d, out + i);
    }
    for (; i + 4 <= n; i += 4) dot_rows(4, K + i * stride, 0, stride, q, d, out + i);
    for (; i < n; i++) out[i] = dot(K + i * stride, q, d);
}

/* out[j] += sum of w[i] rows[i][j] over `count` rows (4 or 6, a constant at every call); six touch those at `next`. */
INL void sum_rows(const int count, const float *rows, const float *next, isize stride, const float *w, isize d, float *out) {
    const float *row[ROWS], *end = out + (d & ~(isize)7);
    f4 weight[ROWS];
    for (int i = 0; i < count; i++) row[i] = rows + i * stride, weight[i] = splat(w[i]);
    for (isize j = d & ~(isize)7; j < d; j++)
        for (int i = 0; i < count; i++) out[j] += w[i] * row[i][j];
#pragma GCC unroll 1
    while (out != end) {
        HIDE(out);
        if (count == ROWS) touch_lines(&next, ROWS / 2);
        f4 x = ((const Eight *)out)->left, y = ((const Eight *)out)->right;
        for (int i = 0; i < count; i++) {
            HIDE(row[i]);
            const Eight *at = (const Eight *)row[i];
            x = madd(at->left, weight[i], x), y = madd(at->right, weight[i], y);
            KEEP(x);
            KEEP(y);
            row[i] += 8;
        }
        ((Eight *)out)->left = x, ((Eight *)out)->right = y;
        out += 8;
    }
}

void add_weighted(const float *V, isize stride, isize n, const float *w, isize d, float *out) {
    isize i = 0;
    for (; stride >= d && i + ROWS <= n; i += ROWS) {
        const float *rows = V + i * stride;
        sum_rows(ROWS, rows, rows_ahead(rows, stride, d, n - i), stride, w + i, d, out);
    }
    for (; i + 4 <= n; i += 4) sum_rows(4, V + i * stride, 0, stride, w + i, d, out);
    for (; i < n; i++) {
        const float *row = V + i * stride;
        add_rows(1, &row, w + i, d, out);
    }
}
#endif
