/* The register tile of GEMM and flash attention: 4 rows by two vectors of accumulators, with one
 * multiply-add for each per step of k.
 * Eight independent sums hide the latency of the multiply-add; more would not fit in V8's
 * registers. */
#ifndef GA_TILE_H
#define GA_TILE_H

#include "vec.h"

#define TILE_ROWS 4
#define TILE_COLUMNS (2 * WIDE)

/* c[i][j] += sum_k a[i * a_row + k * a_step] * b[k * b_step + WIDE j], rows <= 4 and vectors <= 2
 * constant at every call. */
INL void tile_add(const int rows, const int vectors, isize depth, const real *a, isize a_row,
                  isize a_step, const real *b, isize b_step, vw (*c)[2]) {
    const real *left[TILE_ROWS];
    for (int i = 0; i < rows; i++) left[i] = a + i * a_row;
#pragma GCC unroll 1
    for (isize k = 0; k < depth; k++) {
        vw right[2];
        for (int j = 0; j < vectors; j++) right[j] = LOADW(b + WIDE * j);
        for (int i = 0; i < rows; i++) {
            vw s = splatw(left[i][k * a_step]);
            for (int j = 0; j < vectors; j++) c[i][j] = maddw(s, right[j], c[i][j]);
        }
        b += b_step;
    }
}

INL void tile_zero(const int rows, const int vectors, vw (*c)[2]) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) c[i][j] = splatw(0);
}

INL void tile_load(const int rows, const int vectors, const real *from, isize stride, vw (*c)[2]) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) c[i][j] = LOADW(from + i * stride + WIDE * j);
}

INL void tile_store(const int rows, const int vectors, real *to, isize stride, vw (*c)[2]) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) STOREW(to + i * stride + WIDE * j, c[i][j]);
}

#endif
