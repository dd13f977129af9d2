/* Four float32 or two float64 lanes, with GCC's and Clang's vector extensions: WebAssembly SIMD in the wheel, whatever the
 * host has in the native build that the tests use. */
#ifndef GA_VEC_H
#define GA_VEC_H

#include "pyabi.h"

typedef float f4 __attribute__((vector_size(16)));
typedef float f4u __attribute__((vector_size(16), aligned(4), may_alias));
typedef int i4 __attribute__((vector_size(16)));
typedef unsigned u4 __attribute__((vector_size(16))); /* arithmetic on bit patterns may wrap */
typedef double d2 __attribute__((vector_size(16)));
typedef double d2u __attribute__((vector_size(16), aligned(8), may_alias));
typedef long long l2 __attribute__((vector_size(16)));
typedef unsigned long long ul2 __attribute__((vector_size(16)));

#define INL static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

#define LOAD(p) (*(const f4u *)(p))
#define STORE(p, v) (*(f4u *)(p) = (v))
#define LOADD(p) (*(const d2u *)(p))
#define STORED(p, v) (*(d2u *)(p) = (v))

/* Has the compiler compute v here. It would otherwise put off what has no effect until everything is loaded or in flight, more
 * than V8 has registers for. */
#ifdef __wasm__
#define KEEP(v) __asm__ volatile("" : "+r"(v))
#else
#define KEEP(v) (void)(v)
#endif

INL f4 splat(float x) { return (f4){x, x, x, x}; }
INL d2 splatd(double x) { return (d2){x, x}; }

/* a * b + c, fused where the engine can. */
#ifdef __wasm_relaxed_simd__
INL f4 madd(f4 a, f4 b, f4 c) { return __builtin_wasm_relaxed_madd_f32x4(a, b, c); }
INL d2 maddd(d2 a, d2 b, d2 c) { return __builtin_wasm_relaxed_madd_f64x2(a, b, c); }
#else
INL f4 madd(f4 a, f4 b, f4 c) { return a * b + c; }
INL d2 maddd(d2 a, d2 b, d2 c) { return a * b + c; }
#endif

INL f4 select(i4 mask, f4 yes, f4 no) { return (f4)(((i4)yes & mask) | ((i4)no & ~mask)); }
INL d2 selectd(l2 mask, d2 yes, d2 no) { return (d2)(((l2)yes & mask) | ((l2)no & ~mask)); }

/* The larger lane; if either is NaN, `a`. One instruction on x86, where the NaN-exact f32x4.max costs six. */
#ifdef __wasm_simd128__
INL f4 vmax(f4 a, f4 b) { return __builtin_wasm_pmax_f32x4(a, b); }
INL d2 vmaxd(d2 a, d2 b) { return __builtin_wasm_pmax_f64x2(a, b); }
INL f4 vsqrt(f4 x) { return __builtin_wasm_sqrt_f32x4(x); }
#else
INL f4 vmax(f4 a, f4 b) { return select((i4)(a < b), b, a); }
INL d2 vmaxd(d2 a, d2 b) { return selectd((l2)(a < b), b, a); }
INL f4 vsqrt(f4 x) {
    return (f4){__builtin_sqrtf(x[0]), __builtin_sqrtf(x[1]), __builtin_sqrtf(x[2]), __builtin_sqrtf(x[3])};
}
#endif

INL float hsum(f4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }
INL float hmax(f4 v) {
    float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
    return a > b ? a : b;
}

/* Lane sums of four vectors as one vector. */
INL f4 hsum4(f4 a, f4 b, f4 c, f4 d) {
    f4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
    f4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* The widest vector of the instruction set, for the loops that count: WIDE float32 lanes. */
#if defined(__AVX512F__)
#define WIDE 16
#elif defined(__AVX__)
#define WIDE 8
#else
#define WIDE 4
#endif
#if WIDE > 4
typedef float fw __attribute__((vector_size(4 * WIDE)));
typedef float fwu __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef int iw __attribute__((vector_size(4 * WIDE)));
typedef int iwu __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef unsigned uw __attribute__((vector_size(4 * WIDE)));
INL fw splatw(float x) { return x - (fw){0.f}; }
INL fw maddw(fw a, fw b, fw c) { return a * b + c; }
INL fw selectw(iw mask, fw yes, fw no) { return (fw)(((iw)yes & mask) | ((iw)no & ~mask)); }
INL fw vmaxw(fw a, fw b) { return selectw((iw)(a < b), b, a); }
INL f4 fold(fw v) { /* the lanes summed in fours */
    f4 sum = *(const f4u *)&v;
    for (int i = 4; i < WIDE; i += 4) sum += *(const f4u *)((const float *)&v + i);
    return sum;
}
#else
typedef f4 fw;
typedef f4u fwu;
typedef i4 iw;
typedef int iwu __attribute__((vector_size(16), aligned(4), may_alias));
typedef u4 uw;
#define splatw splat
#define maddw madd
#define selectw select
#define vmaxw vmax
INL f4 fold(fw v) { return v; }
#endif
#define LOADW(p) (*(const fwu *)(p))
#define STOREW(p, v) (*(fwu *)(p) = (v))

#define MINUS_INFINITY (-__builtin_inff())

INL isize min_size(isize a, isize b) { return a < b ? a : b; }
INL isize max_size(isize a, isize b) { return a > b ? a : b; }
INL isize round_up(isize n, isize step) { return (n + step - 1) / step * step; }

/* Folds `x` into a running test: the sum stays 0 unless some x was infinite or NaN. */
INL f4 note_bad(f4 sum, f4 x) { return madd(x, splat(0.f), sum); }
INL fw note_badw(fw sum, fw x) { return maddw(x, splatw(0.f), sum); }
INL int is_bad(f4 sum) { return !(hsum(sum) == 0.f); }

#endif
