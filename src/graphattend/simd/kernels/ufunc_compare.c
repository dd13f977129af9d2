/* The six comparisons: sixteen results a step, as NumPy's bool bytes 0 and 1. */
#include "ufunc.h"

#include <wasm_simd128.h>

/* -1/0 lanes of sixteen elements to bytes of 1 and 0. */
INL v128_t bools(v128_t a, v128_t b, v128_t c, v128_t d) {
    v128_t bytes =
        wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_narrow_i32x4(c, d));
    return wasm_v128_and(bytes, wasm_i8x16_splat(1));
}
#ifdef F64 /* two vectors' lanes as four of 32 bits */
#define LANES4(op, A, B, j)                                                                        \
    wasm_i32x4_shuffle((v128_t)(A(j) op B(j)), (v128_t)(A(j + 2) op B(j + 2)), 0, 2, 4, 6)
#else
#define LANES4(op, A, B, j) (v128_t)(A(j) op B(j))
#endif
#define OF_A(j) LOADW(a + i + (j))
#define OF_B(j) LOADW(b + i + (j))
#define SIXTEEN(op, A, B)                                                                          \
    for (; i + 16 <= n; i += 16)                                                                   \
        wasm_v128_store(out + i,                                                                   \
                        bools(LANES4(op, A, B, 0), LANES4(op, A, B, 4), LANES4(op, A, B, 8),       \
                              LANES4(op, A, B, 12)));
#define ONE(op, x, y) (x) op(y)

#define COMPARISON(name, op)                                                                       \
    LOOP(name) {                                                                                   \
        const real *a = (const real *)args[0], *b = (const real *)args[1];                         \
        unsigned char *out = (unsigned char *)args[2];                                             \
        BINARY_LOOP_BODY(name, SIXTEEN, ONE, op)                                                   \
    }
COMPARISON(less, <)
COMPARISON(less_equal, <=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)
COMPARISON(equal, ==)
COMPARISON(not_equal, !=)
