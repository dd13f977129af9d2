/* C = A B, with A and B optionally transposed, batched with broadcasting. */
#include "gemm.h"

#include "rows.h"
#include "tile.h"

enum {
    DEPTH = 256,
    WIDTH = 1920 / sizeof(real)
}; /* a packed block of B: 480 kB, in the second-level cache */

/* Rows k of B as panels of TILE_COLUMNS, zero-padded: out[panel][k][column]. */
static void pack_rows(Matrix b, isize depth, isize width, real *out) {
    for (isize j = 0; j < width; j += TILE_COLUMNS) {
        const real *from = b.data + j;
        if (width - j >= TILE_COLUMNS) {
            for (isize k = 0; k < depth; k++, from += b.row, out += TILE_COLUMNS) {
                STOREW(out, LOADW(from));
                STOREW(out + WIDE, LOADW(from + WIDE));
            }
        } else {
            for (isize k = 0; k < depth; k++, from += b.row, out += TILE_COLUMNS)
                for (isize c = 0; c < TILE_COLUMNS; c++) out[c] = j + c < width ? from[c] : 0;
        }
    }
}

/* out[k * stride + 0..3] = rows[0..3][k] for k < depth: four rows side by side. */
INL void interleave4(const real *from, isize row, isize depth, real *out, isize stride) {
    isize k = 0;
    for (; k + 4 <= depth; k += 4) {
        v4 r0 = LOAD(from + k), r1 = LOAD(from + row + k), r2 = LOAD(from + 2 * row + k),
           r3 = LOAD(from + 3 * row + k);
        v4 a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5),
           b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
        v4 c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7),
           d = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
        STORE(out + k * stride, __builtin_shufflevector(a, b, 0, 1, 4, 5));
        STORE(out + (k + 1) * stride, __builtin_shufflevector(a, b, 2, 3, 6, 7));
        STORE(out + (k + 2) * stride, __builtin_shufflevector(c, d, 0, 1, 4, 5));
        STORE(out + (k + 3) * stride, __builtin_shufflevector(c, d, 2, 3, 6, 7));
    }
    for (; k < depth; k++)
        for (int r = 0; r < 4; r++) out[k * stride + r] = from[r * row + k];
}

/* The same panels from a B whose columns are contiguous (B given transposed). */
static void pack_columns(Matrix b, isize depth, isize width, real *out) {
    for (isize j = 0; j < width; j += TILE_COLUMNS, out += TILE_COLUMNS * depth) {
        const real *from = b.data + j * b.column;
        if (width - j >= TILE_COLUMNS) {
            for (int c = 0; c < TILE_COLUMNS; c += 4)
                interleave4(from + c * b.column, b.column, depth, out + c, TILE_COLUMNS);
        } else {
            for (isize k = 0; k < depth; k++)
                for (isize c = 0; c < TILE_COLUMNS; c++)
                    out[k * TILE_COLUMNS + c] = j + c < width ? from[c * b.column + k] : 0;
        }
    }
}

/* One tile of C: `rows` rows by up to TILE_COLUMNS columns. */
INL void tile_product(const int rows, isize depth, const real *a, isize a_row, isize a_step,
                      const real *b, isize b_step, real *c, isize ldc, isize columns, int add) {
    vw sum[TILE_ROWS][2];
    tile_zero(rows, 2, sum);
    tile_add(rows, 2, depth, a, a_row, a_step, b, b_step, sum);
    if (columns >= TILE_COLUMNS) {
        if (add)
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < 2; j++) sum[i][j] += LOADW(c + i * ldc + WIDE * j);
        tile_store(rows, 2, c, ldc, sum);
        return;
    }
    real spill[TILE_ROWS][TILE_COLUMNS];
    tile_store(rows, 2, spill[0], TILE_COLUMNS, sum);
    for (int i = 0; i < rows; i++)
        for (isize j = 0; j < columns; j++)
            c[i * ldc + j] = add ? c[i * ldc + j] + spill[i][j] : spill[i][j];
}

/* Panels of TILE_COLUMNS columns of B: panels are `apart` elements apart, their rows `step`. */
typedef struct {
    const real *data;
    isize apart, step;
} Panels;

/* All panels for one strip of rows; `a_step` is 1 for a row-major A and 4 for a packed strip. */
#define STRIP(name, rows, a_step)                                                                  \
    NOINLINE void name(isize depth, isize width, const real *a, isize a_row, Panels b, real *c,    \
                       isize ldc, int add) {                                                       \
        const real *panel = b.data;                                                                \
        for (isize j = 0; j < width; j += TILE_COLUMNS, panel += b.apart)                          \
            tile_product(rows, depth, a, a_row, a_step, panel, b.step, c + j, ldc, width - j,      \
                         add);                                                                     \
    }
STRIP(strip4, 4, 1)
STRIP(strip3, 3, 1)
STRIP(strip2, 2, 1)
STRIP(strip1, 1, 1)
STRIP(strip4_packed, 4, 4)

/* All rows of A with these panels. */
static void all_strips(isize m, isize depth, isize width, Matrix a, Panels b, real *c, isize ldc,
                       int add, real *strip) {
    isize i = 0;
    if (a.column == 1) {
        for (; i + 4 <= m; i += 4)
            strip4(depth, width, a.data + i * a.row, a.row, b, c + i * ldc, ldc, add);
        if (m - i == 3) strip3(depth, width, a.data + i * a.row, a.row, b, c + i * ldc, ldc, add);
        if (m - i == 2) strip2(depth, width, a.data + i * a.row, a.row, b, c + i * ldc, ldc, add);
        if (m - i == 1) strip1(depth, width, a.data + i * a.row, a.row, b, c + i * ldc, ldc, add);
        return;
    }
    for (; i + 4 <= m; i += 4) { /* A given transposed: four of its rows are one load */
        for (isize k = 0; k < depth; k++) STORE(strip + 4 * k, LOAD(a.data + k * a.column + i));
        strip4_packed(depth, width, strip, 1, b, c + i * ldc, ldc, add);
    }
    for (; i < m; i++) {
        for (isize k = 0; k < depth; k++) strip[k] = a.data[k * a.column + i];
        strip1(depth, width, strip, 0, b, c + i * ldc, ldc, add);
    }
}

isize multiply_workspace(isize n, isize k) {
    return (round_up(min_size(n, WIDTH), TILE_COLUMNS) + TILE_ROWS) * min_size(k, DEPTH);
}

/* Blocks of B are packed into panels, unless its rows are contiguous and at most two strips use
 * them. */
static void multiply_blocks(isize m, isize n, isize k, Matrix a, Matrix b, real *c, isize ldc,
                            int add, real *pack) {
    real *strip = pack + round_up(min_size(n, WIDTH), TILE_COLUMNS) * min_size(k, DEPTH);
    int direct = b.column == 1 && m <= 2 * TILE_ROWS;
    for (isize jc = 0; jc < n; jc += WIDTH) {
        isize width = min_size(WIDTH, n - jc), whole = direct ? width - width % TILE_COLUMNS : 0;
        for (isize pc = 0; pc < k; pc += DEPTH) {
            isize depth = min_size(DEPTH, k - pc);
            Matrix left = {a.data + pc * a.column, a.row, a.column};
            Matrix block = {b.data + pc * b.row + jc * b.column, b.row, b.column};
            int more = add || pc > 0;
            if (whole) {
                Panels panels = {block.data, TILE_COLUMNS, b.row};
                all_strips(m, depth, whole, left, panels, c + jc, ldc, more, strip);
                block.data += whole;
            }
            if (whole == width) continue;
            if (b.column == 1) pack_rows(block, depth, width - whole, pack);
            else pack_columns(block, depth, width, pack);
            Panels panels = {pack, TILE_COLUMNS * depth, TILE_COLUMNS};
            all_strips(m, depth, width - whole, left, panels, c + jc + whole, ldc, more, strip);
        }
    }
}

/* For few rows, packing B would cost more than it saves. */
static void multiply_few(isize m, isize n, isize k, Matrix a, Matrix b, real *c, isize ldc,
                         int add) {
    for (isize i = 0; i < m; i++) {
        const real *row = a.data + i * a.row;
        if (b.column == 1) {
            if (!add) fill(c + i * ldc, n, 0);
            add_weighted(b.data, b.row, k, row, n, c + i * ldc);
        } else {
            row_dots(b.data, b.column, n, row, k, c + i * ldc);
        }
    }
}

void multiply_matrices(isize m, isize n, isize k, Matrix a, Matrix b, real *c, isize ldc, int add,
                       real *workspace) {
    if (m <= FEW_ROWS && a.column == 1) multiply_few(m, n, k, a, b, c, ldc, add);
    else multiply_blocks(m, n, k, a, b, c, ldc, add, workspace);
}

void multiply(isize m, isize n, isize k, const real *a, isize lda, const real *b, isize ldb,
              real *c, isize ldc, Form form, real *workspace) {
    Matrix left = {a, lda, 1},
           right = {b, form == B_TRANSPOSED ? 1 : ldb, form == B_TRANSPOSED ? ldb : 1};
    multiply_matrices(m, n, k, left, right, c, ldc, form == ADD_TO_C, workspace);
}
