/* 128-bit vectors of the two dtypes and the few operations that C's vector operators lack. */
#ifndef UFUNC_VECTOR_H
#define UFUNC_VECTOR_H

#include <wasm_simd128.h>

#include "ufunc_loops.h"

typedef float f32;
typedef double f64;
typedef f32 f32x4 __attribute__((vector_size(16)));
typedef f64 f64x2 __attribute__((vector_size(16)));
typedef int i32x4 __attribute__((vector_size(16)));
typedef long long i64x2 __attribute__((vector_size(16)));
enum { LANES_f32 = 4, LANES_f64 = 2 };

#define INLINE static inline __attribute__((always_inline, unused))

INLINE f32x4 splat_f32(f32 x) { return (f32x4)wasm_f32x4_splat(x); }
INLINE f64x2 splat_f64(f64 x) { return (f64x2)wasm_f64x2_splat(x); }
INLINE f32x4 load_f32(const f32 *p) { return (f32x4)wasm_v128_load(p); }
INLINE f64x2 load_f64(const f64 *p) { return (f64x2)wasm_v128_load(p); }
INLINE void store_f32(f32 *p, f32x4 v) { wasm_v128_store(p, (v128_t)v); }
INLINE void store_f64(f64 *p, f64x2 v) { wasm_v128_store(p, (v128_t)v); }

/* Four vectors at any address. As members of a struct behind a pointer the compiler knows nothing about (OPAQUE), their
   distances become offsets of the load and store instructions; otherwise every address is computed. */
typedef struct {
    f32x4 v0, v1, v2, v3;
} __attribute__((packed, aligned(4), may_alias)) Four_f32;
typedef struct {
    f64x2 v0, v1, v2, v3;
} __attribute__((packed, aligned(8), may_alias)) Four_f64;
#define OPAQUE(pointer) __asm__("" : "+r"(pointer))

INLINE f32x4 select_f32(i32x4 mask, f32x4 yes, f32x4 no)
{
    return (f32x4)wasm_v128_bitselect((v128_t)yes, (v128_t)no, (v128_t)mask);
}
INLINE f64x2 select_f64(i64x2 mask, f64x2 yes, f64x2 no)
{
    return (f64x2)wasm_v128_bitselect((v128_t)yes, (v128_t)no, (v128_t)mask);
}

/* What C calls a < b ? b : a, one instruction on x86 (f32x4.max, which orders zeros, takes six). */
INLINE f32x4 pmax_f32(f32x4 a, f32x4 b) { return (f32x4)wasm_f32x4_pmax((v128_t)a, (v128_t)b); }
INLINE f64x2 pmax_f64(f64x2 a, f64x2 b) { return (f64x2)wasm_f64x2_pmax((v128_t)a, (v128_t)b); }
INLINE f32x4 pmin_f32(f32x4 a, f32x4 b) { return (f32x4)wasm_f32x4_pmin((v128_t)a, (v128_t)b); }
INLINE f64x2 pmin_f64(f64x2 a, f64x2 b) { return (f64x2)wasm_f64x2_pmin((v128_t)a, (v128_t)b); }

INLINE f32x4 abs_f32(f32x4 x) { return (f32x4)wasm_f32x4_abs((v128_t)x); }
INLINE f32x4 sqrt_f32(f32x4 x) { return (f32x4)wasm_f32x4_sqrt((v128_t)x); }
INLINE f64x2 sqrt_f64(f64x2 x) { return (f64x2)wasm_f64x2_sqrt((v128_t)x); }
INLINE f32x4 nearest_f32(f32x4 x) { return (f32x4)wasm_f32x4_nearest((v128_t)x); }
INLINE f64x2 nearest_f64(f64x2 x) { return (f64x2)wasm_f64x2_nearest((v128_t)x); }
INLINE i32x4 to_int_f32(f32x4 x) { return (i32x4)wasm_i32x4_trunc_sat_f32x4((v128_t)x); }
INLINE int any(i32x4 mask) { return wasm_v128_any_true((v128_t)mask); }

#endif
