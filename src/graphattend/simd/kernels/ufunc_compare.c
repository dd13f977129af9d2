/* The six comparisons: sixteen results a step, as NumPy's bool bytes 0 and 1. */
#include "ufunc_layout.h"

/* -1/0 lanes of four (f32) or eight (f64) vectors to sixteen bytes of 1 and 0. */
INLINE v128_t bools(v128_t a, v128_t b, v128_t c, v128_t d)
{
    v128_t bytes = wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_narrow_i32x4(c, d));
    return wasm_v128_and(bytes, wasm_i8x16_splat(1));
}
INLINE v128_t halves(i64x2 a, i64x2 b) { return wasm_i32x4_shuffle((v128_t)a, (v128_t)b, 0, 2, 4, 6); }

#define SIXTEEN_f32(A, OP, B) \
    bools((v128_t)(A(0) OP B(0)), (v128_t)(A(4) OP B(4)), (v128_t)(A(8) OP B(8)), (v128_t)(A(12) OP B(12)))
#define SIXTEEN_f64(A, OP, B) \
    bools(halves(A(0) OP B(0), A(2) OP B(2)), halves(A(4) OP B(4), A(6) OP B(6)), \
          halves(A(8) OP B(8), A(10) OP B(10)), halves(A(12) OP B(12), A(14) OP B(14)))

#define COMPARISON_LOOP(NAME, T, OP) \
    void loop_##NAME##_##T(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data) \
    { \
        const T *a = (const T *)args[0], *b = (const T *)args[1]; \
        unsigned char *out = (unsigned char *)args[2]; \
        npy_intp n = dimensions[0], i = 0, a_step = 1, b_step = 1; \
        switch (binary_layout(args, steps, n, sizeof(T), 1)) { \
        case CONTIGUOUS: \
            for (; i + 16 <= n; i += 16) \
                wasm_v128_store(out + i, SIXTEEN_##T(A_##T, OP, B_##T)); \
            break; \
        case FIRST_IS_SCALAR: { \
            __typeof__(splat_##T(*a)) scalar = splat_##T(*a); \
            a_step = 0; \
            for (; i + 16 <= n; i += 16) \
                wasm_v128_store(out + i, SIXTEEN_##T(SCALAR, OP, B_##T)); \
            break; \
        } \
        case SECOND_IS_SCALAR: { \
            __typeof__(splat_##T(*b)) scalar = splat_##T(*b); \
            b_step = 0; \
            for (; i + 16 <= n; i += 16) \
                wasm_v128_store(out + i, SIXTEEN_##T(A_##T, OP, SCALAR)); \
            break; \
        } \
        case OTHER: \
            ORIGINAL(NAME, T)(args, dimensions, steps, data); \
            return; \
        } \
        for (; i < n; i++) \
            out[i] = a[i * a_step] OP b[i * b_step]; \
    }

#define A_f32(j) load_f32(a + i + (j))
#define B_f32(j) load_f32(b + i + (j))
#define A_f64(j) load_f64(a + i + (j))
#define B_f64(j) load_f64(b + i + (j))
#define SCALAR(j) scalar

#define COMPARISON(NAME, OP) COMPARISON_LOOP(NAME, f32, OP) COMPARISON_LOOP(NAME, f64, OP)
COMPARISON(less, <)
COMPARISON(less_equal, <=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)
COMPARISON(equal, ==)
COMPARISON(not_equal, !=)
