/* C = A B for float32 matrices, each of A and B as it lies or transposed, batched with broadcasting. */
#include "args.h"
#include "kernels.h"
#include "rows.h"
#include "tile.h"

enum { DEPTH = 256, WIDTH = 480 }; /* a packed block of B: 480 kB, in the second-level cache */

/* An operand by its strides: element (i, j) at data[i * row + j * column]; one of the strides is 1. */
typedef struct {
    const float *data;
    isize row, column;
} Matrix;

/* Rows k of B as panels of TILE_COLUMNS, zero-padded: out[panel][k][column]. */
static void pack_rows(Matrix b, isize depth, isize width, float *out) {
    for (isize j = 0; j < width; j += TILE_COLUMNS) {
        const float *from = b.data + j;
        if (width - j >= TILE_COLUMNS) {
            for (isize k = 0; k < depth; k++, from += b.row, out += TILE_COLUMNS) {
                STOREW(out, LOADW(from));
                STOREW(out + WIDE, LOADW(from + WIDE));
            }
        } else {
            for (isize k = 0; k < depth; k++, from += b.row, out += TILE_COLUMNS)
                for (isize c = 0; c < TILE_COLUMNS; c++) out[c] = j + c < width ? from[c] : 0.f;
        }
    }
}

/* out[k * stride + 0..3] = rows[0..3][k] for k < depth: four rows side by side. */
INL void interleave4(const float *from, isize row, isize depth, float *out, isize stride) {
    isize k = 0;
    for (; k + 4 <= depth; k += 4) {
        f4 r0 = LOAD(from + k), r1 = LOAD(from + row + k), r2 = LOAD(from + 2 * row + k), r3 = LOAD(from + 3 * row + k);
        f4 a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
        f4 c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7), d = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
        STORE(out + k * stride, __builtin_shufflevector(a, b, 0, 1, 4, 5));
        STORE(out + (k + 1) * stride, __builtin_shufflevector(a, b, 2, 3, 6, 7));
        STORE(out + (k + 2) * stride, __builtin_shufflevector(c, d, 0, 1, 4, 5));
        STORE(out + (k + 3) * stride, __builtin_shufflevector(c, d, 2, 3, 6, 7));
    }
    for (; k < depth; k++)
        for (int r = 0; r < 4; r++) out[k * stride + r] = from[r * row + k];
}

/* The same panels from a B whose columns are contiguous (B given transposed). */
static void pack_columns(Matrix b, isize depth, isize width, float *out) {
    for (isize j = 0; j < width; j += TILE_COLUMNS, out += TILE_COLUMNS * depth) {
        const float *from = b.data + j * b.column;
        if (width - j >= TILE_COLUMNS) {
            for (int c = 0; c < TILE_COLUMNS; c += 4) interleave4(from + c * b.column, b.column, depth, out + c, TILE_COLUMNS);
        } else {
            for (isize k = 0; k < depth; k++)
                for (isize c = 0; c < TILE_COLUMNS; c++) out[k * TILE_COLUMNS + c] = j + c < width ? from[c * b.column + k] : 0.f;
        }
    }
}

/* One tile of C: `rows` rows by up to TILE_COLUMNS columns. */
INL void tile_product(const int rows, isize depth, const float *a, isize a_row, isize a_step, const float *b, isize b_step,
                      float *c, isize ldc, isize columns, int add) {
    fw sum[TILE_ROWS][2];
    tile_zero(rows, 2, sum);
    tile_add(rows, 2, depth, a, a_row, a_step, b, b_step, sum);
    if (columns >= TILE_COLUMNS) {
        if (add)
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < 2; j++) sum[i][j] += LOADW(c + i * ldc + WIDE * j);
        tile_store(rows, 2, c, ldc, sum);
        return;
    }
    float spill[TILE_ROWS][TILE_COLUMNS];
    tile_store(rows, 2, spill[0], TILE_COLUMNS, sum);
    for (int i = 0; i < rows; i++)
        for (isize j = 0; j < columns; j++) c[i * ldc + j] = add ? c[i * ldc + j] + spill[i][j] : spill[i][j];
}

/* All panels of one strip of rows; `a_step` is 1 for a row-major A and 4 for a packed strip. */
#define STRIP(name, rows, a_step)                                                                                           \
    NOINLINE void name(isize depth, isize width, const float *a, isize a_row, const float *packed, float *c, isize ldc, int add) { \
        for (isize j = 0; j < width; j += TILE_COLUMNS)                                                                     \
            tile_product(rows, depth, a, a_row, a_step, packed + j * depth, TILE_COLUMNS, c + j, ldc, width - j, add);      \
    }
STRIP(strip4, 4, 1)
STRIP(strip2, 2, 1)
STRIP(strip1, 1, 1)
STRIP(strip4_packed, 4, 4)

isize multiply_workspace(isize n, isize k) {
    return (round_up(min_size(n, WIDTH), TILE_COLUMNS) + TILE_ROWS) * min_size(k, DEPTH);
}

static void multiply_packed(isize m, isize n, isize k, Matrix a, Matrix b, float *c, isize ldc, int add, float *pack) {
    float *strip = pack + round_up(min_size(n, WIDTH), TILE_COLUMNS) * min_size(k, DEPTH);
    for (isize jc = 0; jc < n; jc += WIDTH) {
        isize width = min_size(WIDTH, n - jc);
        for (isize pc = 0; pc < k; pc += DEPTH) {
            isize depth = min_size(DEPTH, k - pc), i = 0;
            Matrix block = {b.data + pc * b.row + jc * b.column, b.row, b.column};
            if (b.column == 1) pack_rows(block, depth, width, pack);
            else pack_columns(block, depth, width, pack);
            const float *left = a.data + pc * a.column;
            float *to = c + jc;
            if (a.column == 1) {
                for (; i + 4 <= m; i += 4) strip4(depth, width, left + i * a.row, a.row, pack, to + i * ldc, ldc, add || pc > 0);
                for (; i + 2 <= m; i += 2) strip2(depth, width, left + i * a.row, a.row, pack, to + i * ldc, ldc, add || pc > 0);
                for (; i < m; i++) strip1(depth, width, left + i * a.row, a.row, pack, to + i * ldc, ldc, add || pc > 0);
            } else { /* A given transposed: its rows i are contiguous in k's stride, so four of them are one load */
                for (; i + 4 <= m; i += 4) {
                    for (isize q = 0; q < depth; q++) STORE(strip + 4 * q, LOAD(left + q * a.column + i));
                    strip4_packed(depth, width, strip, 1, pack, to + i * ldc, ldc, add || pc > 0);
                }
                for (; i < m; i++) {
                    for (isize q = 0; q < depth; q++) strip[q] = left[q * a.column + i];
                    strip1(depth, width, strip, 0, pack, to + i * ldc, ldc, add || pc > 0);
                }
            }
        }
    }
}

/* Few rows: packing B would cost more than it brings. */
static void multiply_few(isize m, isize n, isize k, Matrix a, Matrix b, float *c, isize ldc, int add) {
    for (isize i = 0; i < m; i++) {
        const float *row = a.data + i * a.row;
        if (b.column == 1) {
            if (!add) fill(c + i * ldc, n, 0.f);
            add_weighted(b.data, b.row, k, row, n, c + i * ldc);
        } else {
            row_dots(b.data, b.column, n, row, k, c + i * ldc);
        }
    }
}

enum { FEW_ROWS = 3 };

void multiply(isize m, isize n, isize k, const float *a, isize lda, const float *b, isize ldb, float *c, isize ldc, Form form,
              float *workspace) {
    Matrix left = {a, lda, 1}, right = {b, form == B_TRANSPOSED ? 1 : ldb, form == B_TRANSPOSED ? ldb : 1};
    int add = form == ADD_TO_C;
    if (m <= FEW_ROWS) multiply_few(m, n, k, left, right, c, ldc, add);
    else multiply_packed(m, n, k, left, right, c, ldc, add, workspace);
}

/* matmul(a (..., M, K), b (..., K, N), out (..., M, N), transposes) -> True, or None. `transposes` says which operand is given
 * transposed: 1 the first (..., K, M), 2 the second (..., N, K), 3 both. */
PyObject *kernel_matmul(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 4) return wrong_count();
    int ok = 1;
    isize transposes = get_size(args[3], &ok);
    if (!ok) return 0;
    Array a, b, out;
    if (!get_array(args[0], FLOAT32, 2, &a) || !get_array(args[1], FLOAT32, 2, &b) ||
        !get_output(args[2], FLOAT32, 2, &out) || !disjoint(&a, &out) || !disjoint(&b, &out))
        return declined();
    int ta = (int)transposes & 1, tb = ((int)transposes >> 1) & 1;
    isize m = len(&a, ta ? 1 : 2), k = len(&a, ta ? 2 : 1), n = len(&b, tb ? 2 : 1);
    if (len(&b, tb ? 1 : 2) != k) return wrong_value("matmul: the inner lengths of a and b differ");
    if (len(&out, 2) != m || len(&out, 1) != n) return wrong_value("matmul: out has the wrong shape");
    Batch batch;
    batch_start(&batch, &out, 2);
    if (batch_add(&batch, &out, 2) < 0 || batch_add(&batch, &a, 2) < 0 || batch_add(&batch, &b, 2) < 0)
        return wrong_value("matmul: leading axes do not broadcast");

    isize lda = step(&a, 2), ldb = step(&b, 2), ldc = step(&out, 2);
    Matrix left = {0, ta ? 1 : lda, ta ? lda : 1}, right = {0, tb ? 1 : ldb, tb ? ldb : 1};
    int few = m <= FEW_ROWS && !ta;
    Workspace workspace = {0, 0};
    if (!few && !workspace_get(&workspace, multiply_workspace(n, k))) return 0;
    void *python = release_python((double)batch.count * (double)m * (double)n * (double)k);
    for (isize i = 0; i < batch.count; i++, batch_next(&batch)) {
        left.data = (const float *)batch.at[1];
        right.data = (const float *)batch.at[2];
        if (few) multiply_few(m, n, k, left, right, (float *)batch.at[0], ldc, 0);
        else multiply_packed(m, n, k, left, right, (float *)batch.at[0], ldc, 0, workspace.floats);
    }
    regain_python(python);
    if (!few) workspace_free(&workspace);
    return boolean(1);
}
