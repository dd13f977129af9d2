/* The register tile that GEMM and flash attention stand on: 4 x 8 accumulators, one multiply-add for each per step of k.
 * Eight independent sums hide the latency of the multiply-add; more would not fit in V8's registers. */
#ifndef GA_TILE_H
#define GA_TILE_H

#include "vec.h"

#define TILE_ROWS 4
#define TILE_COLUMNS 8

/* c[i][j] += sum_k a[i * a_row + k * a_step] * b[k * b_step + 4 j], rows <= 4 and vectors <= 2 constant at every call. */
INL void tile_add(const int rows, const int vectors, isize depth, const float *a, isize a_row, isize a_step, const float *b,
                  isize b_step, f4 (*c)[2]) {
    const float *left[TILE_ROWS];
    for (int i = 0; i < rows; i++) left[i] = a + i * a_row;
#pragma GCC unroll 1
    for (isize k = 0; k < depth; k++) {
        f4 right[2];
        for (int j = 0; j < vectors; j++) right[j] = LOAD(b + 4 * j);
        for (int i = 0; i < rows; i++) {
            f4 s = splat(left[i][k * a_step]);
            for (int j = 0; j < vectors; j++) c[i][j] = madd(s, right[j], c[i][j]);
        }
        b += b_step;
    }
}

INL void tile_zero(const int rows, const int vectors, f4 (*c)[2]) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) c[i][j] = splat(0.f);
}

INL void tile_load(const int rows, const int vectors, const float *from, isize stride, f4 (*c)[2]) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) c[i][j] = LOAD(from + i * stride + 4 * j);
}

INL void tile_store(const int rows, const int vectors, float *to, isize stride, f4 (*c)[2]) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) STORE(to + i * stride + 4 * j, c[i][j]);
}

#endif
