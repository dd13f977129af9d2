/* maximum and minimum with NumPy's rules: the first operand wins a tie (so the sign of zero is kept) and a NaN,
   the first if both are, is the result. */
#include "ufunc_binary.h"

INLINE f32x4 maximum_f32(f32x4 a, f32x4 b) { return select_f32((a >= b) | (a != a), a, b); }
INLINE f64x2 maximum_f64(f64x2 a, f64x2 b) { return select_f64((a >= b) | (a != a), a, b); }
INLINE f32x4 minimum_f32(f32x4 a, f32x4 b) { return select_f32((a <= b) | (a != a), a, b); }
INLINE f64x2 minimum_f64(f64x2 a, f64x2 b) { return select_f64((a <= b) | (a != a), a, b); }

/* Eight running extremes and their order of comparison are NumPy's, so that ties of +0 and -0 end the same. The
   one-instruction minimum does not see NaN: they are only looked for, and a row that has one goes to NumPy's loop. */
#define EXTREME_REDUCTION(NAME, T, V, P, LESS) \
    INLINE int reduce_##NAME##_##T(T *accumulator, const T *values, npy_intp n, npy_intp step) \
    { \
        enum { VECTORS = 8 / LANES_##T }; \
        V m[VECTORS]; \
        if (n < 16 || step != sizeof(T)) \
            return 0; \
        for (int j = 0; j < VECTORS; j++) \
            m[j] = load_##T(values + j * LANES_##T); \
        __typeof__(m[0] != m[0]) nan = m[0] != m[0]; \
        for (int j = 1; j < VECTORS; j++) \
            nan |= m[j] != m[j]; \
        npy_intp i = 8; \
        for (; i + 8 <= n; i += 8) \
            for (int j = 0; j < VECTORS; j++) { \
                V x = load_##T(values + i + j * LANES_##T); \
                nan |= x != x; \
                m[j] = P##_##T(m[j], x); \
            } \
        if (any((i32x4)nan)) \
            return 0; \
        T lanes[8]; \
        for (int j = 0; j < VECTORS; j++) \
            store_##T(lanes + j * LANES_##T, m[j]); \
        for (int width = 1; width < 8; width *= 2) \
            for (int j = 0; j < 8; j += 2 * width) \
                lanes[j] = lanes[j + width] LESS lanes[j] ? lanes[j + width] : lanes[j]; \
        T best = NAME##_##T(splat_##T(*accumulator), splat_##T(lanes[0]))[0]; \
        for (; i < n; i++) \
            best = NAME##_##T(splat_##T(best), splat_##T(values[i]))[0]; \
        *accumulator = best; \
        return 1; \
    }

EXTREME_REDUCTION(maximum, f32, f32x4, pmax, >)
EXTREME_REDUCTION(maximum, f64, f64x2, pmax, >)
EXTREME_REDUCTION(minimum, f32, f32x4, pmin, <)
EXTREME_REDUCTION(minimum, f64, f64x2, pmin, <)

BINARY_LOOP(maximum, f32, maximum, reduce_maximum_f32)
BINARY_LOOP(maximum, f64, maximum, reduce_maximum_f64)
BINARY_LOOP(minimum, f32, minimum, reduce_minimum_f32)
BINARY_LOOP(minimum, f64, minimum, reduce_minimum_f64)
