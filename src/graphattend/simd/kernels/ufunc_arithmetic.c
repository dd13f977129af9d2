/* add, subtract, multiply, divide: IEEE operations, so bit for bit what NumPy's scalar loops give. */
#include "ufunc_binary.h"

#define ARITHMETIC(NAME, OPERATOR) \
    INLINE f32x4 NAME##_f32(f32x4 a, f32x4 b) { return a OPERATOR b; } \
    INLINE f64x2 NAME##_f64(f64x2 a, f64x2 b) { return a OPERATOR b; }

ARITHMETIC(add, +)
ARITHMETIC(subtract, -)
ARITHMETIC(multiply, *)
ARITHMETIC(divide, /)

/* NumPy's pairwise summation (blocks of at most 128, eight running sums), in the same order: the same bits. */
enum { BLOCK = 128 };

static f32 sum_block_f32(const f32 *x, npy_intp n)
{
    f32x4 r0 = load_f32(x), r1 = load_f32(x + 4);
    npy_intp i = 8;
    for (; i + 8 <= n; i += 8) {
        r0 += load_f32(x + i);
        r1 += load_f32(x + i + 4);
    }
    f32 sum = ((r0[0] + r0[1]) + (r0[2] + r0[3])) + ((r1[0] + r1[1]) + (r1[2] + r1[3]));
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

static f64 sum_block_f64(const f64 *x, npy_intp n)
{
    f64x2 r0 = load_f64(x), r1 = load_f64(x + 2), r2 = load_f64(x + 4), r3 = load_f64(x + 6);
    npy_intp i = 8;
    for (; i + 8 <= n; i += 8) {
        r0 += load_f64(x + i);
        r1 += load_f64(x + i + 2);
        r2 += load_f64(x + i + 4);
        r3 += load_f64(x + i + 6);
    }
    f64 sum = ((r0[0] + r0[1]) + (r1[0] + r1[1])) + ((r2[0] + r2[1]) + (r3[0] + r3[1]));
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

#define PAIRWISE_SUM(T) \
    static T sum_##T(const T *x, npy_intp n) \
    { \
        if (n <= BLOCK) \
            return sum_block_##T(x, n); \
        npy_intp half = n / 2; \
        half -= half % 8; \
        return sum_##T(x, half) + sum_##T(x + half, n - half); \
    } \
    INLINE int reduce_add_##T(T *accumulator, const T *values, npy_intp n, npy_intp step) \
    { \
        if (n < 8 || step != sizeof(T)) \
            return 0; \
        *accumulator += sum_##T(values, n); \
        return 1; \
    }

PAIRWISE_SUM(f32)
PAIRWISE_SUM(f64)

BINARY_LOOP(add, f32, add, reduce_add_f32)
BINARY_LOOP(add, f64, add, reduce_add_f64)
BINARY_LOOP(subtract, f32, subtract, NOT_REDUCED)
BINARY_LOOP(subtract, f64, subtract, NOT_REDUCED)
BINARY_LOOP(multiply, f32, multiply, NOT_REDUCED)
BINARY_LOOP(multiply, f64, multiply, NOT_REDUCED)
BINARY_LOOP(divide, f32, divide, NOT_REDUCED)
BINARY_LOOP(divide, f64, divide, NOT_REDUCED)
