/* Matrix product of NumPy's matmul loop for one dtype: the includer defines T (f32 or f64) and V (its vector).
   Every operand has free row and column steps, counted in elements. */
#include "ufunc_layout.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#define LOAD CAT(load_, T)
#define STORE CAT(store_, T)
#define SPLAT CAT(splat_, T)
#define MADD CAT(madd_, T)

/* A tile of 4 rows and 2 vectors keeps 8 sums, 2 columns of b and one element of a in the 16 registers of x86.
   Blocks of b (DEPTH x WIDTH, 512 kB) are packed to panels of one tile's width and stay in the second-level cache. */
enum {
    LANES = CAT(LANES_, T), ROWS = 4, COLUMNS = 2 * LANES, DEPTH = 256, WIDTH = 2048 / sizeof(T), VECTOR_BLOCK = 512
};

extern void *malloc(__SIZE_TYPE__);
extern void free(void *);

typedef struct {
    T *data;
    npy_intp row, column;
} Matrix;

INLINE T *at(Matrix m, npy_intp row, npy_intp column) { return m.data + row * m.row + column * m.column; }
INLINE Matrix from(Matrix m, npy_intp row, npy_intp column)
{
    m.data = at(m, row, column);
    return m;
}
INLINE Matrix transposed(Matrix m)
{
    Matrix t = {m.data, m.column, m.row};
    return t;
}
INLINE npy_intp smaller(npy_intp a, npy_intp b) { return a < b ? a : b; }

/* c (rows x columns, at most one tile) = or += a (rows x depth) b (depth x COLUMNS, unit column step). */
INLINE void tile(const int rows, npy_intp depth, Matrix a, const T *b, npy_intp b_row, Matrix c, npy_intp columns,
                 int accumulate)
{
    V sum[ROWS][2] = {{{0}}};
    const T *x = a.data;
#pragma clang loop unroll(disable)
    for (npy_intp k = 0; k < depth; k++, x += a.column, b += b_row) {
        V b0 = LOAD(b), b1 = LOAD(b + LANES);
        for (int i = 0; i < rows; i++) {
            V s = SPLAT(x[i * a.row]);
            sum[i][0] = MADD(s, b0, sum[i][0]);
            sum[i][1] = MADD(s, b1, sum[i][1]);
        }
    }
    if (columns == COLUMNS && c.column == 1) {
        for (int i = 0; i < rows; i++) {
            T *out = at(c, i, 0);
            if (accumulate) {
                sum[i][0] += LOAD(out);
                sum[i][1] += LOAD(out + LANES);
            }
            STORE(out, sum[i][0]);
            STORE(out + LANES, sum[i][1]);
        }
        return;
    }
    for (int i = 0; i < rows; i++) {
        T row[COLUMNS];
        STORE(row, sum[i][0]);
        STORE(row + LANES, sum[i][1]);
        for (npy_intp j = 0; j < columns; j++) {
            T *out = at(c, i, j);
            *out = accumulate ? *out + row[j] : row[j];
        }
    }
}

#define TILE(NAME, COUNT) \
    static __attribute__((noinline)) void NAME(npy_intp depth, Matrix a, const T *b, npy_intp b_row, Matrix c, \
                                               npy_intp columns, int accumulate) \
    { \
        tile(COUNT, depth, a, b, b_row, c, columns, accumulate); \
    }
TILE(tile_1, 1)
TILE(tile_2, 2)
TILE(tile_3, 3)
TILE(tile_4, 4)
typedef void Tile(npy_intp, Matrix, const T *, npy_intp, Matrix, npy_intp, int);
static Tile *const tiles[ROWS + 1] = {0, tile_1, tile_2, tile_3, tile_4};

/* One panel of b: depth x COLUMNS, rows one after the other, filled up with zeros. */
static void pack_panel(Matrix b, npy_intp depth, npy_intp columns, T *panel)
{
    npy_intp k = 0;
    if (columns == COLUMNS && b.column == 1)
        for (; k < depth; k++) {
            STORE(panel + k * COLUMNS, LOAD(at(b, k, 0)));
            STORE(panel + k * COLUMNS + LANES, LOAD(at(b, k, LANES)));
        }
    else if (columns == COLUMNS && b.row == 1)
        for (; k + LANES <= depth; k += LANES)
            for (int j = 0; j < COLUMNS; j += LANES)
                CAT(transpose_, T)(at(b, k, j), b.column, panel + k * COLUMNS + j, COLUMNS);
    for (; k < depth; k++)
        for (npy_intp j = 0; j < COLUMNS; j++)
            panel[k * COLUMNS + j] = j < columns ? *at(b, k, j) : 0;
}

/* ROWS x depth of a, columns one after the other. */
static void pack_rows(Matrix a, npy_intp rows, npy_intp depth, T *panel)
{
    if (rows == ROWS && a.row == 1)
        for (npy_intp k = 0; k < depth; k++, panel += ROWS)
            for (int i = 0; i < ROWS; i += LANES)
                STORE(panel + i, LOAD(at(a, i, k)));
    else
        for (npy_intp k = 0; k < depth; k++, panel += ROWS)
            for (npy_intp i = 0; i < rows; i++)
                panel[i] = *at(a, i, k);
}

/* c (m x p) = a (m x n) b (n x p); n > 0. Returns 0 if there is no memory for the packed block. */
static int multiply(npy_intp m, npy_intp n, npy_intp p, Matrix a, Matrix b, Matrix c)
{
    if (c.column != 1 && c.row == 1)
        return multiply(p, n, m, transposed(b), transposed(a), transposed(c));
    T rows_packed[ROWS * DEPTH], panel[DEPTH * COLUMNS];
    npy_intp width = smaller(p, WIDTH), depth_limit = smaller(n, DEPTH);
    /* Few rows, or a small b: packing would cost more than it saves. */
    int direct = b.column == 1 && (m <= 2 * ROWS || n * p * (npy_intp)sizeof(T) <= 16384);
    T *packed = 0;
    if (!direct) {
        packed = malloc((width + COLUMNS) * depth_limit * sizeof(T));
        if (!packed)
            return 0;
    }
    for (npy_intp j0 = 0; j0 < p; j0 += WIDTH) {
        npy_intp j1 = smaller(p, j0 + WIDTH);
        for (npy_intp k0 = 0; k0 < n; k0 += DEPTH) {
            npy_intp depth = smaller(n - k0, DEPTH);
            if (packed)
                for (npy_intp j = j0; j < j1; j += COLUMNS)
                    pack_panel(from(b, k0, j), depth, smaller(j1 - j, COLUMNS), packed + (j - j0) * depth);
            else if ((j1 - j0) % COLUMNS)
                pack_panel(from(b, k0, j1 - (j1 - j0) % COLUMNS), depth, (j1 - j0) % COLUMNS, panel);
            for (npy_intp i = 0; i < m; i += ROWS) {
                npy_intp rows = smaller(m - i, ROWS);
                Matrix block = from(a, i, k0);
                if (a.column != 1) {
                    pack_rows(block, rows, depth, rows_packed);
                    block = (Matrix){rows_packed, 1, ROWS};
                }
                for (npy_intp j = j0; j < j1; j += COLUMNS) {
                    npy_intp columns = smaller(j1 - j, COLUMNS);
                    const T *source = packed ? packed + (j - j0) * depth : columns < COLUMNS ? panel : at(b, k0, j);
                    npy_intp source_row = packed || columns < COLUMNS ? COLUMNS : b.row;
                    tiles[rows](depth, block, source, source_row, from(c, i, j), columns, k0 > 0);
                }
            }
        }
    }
    free(packed);
    return 1;
}

INLINE T sum_of_lanes(V v)
{
    T sum = 0;
    for (int lane = 0; lane < LANES; lane++)
        sum += v[lane];
    return sum;
}

/* count dot products of rows of a (unit column step) with x */
INLINE void dot_rows(const int count, npy_intp n, const T *a, npy_intp a_row, const T *x, T *y, npy_intp y_step,
                     int accumulate)
{
    V sum[8] = {{0}};
    npy_intp k = 0;
    if (count == 1) /* one row alone: four sums hide the latency of the addition */
        for (; k + 4 * LANES <= n; k += 4 * LANES)
            for (int j = 0; j < 4; j++)
                sum[j] = MADD(LOAD(a + k + j * LANES), LOAD(x + k + j * LANES), sum[j]);
    for (; k + LANES <= n; k += LANES) {
        V v = LOAD(x + k);
        for (int i = 0; i < count; i++)
            sum[i] = MADD(LOAD(a + i * a_row + k), v, sum[i]);
    }
    if (count == 1)
        sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    for (int i = 0; i < count; i++) {
        T total = sum_of_lanes(sum[i]);
        for (npy_intp rest = k; rest < n; rest++)
            total += a[i * a_row + rest] * x[rest];
        y[i * y_step] = accumulate ? y[i * y_step] + total : total;
    }
}

/* y (m) = a (m x n) x (n), a with unit column step */
static void product_by_rows(npy_intp m, npy_intp n, Matrix a, const T *x, npy_intp x_step, T *y, npy_intp y_step)
{
    T gathered[VECTOR_BLOCK];
    npy_intp block = x_step == 1 ? n : VECTOR_BLOCK;
    for (npy_intp k0 = 0; k0 < n; k0 += block) {
        npy_intp depth = smaller(block, n - k0), i = 0;
        const T *part = x + k0 * x_step;
        if (x_step != 1) {
            for (npy_intp k = 0; k < depth; k++)
                gathered[k] = part[k * x_step];
            part = gathered;
        }
        for (; i + 8 <= m; i += 8)
            dot_rows(8, depth, at(a, i, k0), a.row, part, y + i * y_step, y_step, k0 > 0);
        for (; i < m; i++)
            dot_rows(1, depth, at(a, i, k0), a.row, part, y + i * y_step, y_step, k0 > 0);
    }
}

/* sum (length) += count columns of a (unit row step) times their elements of x */
INLINE void add_columns(const int count, npy_intp length, const T *a, npy_intp a_column, const T *x, npy_intp x_step,
                        T *sum)
{
    V factor[8];
    for (int k = 0; k < count; k++)
        factor[k] = SPLAT(x[k * x_step]);
    npy_intp i = 0;
    for (; i + LANES <= length; i += LANES) {
        V even = LOAD(sum + i), odd = {0};
        for (int k = 0; k < count; k++)
            if (k % 2)
                odd = MADD(factor[k], LOAD(a + k * a_column + i), odd);
            else
                even = MADD(factor[k], LOAD(a + k * a_column + i), even);
        STORE(sum + i, even + odd);
    }
    for (; i < length; i++)
        for (int k = 0; k < count; k++)
            sum[i] += x[k * x_step] * a[k * a_column + i];
}

/* y (m) = a (m x n) x (n), a with unit row step */
static void product_by_columns(npy_intp m, npy_intp n, Matrix a, const T *x, npy_intp x_step, T *y, npy_intp y_step)
{
    T sum[VECTOR_BLOCK];
    for (npy_intp i0 = 0; i0 < m; i0 += VECTOR_BLOCK) {
        npy_intp length = smaller(VECTOR_BLOCK, m - i0), k = 0;
        for (npy_intp i = 0; i < length; i++)
            sum[i] = 0;
        for (; k + 8 <= n; k += 8)
            add_columns(8, length, at(a, i0, k), a.column, x + k * x_step, x_step, sum);
        for (; k < n; k++)
            add_columns(1, length, at(a, i0, k), a.column, x + k * x_step, x_step, sum);
        for (npy_intp i = 0; i < length; i++)
            y[(i0 + i) * y_step] = sum[i];
    }
}

/* y (m) = a (m x n) x (n); 0 if a has no unit step */
static int multiply_vector(npy_intp m, npy_intp n, Matrix a, const T *x, npy_intp x_step, T *y, npy_intp y_step)
{
    if (a.column == 1)
        product_by_rows(m, n, a, x, x_step, y, y_step);
    else if (a.row == 1)
        product_by_columns(m, n, a, x, x_step, y, y_step);
    else
        return 0;
    return 1;
}

static int product(npy_intp m, npy_intp n, npy_intp p, Matrix a, Matrix b, Matrix c)
{
    if (p == 1 && multiply_vector(m, n, a, b.data, b.row, c.data, c.row))
        return 1;
    if (m == 1 && multiply_vector(p, n, transposed(b), a.data, a.column, c.data, c.column))
        return 1;
    return multiply(m, n, p, a, b, c);
}

/* signature (m,n),(n,p)->(m,p) with a leading loop; steps: 3 of that loop, then row and column of a, b, c */
void CAT(loop_matmul_, T)(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data)
{
    npy_intp m = dimensions[1], n = dimensions[2], p = dimensions[3], size = sizeof(T);
    int whole = m > 0 && n > 0 && p > 0;
    for (int i = 3; i < 9; i++)
        whole = whole && steps[i] % size == 0;
    if (!whole) {
        CAT(original_, T)(args, dimensions, steps, data);
        return;
    }
    for (npy_intp outer = 0; outer < dimensions[0]; outer++) {
        char *operands[3] = {args[0] + outer * steps[0], args[1] + outer * steps[1], args[2] + outer * steps[2]};
        Matrix a = {(T *)operands[0], steps[3] / size, steps[4] / size};
        Matrix b = {(T *)operands[1], steps[5] / size, steps[6] / size};
        Matrix c = {(T *)operands[2], steps[7] / size, steps[8] / size};
        if (!product(m, n, p, a, b, c)) {
            npy_intp one[4] = {1, m, n, p};
            CAT(original_, T)(operands, one, steps, data);
        }
    }
}
