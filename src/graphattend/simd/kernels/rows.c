/* Several rows of a matrix at a time with one vector: dot products and weighted sums. The form of
 * the loops matters for V8: values that it cannot keep in registers cost more than the
 * multiply-adds. */
#include "rows.h"

#if VECTOR_BYTES > 16
/* With wide vectors, the hardware prefetches best if rows are read one after the other. */
INL v4 long_dot(const real *a, const real *b, isize d) {
    vw sum0 = splatw(0), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    isize k = 0;
    for (; k + 4 * WIDE <= d; k += 4 * WIDE) {
        sum0 = maddw(LOADW(a + k), LOADW(b + k), sum0);
        sum1 = maddw(LOADW(a + k + WIDE), LOADW(b + k + WIDE), sum1);
        sum2 = maddw(LOADW(a + k + 2 * WIDE), LOADW(b + k + 2 * WIDE), sum2);
        sum3 = maddw(LOADW(a + k + 3 * WIDE), LOADW(b + k + 3 * WIDE), sum3);
    }
    for (; k + WIDE <= d; k += WIDE) sum0 = maddw(LOADW(a + k), LOADW(b + k), sum0);
    v4 sum = fold((sum0 + sum1) + (sum2 + sum3));
    for (; k + 4 <= d; k += 4) sum = madd(LOAD(a + k), LOAD(b + k), sum);
    for (; k < d; k++) sum[0] += a[k] * b[k];
    return sum;
}

void row_dots(const real *K, isize stride, isize n, const real *q, isize d, real *out) {
    isize i = 0;
    for (; i + 4 <= n; i += 4) {
        const real *row = K + i * stride;
        v4 a = long_dot(row, q, d), b = long_dot(row + stride, q, d);
        v4 c = long_dot(row + 2 * stride, q, d), e = long_dot(row + 3 * stride, q, d);
        STORE(out + i, hsum4(a, b, c, e));
    }
    for (; i < n; i++) out[i] = hsum(long_dot(K + i * stride, q, d));
}

/* out[j] += sum of w[i] rows[i][j] for `vectors` vectors of columns, all of them in registers. */
INL void add_columns(const int vectors, const real *V, isize stride, isize n, const real *w,
                     real *out) {
    vw sum[8];
    for (int j = 0; j < vectors; j++) sum[j] = LOADW(out + j * WIDE);
#pragma GCC unroll 1
    for (isize i = 0; i < n; i++, V += stride) {
        vw weight = splatw(w[i]);
        for (int j = 0; j < vectors; j++) sum[j] = maddw(LOADW(V + j * WIDE), weight, sum[j]);
    }
    for (int j = 0; j < vectors; j++) STOREW(out + j * WIDE, sum[j]);
}

static void add_some(const real *V, isize stride, isize n, const real *w, isize d, real *out) {
    isize j = 0;
    for (; j + 8 * WIDE <= d; j += 8 * WIDE) add_columns(8, V + j, stride, n, w, out + j);
    for (; j + 4 * WIDE <= d; j += 4 * WIDE) add_columns(4, V + j, stride, n, w, out + j);
    for (; j + WIDE <= d; j += WIDE) add_columns(1, V + j, stride, n, w, out + j);
    for (; j + 4 <= d; j += 4) {
        v4 sum = LOAD(out + j);
        for (isize i = 0; i < n; i++) sum = madd(LOAD(V + i * stride + j), splat(w[i]), sum);
        STORE(out + j, sum);
    }
    for (; j < d; j++)
        for (isize i = 0; i < n; i++) out[j] += w[i] * V[i * stride + j];
}

/* If rows are wider than the registers, few are processed at a time. They stay in the first-level
 * cache for their other columns. */
void add_weighted(const real *V, isize stride, isize n, const real *w, isize d, real *out) {
    isize rows = d > 8 * WIDE ? max_size(16384 / (d * (isize)sizeof(real)), 8) : n;
    for (isize i = 0; i < n; i += rows)
        add_some(V + i * stride, stride, min_size(rows, n - i), w + i, d, out);
}
#else
/* Six sums hide the latency of multiply-adds; eight leave too few registers. */
enum { ROWS = 6, TWO = 2 * LANES, LINE = 64 / sizeof(real), PAGE = 4096 / sizeof(real) };

/* Two vectors of columns, loaded together, since loads from one cache line do not wait for each
 * other. As members of a struct behind a pointer that the compiler cannot see through (HIDE) they
 * share an address. */
typedef struct {
    vec left, right;
} __attribute__((packed, aligned(sizeof(real)), may_alias)) Pair;
#define HIDE(pointer) __asm__("" : "+r"(pointer))

/* Hardware prefetches rows side by side badly. One load from each cache line of the next rows, a
 * step ahead, and one from the memory page after them bring all memory close to the speed of the
 * first-level cache. */
INL void touch(const real *line) { (void)*(const volatile int *)line; }
INL void touch_lines(const real **next, int count) {
    HIDE(*next);
    for (int i = 0; i < count; i++) touch(*next + LINE * i);
    *next += LINE * count;
}

/* The rows to prefetch: the next ones, or the current ones if the next rows are not adjacent. */
INL const real *rows_ahead(const real *rows, isize stride, isize d, isize left) {
    if (stride != d || left < 2 * ROWS) return rows;
    const real *next = rows + ROWS * d;
    if ((left - ROWS) * d > PAGE) touch(next + PAGE);
    return next;
}

/* out[i] = q . rows[i] for `count` rows (4 or 6, a constant at every call); six touch those at
 * `next`. */
INL void dot_rows(const int count, const real *rows, const real *next, isize stride, const real *q,
                  isize d, real *out) {
    const real *row[ROWS], *end = q + (d & ~(isize)(TWO - 1));
    vec sum[ROWS];
    for (int i = 0; i < count; i++) row[i] = rows + i * stride, sum[i] = splatv(0);
    for (isize k = d & ~(isize)(TWO - 1); k < d;
         k++) /* first, so that only the sums are live after the loop below */
        for (int i = 0; i < count; i++) sum[i][0] += row[i][k] * q[k];
#pragma GCC unroll 1
    while (q != end) {
        HIDE(q);
        if (count == ROWS) touch_lines(&next, ROWS / 2);
        vec x = ((const Pair *)q)->left, y = ((const Pair *)q)->right;
        for (int i = 0; i < count; i++) {
            HIDE(row[i]);
            const Pair *at = (const Pair *)row[i];
            sum[i] = maddv(at->left, x, sum[i]), sum[i] = maddv(at->right, y, sum[i]);
            KEEP(sum[i]);
            row[i] += TWO;
        }
        q += TWO;
    }
    STORE(out, vec_sum4(sum[0], sum[1], sum[2], sum[3]));
    for (int i = 4; i < count; i++) out[i] = vec_sum(sum[i]);
}

void row_dots(const real *K, isize stride, isize n, const real *q, isize d, real *out) {
    isize i = 0;
    for (; stride >= d && i + ROWS <= n; i += ROWS) {
        const real *rows = K + i * stride;
        dot_rows(ROWS, rows, rows_ahead(rows, stride, d, n - i), stride, q, d, out + i);
    }
    for (; i + 4 <= n; i += 4) dot_rows(4, K + i * stride, 0, stride, q, d, out + i);
    for (; i < n; i++) out[i] = dot(K + i * stride, q, d);
}

/* out[j] += sum of w[i] rows[i][j] over `count` rows (4 or 6, a constant at every call); six touch
 * those at `next`. */
INL void sum_rows(const int count, const real *rows, const real *next, isize stride, const real *w,
                  isize d, real *out) {
    const real *row[ROWS], *end = out + (d & ~(isize)(TWO - 1));
    vec weight[ROWS];
    for (int i = 0; i < count; i++) row[i] = rows + i * stride, weight[i] = splatv(w[i]);
    for (isize j = d & ~(isize)(TWO - 1); j < d; j++) {
        real sum = out[j]; /* in memory, each term would wait for the previous store */
#pragma GCC unroll 1
        for (int i = 0; i < count; i++) sum += w[i] * rows[i * stride + j];
        out[j] = sum;
    }
#pragma GCC unroll 1
    while (out != end) {
        HIDE(out);
        if (count == ROWS) touch_lines(&next, ROWS / 2);
        vec x = ((const Pair *)out)->left, y = ((const Pair *)out)->right;
        for (int i = 0; i < count; i++) {
            HIDE(row[i]);
            const Pair *at = (const Pair *)row[i];
            x = maddv(at->left, weight[i], x), y = maddv(at->right, weight[i], y);
            KEEP(x);
            KEEP(y);
            row[i] += TWO;
        }
        ((Pair *)out)->left = x, ((Pair *)out)->right = y;
        out += TWO;
    }
}

void add_weighted(const real *V, isize stride, isize n, const real *w, isize d, real *out) {
    isize i = 0;
    for (; stride >= d && i + ROWS <= n; i += ROWS) {
        const real *rows = V + i * stride;
        sum_rows(ROWS, rows, rows_ahead(rows, stride, d, n - i), stride, w + i, d, out);
    }
    for (; i + 4 <= n; i += 4) sum_rows(4, V + i * stride, 0, stride, w + i, d, out);
    for (; i < n; i++) {
        const real *row = V + i * stride;
        add_rows(1, &row, w + i, d, out);
    }
}
#endif
