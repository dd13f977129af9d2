/* The routines of CBLAS that NumPy calls (dot, axpy, gemv, gemm, syrk), for WebAssembly SIMD128.
 * The real ones are made of the kernels in src/graphattend/simd/kernels (gemm.c, rows.c); the
 * complex ones of four real products each. Compiled once for float and once for double (-DF64),
 * like the kernels. */
#include "gemm.h"
#include "rows.h"

/* Of <stdlib.h>, which may declare a `select` of its own. */
void *malloc(usize bytes);
void free(void *memory);
void abort(void);

#ifdef F64
#define REAL(name) cblas_d##name
#define COMPLEX(name) cblas_z##name
#else
#define REAL(name) cblas_s##name
#define COMPLEX(name) cblas_c##name
#endif
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, CONJUGATE = 113, UPPER = 121 };
enum { SYRK_BLOCK = 64 };

/* Element (i, j) of a matrix lies at i * row + j * column. */
typedef struct {
    isize row, column;
} Steps;

static Steps steps_of(int order, int transpose, int leading) {
    Steps steps = {leading, 1};
    if ((order == ROW_MAJOR) != (transpose == NO_TRANSPOSE)) steps = (Steps){1, leading};
    return steps;
}

/* The first element in memory order of a vector whose step may be negative. */
static isize first(int n, int step) { return step < 0 ? (isize)(1 - n) * step : 0; }

static void *memory(usize bytes) {
    void *got = malloc(bytes ? bytes : 1);
    if (!got) abort(); /* CBLAS cannot report it, and a wrong result would be worse */
    return got;
}

static real *copy_vector(int n, const real *x, isize step) {
    real *out = memory((usize)n * sizeof(real));
    for (int i = 0; i < n; i++) out[i] = x[i * step];
    return out;
}

/* C = beta C, by rows of `width` elements. */
static void scale(isize rows, isize width, real beta, real *c, isize apart) {
    if (beta == 1) return;
    for (isize i = 0; i < rows; i++)
        for (isize j = 0; j < width; j++)
            c[i * apart + j] = beta == 0 ? 0 : beta * c[i * apart + j];
}

/* C (m x n, rows contiguous) += alpha A B, or = where `fresh`. */
static void add_product(isize m, isize n, isize k, real alpha, Matrix a, Matrix b, real *c,
                        isize apart, int fresh) {
    if (k == 0 || alpha == 0) {
        if (fresh) scale(m, n, 0, c, apart);
        return;
    }
    real *work = memory((usize)multiply_workspace(n, k) * sizeof(real));
    if (alpha == 1) {
        multiply_matrices(m, n, k, a, b, c, apart, !fresh, work);
    } else {
        real *product = memory((usize)(m * n) * sizeof(real));
        multiply_matrices(m, n, k, a, b, product, n, 0, work);
        for (isize i = 0; i < m; i++)
            for (isize j = 0; j < n; j++)
                c[i * apart + j] = (fresh ? 0 : c[i * apart + j]) + alpha * product[i * n + j];
        free(product);
    }
    free(work);
}

real REAL(dot)(int n, const real *x, int step_x, const real *y, int step_y) {
    if (step_x == 1 && step_y == 1) return n > 0 ? dot(x, y, n) : 0;
    real sum = 0;
    x += first(n, step_x);
    y += first(n, step_y);
    for (int i = 0; i < n; i++) sum += x[(isize)i * step_x] * y[(isize)i * step_y];
    return sum;
}

void REAL(axpy)(int n, real alpha, const real *x, int step_x, real *y, int step_y) {
    if (step_x == 1 && step_y == 1) {
        int i = 0;
        for (; i + WIDE <= n; i += WIDE) STOREW(y + i, LOADW(y + i) + splatw(alpha) * LOADW(x + i));
        for (; i < n; i++) y[i] += alpha * x[i];
        return;
    }
    x += first(n, step_x);
    y += first(n, step_y);
    for (int i = 0; i < n; i++) y[(isize)i * step_y] += alpha * x[(isize)i * step_x];
}

void REAL(gemv)(int order, int transpose, int rows, int columns, real alpha, const real *a, int lda,
                const real *x, int step_x, real beta, real *y, int step_y) {
    Steps at = steps_of(order, transpose, lda);
    int m = transpose == NO_TRANSPOSE ? rows : columns,
        n = transpose == NO_TRANSPOSE ? columns : rows;
    if (m <= 0) return;
    x += first(n, step_x);
    y += first(m, step_y);
    real *vector = copy_vector(n, x, step_x), *product = memory((usize)m * sizeof(real));
    if (at.column == 1) {
        row_dots(a, at.row, m, vector, n, product);
    } else {
        for (int i = 0; i < m; i++) product[i] = 0;
        add_weighted(a, at.column, n, vector, m, product);
    }
    for (int i = 0; i < m; i++) {
        real *out = y + (isize)i * step_y;
        *out = (beta == 0 ? 0 : beta * *out) + alpha * product[i];
    }
    free(vector);
    free(product);
}

void REAL(gemm)(int order, int ta, int tb, int m, int n, int k, real alpha, const real *a, int lda,
                const real *b, int ldb, real beta, real *c, int ldc) {
    if (order != ROW_MAJOR) { /* the transposed product lies row after row */
        REAL(gemm)(ROW_MAJOR, tb, ta, n, m, k, alpha, b, ldb, a, lda, beta, c, ldc);
        return;
    }
    Steps at = steps_of(order, ta, lda), bt = steps_of(order, tb, ldb);
    scale(m, n, beta == 0 ? 1 : beta, c, ldc);
    add_product(m, n, k, alpha, (Matrix){a, at.row, at.column}, (Matrix){b, bt.row, bt.column}, c,
                ldc, beta == 0);
}

/* One triangle of C = alpha A A^T + beta C. Blocks on the diagonal are written whole: NumPy mirrors
 * the triangle afterwards. */
void REAL(syrk)(int order, int triangle, int transpose, int n, int k, real alpha, const real *a,
                int lda, real beta, real *c, int ldc) {
    Steps at = steps_of(order, transpose, lda);
    int upper = (triangle == UPPER) == (order == ROW_MAJOR);
    for (int i = 0; i < n; i += SYRK_BLOCK) {
        int rows = n - i < SYRK_BLOCK ? n - i : SYRK_BLOCK, from = upper ? i : 0,
            to = upper ? n : i + rows;
        real *block = c + (isize)i * ldc + from;
        scale(rows, to - from, beta == 0 ? 1 : beta, block, ldc);
        Matrix left = {a + i * at.row, at.row, at.column},
               right = {a + from * at.row, at.column, at.row};
        add_product(rows, to - from, k, alpha, left, right, block, ldc, beta == 0);
    }
}

/* Real or imaginary parts of a matrix, row after row, times `sign`. */
static real *part(isize rows, isize columns, const real *a, Steps at, int imaginary, real sign) {
    real *out = memory((usize)(rows * columns) * sizeof(real));
    for (isize i = 0; i < rows; i++)
        for (isize j = 0; j < columns; j++)
            out[i * columns + j] = sign * a[2 * (i * at.row + j * at.column) + imaginary];
    return out;
}

void COMPLEX(gemm)(int order, int ta, int tb, int m, int n, int k, const real *alpha, const real *a,
                   int lda, const real *b, int ldb, const real *beta, real *c, int ldc) {
    if (order != ROW_MAJOR) {
        COMPLEX(gemm)(ROW_MAJOR, tb, ta, n, m, k, alpha, b, ldb, a, lda, beta, c, ldc);
        return;
    }
    Steps at = steps_of(order, ta, lda), bt = steps_of(order, tb, ldb);
    real *ar = part(m, k, a, at, 0, 1), *ai = part(m, k, a, at, 1, ta == CONJUGATE ? -1 : 1);
    real *br = part(k, n, b, bt, 0, 1), *bi = part(k, n, b, bt, 1, tb == CONJUGATE ? -1 : 1);
    real *re = memory((usize)(m * n) * sizeof(real)), *im = memory((usize)(m * n) * sizeof(real));
    real *minus = part(m, k, a, at, 1, ta == CONJUGATE ? 1 : -1);
    add_product(m, n, k, 1, (Matrix){ar, k, 1}, (Matrix){br, n, 1}, re, n, 1);
    add_product(m, n, k, 1, (Matrix){minus, k, 1}, (Matrix){bi, n, 1}, re, n, 0);
    add_product(m, n, k, 1, (Matrix){ar, k, 1}, (Matrix){bi, n, 1}, im, n, 1);
    add_product(m, n, k, 1, (Matrix){ai, k, 1}, (Matrix){br, n, 1}, im, n, 0);
    int fresh = beta[0] == 0 && beta[1] == 0;
    for (isize i = 0; i < m; i++)
        for (isize j = 0; j < n; j++) {
            real *out = c + 2 * (i * ldc + j), x = re[i * n + j], y = im[i * n + j], u = out[0],
                 v = out[1];
            out[0] = (fresh ? 0 : beta[0] * u - beta[1] * v) + alpha[0] * x - alpha[1] * y;
            out[1] = (fresh ? 0 : beta[0] * v + beta[1] * u) + alpha[0] * y + alpha[1] * x;
        }
    real *used[] = {ar, ai, br, bi, re, im, minus};
    for (int i = 0; i < 7; i++) free(used[i]);
}

void COMPLEX(gemv)(int order, int transpose, int rows, int columns, const real *alpha,
                   const real *a, int lda, const real *x, int step_x, const real *beta, real *y,
                   int step_y) {
    Steps at = steps_of(order, transpose, lda);
    int m = transpose == NO_TRANSPOSE ? rows : columns,
        n = transpose == NO_TRANSPOSE ? columns : rows;
    real sign = transpose == CONJUGATE ? -1 : 1;
    int fresh = beta[0] == 0 && beta[1] == 0;
    x += 2 * first(n, step_x);
    y += 2 * first(m, step_y);
    for (isize i = 0; i < m; i++) {
        real re = 0, im = 0;
        for (isize j = 0; j < n; j++) {
            const real *p = a + 2 * (i * at.row + j * at.column), *q = x + 2 * j * step_x;
            re += p[0] * q[0] - sign * p[1] * q[1];
            im += p[0] * q[1] + sign * p[1] * q[0];
        }
        real *out = y + 2 * i * step_y, u = out[0], v = out[1];
        out[0] = (fresh ? 0 : beta[0] * u - beta[1] * v) + alpha[0] * re - alpha[1] * im;
        out[1] = (fresh ? 0 : beta[0] * v + beta[1] * u) + alpha[0] * im + alpha[1] * re;
    }
}

void COMPLEX(syrk)(int order, int triangle, int transpose, int n, int k, const real *alpha,
                   const real *a, int lda, const real *beta, real *c, int ldc) {
    (void)triangle; /* both are written */
    int other = transpose == NO_TRANSPOSE ? NO_TRANSPOSE + 1 : NO_TRANSPOSE;
    COMPLEX(gemm)(order, transpose, other, n, n, k, alpha, a, lda, a, lda, beta, c, ldc);
}

static void complex_dot(int n, const real *x, isize step_x, const real *y, isize step_y, real sign,
                        real *out) {
    real re = 0, im = 0;
    x += 2 * first(n, (int)step_x);
    y += 2 * first(n, (int)step_y);
    for (isize i = 0; i < n; i++) {
        const real *p = x + 2 * i * step_x, *q = y + 2 * i * step_y;
        re += p[0] * q[0] - sign * p[1] * q[1];
        im += p[0] * q[1] + sign * p[1] * q[0];
    }
    out[0] = re;
    out[1] = im;
}

void COMPLEX(dotu_sub)(int n, const real *x, int step_x, const real *y, int step_y, real *out) {
    complex_dot(n, x, step_x, y, step_y, 1, out);
}

void COMPLEX(dotc_sub)(int n, const real *x, int step_x, const real *y, int step_y, real *out) {
    complex_dot(n, x, step_x, y, step_y, -1, out);
}

void COMPLEX(axpy)(int n, const real *alpha, const real *x, int step_x, real *y, int step_y) {
    x += 2 * first(n, step_x);
    y += 2 * first(n, step_y);
    for (isize i = 0; i < n; i++) {
        const real *p = x + 2 * i * step_x;
        real *q = y + 2 * i * step_y;
        q[0] += alpha[0] * p[0] - alpha[1] * p[1];
        q[1] += alpha[0] * p[1] + alpha[1] * p[0];
    }
}
