/* The kernels' element and vectors, with GCC's and Clang's vector extensions. Every kernel is
 * compiled twice: for float32, and with -DF64 for float64. Three vectors of `real`:
 *
 *   vw   WIDE lanes, the widest of the instruction set: 16 bytes in WebAssembly, SSE and NEON, 32
 * in AVX2, 64 in AVX-512 v4   four lanes, whatever their size, where four things are done side by
 * side vec  LANES lanes, the narrower of the two, for what remains of a row
 */
#ifndef GA_VEC_H
#define GA_VEC_H

#include "host/call.h"

#ifdef F64
typedef double real;
typedef long long whole;
typedef unsigned long long bits;
#define K(name) IN_SET(name##_f64)
enum { MANTISSA = 52 };
#else
typedef float real;
typedef int whole;
typedef unsigned bits;
#define K(name) IN_SET(name##_f32)
enum { MANTISSA = 23 };
#endif
#define KERNEL(name) K(kernel_##name)

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#ifdef F64
#define WIDE (VECTOR_BYTES / 8)
#else
#define WIDE (VECTOR_BYTES / 4)
#endif

/* vector, unaligned, whole numbers (also what comparisons give), bit patterns (their arithmetic may
 * wrap) */
#define VECTOR(v, vu, m, mu, u, lanes)                                                             \
    typedef real v __attribute__((vector_size((lanes) * sizeof(real))));                           \
    typedef real vu                                                                                \
        __attribute__((vector_size((lanes) * sizeof(real)), aligned(sizeof(real)), may_alias));    \
    typedef whole m __attribute__((vector_size((lanes) * sizeof(real))));                          \
    typedef whole mu                                                                               \
        __attribute__((vector_size((lanes) * sizeof(real)), aligned(sizeof(real)), may_alias));    \
    typedef bits u __attribute__((vector_size((lanes) * sizeof(real))));
VECTOR(v4, v4u, m4, m4u, u4, 4)
#if WIDE == 4
typedef v4 vw;
typedef v4u vwu;
typedef m4 mw;
typedef m4u mwu;
typedef u4 uw;
#else
VECTOR(vw, vwu, mw, mwu, uw, WIDE)
#endif
#undef VECTOR

#define INL static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

#define LOAD(p) (*(const v4u *)(p))
#define STORE(p, v) (*(v4u *)(p) = (v))
#define LOADW(p) (*(const vwu *)(p))
#define STOREW(p, v) (*(vwu *)(p) = (v))

/* Forces the compiler to compute v, a vector of one register, at this point. It would otherwise
 * delay the computation until everything is loaded, which needs more registers than V8 has. */
#ifdef __wasm__
#define KEEP(v) __asm__ volatile("" : "+r"(v))
#else
#define KEEP(v) (void)(v)
#endif

INL v4 splat(real x) { return (v4){x, x, x, x}; }

/* On one register of WebAssembly: a * b + c, fused where the engine can; and the larger lane, or
 * `a` if either is NaN, which is one instruction on x86, where the NaN-exact maximum costs six. */
#ifdef __wasm_relaxed_simd__
#ifdef F64
#define MADD __builtin_wasm_relaxed_madd_f64x2
#else
#define MADD __builtin_wasm_relaxed_madd_f32x4
#endif
#else
#define MADD(a, b, c) ((a) * (b) + (c))
#endif
#if defined(__wasm_simd128__) && defined(F64)
#define MAX __builtin_wasm_pmax_f64x2
#define SQRT __builtin_wasm_sqrt_f64x2
#elif defined(__wasm_simd128__)
#define MAX __builtin_wasm_pmax_f32x4
#define SQRT __builtin_wasm_sqrt_f32x4
#else
#define MAX(a, b) ((vw)((((mw)(b)) & (mw)((a) < (b))) | (((mw)(a)) & ~(mw)((a) < (b)))))
#endif
INL vw maddw(vw a, vw b, vw c) { return MADD(a, b, c); }
INL vw vmaxw(vw a, vw b) { return MAX(a, b); }
INL vw selectw(mw mask, vw yes, vw no) { return (vw)(((mw)yes & mask) | ((mw)no & ~mask)); }
#if WIDE == 4
#define splatw splat
#define madd maddw
#define vmax vmaxw
#define select selectw
#else
INL vw splatw(real x) { return x - (vw){0}; }
INL v4 select(m4 mask, v4 yes, v4 no) { return (v4)(((m4)yes & mask) | ((m4)no & ~mask)); }
#if WIDE == 2 /* four lanes are two registers */
INL vw low(v4 v) { return __builtin_shufflevector(v, v, 0, 1); }
INL vw high(v4 v) { return __builtin_shufflevector(v, v, 2, 3); }
INL v4 join(vw a, vw b) { return __builtin_shufflevector(a, b, 0, 1, 2, 3); }
INL v4 madd(v4 a, v4 b, v4 c) {
    return join(maddw(low(a), low(b), low(c)), maddw(high(a), high(b), high(c)));
}
INL v4 vmax(v4 a, v4 b) { return join(vmaxw(low(a), low(b)), vmaxw(high(a), high(b))); }
#else
INL v4 madd(v4 a, v4 b, v4 c) { return a * b + c; }
INL v4 vmax(v4 a, v4 b) { return select((m4)(a < b), b, a); }
#endif
#endif

#ifdef __has_builtin
#if __has_builtin(__builtin_elementwise_sqrt)
#define SQUARE_ROOTS __builtin_elementwise_sqrt
#endif
#endif
#ifdef SQUARE_ROOTS
INL v4 vsqrt(v4 x) { return SQUARE_ROOTS(x); }
#elif defined(__wasm_simd128__) && WIDE == 2
INL v4 vsqrt(v4 x) { return join(SQRT(low(x)), SQRT(high(x))); }
#elif defined(__wasm_simd128__)
INL v4 vsqrt(v4 x) { return SQRT(x); }
#elif defined(F64)
INL v4 vsqrt(v4 x) {
    return (v4){__builtin_sqrt(x[0]), __builtin_sqrt(x[1]), __builtin_sqrt(x[2]),
                __builtin_sqrt(x[3])};
}
#else
INL v4 vsqrt(v4 x) {
    return (v4){__builtin_sqrtf(x[0]), __builtin_sqrtf(x[1]), __builtin_sqrtf(x[2]),
                __builtin_sqrtf(x[3])};
}
#endif

/* Four lanes or the widest vector, whichever has more: for functions of single numbers. */
#if WIDE > 4
enum { SPAN = WIDE };
typedef vw vx;
typedef vwu vxu;
typedef mw mx;
#define splatx splatw
#define maddx maddw
#define selectx selectw
#ifdef SQUARE_ROOTS
INL vx vsqrtx(vx x) { return SQUARE_ROOTS(x); }
#else
INL vx vsqrtx(vx x) {
    for (int i = 0; i < SPAN; i++)
        x[i] = sizeof(real) == 4 ? (real)__builtin_sqrtf((float)x[i])
                                 : (real)__builtin_sqrt((double)x[i]);
    return x;
}
#endif
#else
enum { SPAN = 4 };
typedef v4 vx;
typedef v4u vxu;
typedef m4 mx;
#define splatx splat
#define maddx madd
#define selectx select
#define vsqrtx vsqrt
#endif
#define LOADX(p) (*(const vxu *)(p))
#define STOREX(p, v) (*(vxu *)(p) = (v))

INL real hsum(v4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }

/* Lane sums of four vectors as one vector. */
INL v4 hsum4(v4 a, v4 b, v4 c, v4 d) {
    v4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
    v4 cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) +
        __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* The lanes summed into four. */
INL v4 fold(vw v) {
#if WIDE == 2
    return (v4){v[0], v[1], 0, 0};
#else
    v4 sum = *(const v4u *)&v;
    for (int i = 4; i < WIDE; i += 4) sum += *(const v4u *)((const real *)&v + i);
    return sum;
#endif
}

/* `vec` and its operations: v4, or vw where that is narrower. */
#if WIDE >= 4
enum { LANES = 4 };
typedef v4 vec;
typedef v4u vecu;
#define splatv splat
#define maddv madd
#define vmaxv vmax
INL vec narrow_max(vw v) { /* the largest of every LANES-th lane */
    vec top = *(const vecu *)&v;
    for (int i = LANES; i < WIDE; i += LANES)
        top = vmax(top, *(const vecu *)((const real *)&v + i));
    return top;
}
INL real vec_sum(vec v) { return hsum(v); }
INL v4 vec_sum4(vec a, vec b, vec c, vec d) { return hsum4(a, b, c, d); }
#else
enum { LANES = 2 };
typedef vw vec;
typedef vwu vecu;
#define splatv splatw
#define maddv maddw
#define vmaxv vmaxw
INL vec narrow_max(vw v) { return v; }
INL real vec_sum(vec v) { return v[0] + v[1]; }
INL v4 vec_sum4(vec a, vec b, vec c, vec d) {
    return join(__builtin_shufflevector(a, b, 0, 2) + __builtin_shufflevector(a, b, 1, 3),
                __builtin_shufflevector(c, d, 0, 2) + __builtin_shufflevector(c, d, 1, 3));
}
#endif
#define LOADV(p) (*(const vecu *)(p))
#define STOREV(p, v) (*(vecu *)(p) = (v))

#define INFINITY ((real)__builtin_inf())
#define MINUS_INFINITY (-INFINITY)

INL isize min_size(isize a, isize b) { return a < b ? a : b; }
INL isize max_size(isize a, isize b) { return a > b ? a : b; }
INL isize round_up(isize n, isize step) { return (n + step - 1) / step * step; }

/* Folds `x` into a running test: the sum stays 0 unless some x was infinite or NaN. */
INL v4 note_bad(v4 sum, v4 x) { return madd(x, splat(0), sum); }
INL vw note_badw(vw sum, vw x) { return maddw(x, splatw(0), sum); }
INL int is_bad(real sum) { return !(sum == 0); }
INL Status finished(real bad) { return is_bad(bad) ? NOT_FINITE : DONE; }

#endif
