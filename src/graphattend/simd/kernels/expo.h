/* exp and log on vector lanes. Range reduction and float32's log: S. L. Moshier, Cephes
 * Mathematical Library, expf.c and logf.c. exp: a polynomial for (exp(r) - 1 - r) / r^2 on
 * |r| <= ln(2)/2. In float32, its degree is 3, with the least relative error of exp. A file that
 * defines ACCURATE_EXP, for NumPy's functions, gets that of Cephes, which has degree 4. float64:
 * interpolated at Chebyshev nodes; its log is the series of atanh. */
#ifndef GA_EXPO_H
#define GA_EXPO_H

#include "vec.h"

/* The coefficients are read from memory on purpose: V8 builds a v128.const anew at every use once
 * registers run out, while a pointer that the compiler cannot see through makes them plain loads.
 */
enum {
    EXP_LOW,
    EXP_MAGIC,
    EXP_FACTOR,
    EXP_LN2_HIGH,
    EXP_LN2_LOW,
    EXP_ONE,
    EXP_HIGH,
    EXP_POLYNOMIAL
};
#ifdef F64
enum { EXP_TERMS = 10 };
#elif defined(ACCURATE_EXP)
enum { EXP_TERMS = 5 };
#else
enum { EXP_TERMS = 4 };
#endif
static const real EXP_TABLE[EXP_POLYNOMIAL + EXP_TERMS] __attribute__((aligned(64), unused)) = {
#ifdef F64
    -708.3,                     /* below this the result is 0 (no denormals) */
    6755399441055744.0,         /* 1.5 * 2^52, rounds to whole numbers when added */
    1.4426950408889634074,      /* log2(e) */
    -6.93145751953125e-1,       /* -ln(2), high part */
    -1.42860682030941723212e-6, /* -ln(2), low part */
    1.0,
    709.78, /* above this the result is infinite */
    2.510038549551032e-08,
    2.7620088445409746e-07,
    2.7557268459997064e-06,
    2.4801521295954376e-05,
    0.00019841269863053618,
    0.0013888888917213717,
    0.008333333333330062,
    0.04166666666662413,
    0.16666666666666669,
    0.5000000000000001,
#else
    -87.33654f,
    12582912.f /* 1.5 * 2^23 */,
    1.44269504088896341f,
    -0.693359375f,
    2.12194440e-4f,
    1.f,
    88.72283f,
#ifdef ACCURATE_EXP
    1.3814540580e-3f,
    8.3687454462e-3f,
    4.1668388993e-2f,
    1.6666521132e-1f,
    4.9999994040e-1f,
#else
    8.3125154707e-3f,
    4.1890200523e-2f,
    1.6667114834e-1f,
    4.9999231199e-1f,
#endif
#endif
};

INL const real *exp_table(void) {
    const real *table = EXP_TABLE;
    __asm__("" : "+r"(table));
    return table;
}

/* exp of `count` (at most 4) vectors of values that are at most EXP_HIGH, in place; relative error
 * below 1.9e-7 (1.2e-7 if accurate) or 2.3e-16, 0 below EXP_LOW. The vectors are computed together,
 * step by step: one after the other, their long chains of dependent operations would fill the
 * processor's queues. exp(x) = 2^n p with x = n ln(2) + r and p = exp(r); n is in the lowest bits
 * of `shifted`. */
#define STEP(to, value)                                                                            \
    for (int i = 0; i < count; i++) {                                                              \
        to[i] = value;                                                                             \
        if (count > 1) KEEP(to[i]);                                                                \
    }
/* p = 1 + r + r^2 times the polynomial. With fused multiply-adds this is a single chain of them.
 * Without, r is added last, because its product would be rounded, and the long float64 polynomial
 * computes odd and even powers in parallel. */
#ifdef __wasm_relaxed_simd__
#define EXP_SUM(v, all, add)                                                                       \
    v term = all(t[EXP_POLYNOMIAL]), one = all(t[EXP_ONE]);                                        \
    factor = all(t[EXP_POLYNOMIAL + 1]);                                                           \
    STEP(p, add(term, r[i], factor))                                                               \
    for (int k = 2; k < EXP_TERMS; k++) {                                                          \
        term = all(t[EXP_POLYNOMIAL + k]);                                                         \
        STEP(p, add(p[i], r[i], term))                                                             \
    }                                                                                              \
    STEP(p, add(p[i], r[i], one))                                                                  \
    STEP(p, add(p[i], r[i], one))
#elif defined(F64)
#define EXP_SUM(v, all, add)                                                                       \
    v odd[4], square[4], term;                                                                     \
    STEP(square, r[i] * r[i])                                                                      \
    factor = all(t[EXP_POLYNOMIAL]), term = all(t[EXP_POLYNOMIAL + 2]);                            \
    STEP(odd, add(factor, square[i], term))                                                        \
    factor = all(t[EXP_POLYNOMIAL + 1]), term = all(t[EXP_POLYNOMIAL + 3]);                        \
    STEP(p, add(factor, square[i], term))                                                          \
    for (int k = 4; k < EXP_TERMS; k += 2) {                                                       \
        factor = all(t[EXP_POLYNOMIAL + k]), term = all(t[EXP_POLYNOMIAL + k + 1]);                \
        STEP(odd, add(odd[i], square[i], factor))                                                  \
        STEP(p, add(p[i], square[i], term))                                                        \
    }                                                                                              \
    STEP(p, add(odd[i], r[i], p[i]))                                                               \
    STEP(p, add(p[i], square[i], r[i]))                                                            \
    factor = all(t[EXP_ONE]);                                                                      \
    STEP(p, p[i] + factor)
#else
#define EXP_SUM(v, all, add)                                                                       \
    factor = all(t[EXP_POLYNOMIAL]);                                                               \
    v term = all(t[EXP_POLYNOMIAL + 1]);                                                           \
    STEP(p, add(factor, r[i], term))                                                               \
    for (int k = 2; k < EXP_TERMS; k++) {                                                          \
        term = all(t[EXP_POLYNOMIAL + k]);                                                         \
        STEP(p, add(p[i], r[i], term))                                                             \
    }                                                                                              \
    STEP(p, add(p[i], r[i] * r[i], r[i]))                                                          \
    factor = all(t[EXP_ONE]);                                                                      \
    STEP(p, p[i] + factor)
#endif
#define EXPONENTIAL(name, parts, v, u, all, add)                                                   \
    INL void parts(const int count, const real *t, const v *x, v *p, v *shifted) {                 \
        v magic = all(t[EXP_MAGIC]), r[4];                                                         \
        v factor = all(t[EXP_FACTOR]);                                                             \
        STEP(shifted, add(x[i], factor, magic))                                                    \
        STEP(p, shifted[i] - magic)                                                                \
        factor = all(t[EXP_LN2_HIGH]);                                                             \
        STEP(r, add(p[i], factor, x[i]))                                                           \
        factor = all(t[EXP_LN2_LOW]);                                                              \
        STEP(r, add(p[i], factor, r[i]))                                                           \
        EXP_SUM(v, all, add)                                                                       \
    }                                                                                              \
    INL void name(const int count, const real *t, v *x) {                                          \
        v lowest = all(t[EXP_LOW]), p[4], shifted[4];                                              \
        parts(count, t, x, p, shifted);                                                            \
        STEP(x, (v)(((u)p[i] + ((u)shifted[i] << MANTISSA)) & ~(u)(x[i] < lowest)))                \
    }
EXPONENTIAL(exp_wides, exp_wides_parts, vw, uw, splatw, maddw)
#if WIDE > 4
EXPONENTIAL(exp_vectors, exp_vectors_parts, v4, u4, splat, madd)
#else
#define exp_vectors exp_wides /* of `vec` */
#endif
#undef STEP
#undef EXP_SUM

INL v4 exp_small(const real *t, v4 x) {
#if WIDE == 2
    vw halves[2] = {low(x), high(x)};
    exp_wides(2, t, halves);
    return join(halves[0], halves[1]);
#else
    exp_vectors(1, t, &x);
    return x;
#endif
}

/* Corrects y = exp_small(x) for any x: infinity above EXP_HIGH, NaN for NaN. */
INL v4 exp_ends(const real *t, v4 x, v4 y) {
    y = select((m4)(x > splat(t[EXP_HIGH])), splat(INFINITY), y);
    return select((m4)(x == x), y, x);
}

INL real exp_scalar(real x) {
    vec y = splatv(x);
    exp_vectors(1, exp_table(), &y);
    return y[0];
}

/* Natural logarithm of positive, normal numbers. */
#ifdef F64
#define LOG_EXPONENTS 2047
#define LOG_BIAS 1022
#define LOG_FRACTION 0x000fffffffffffff
#define LOG_HALF 0x3fe0000000000000
/* m = (1 + s) / (1 - s) - 1: log(1 + m) = 2 atanh(s) = m - s (m - R), R = 2 s^2/3 + 2 s^4/5 + ...
 */
#define LOG_SERIES(v, all, add)                                                                    \
    v s = m / (all(2.0) + m), z = s * s, p = all(2.0 / 23.0);                                      \
    for (int k = 21; k >= 3; k -= 2) p = add(p, z, all(2.0 / k));                                  \
    v y = m - s * (m - p * z);                                                                     \
    y = add(n, all(1.42860682030941723212e-6), y);                                                 \
    return add(n, all(6.93145751953125e-1), y);
#else
#define LOG_EXPONENTS 255
#define LOG_BIAS 126
#define LOG_FRACTION 0x007fffff
#define LOG_HALF 0x3f000000
#define LOG_SERIES(v, all, add)                                                                    \
    /* even and odd powers apart: two short chains of dependent operations */                      \
    v z = m * m;                                                                                   \
    v even = add(z, all(7.0376836292e-2f), all(1.1676998740e-1f));                                 \
    v odd = add(z, all(-1.1514610310e-1f), all(-1.2420140846e-1f));                                \
    even = add(even, z, all(1.4249322787e-1f));                                                    \
    odd = add(odd, z, all(-1.6668057665e-1f));                                                     \
    even = add(even, z, all(2.0000714765e-1f));                                                    \
    odd = add(odd, z, all(-2.4999993993e-1f));                                                     \
    v y = add(m, odd, add(even, z, all(3.3333331174e-1f))) * m * z;                                \
    y = add(n, all(-2.12194440e-4f), y);                                                           \
    y = add(z, all(-0.5f), y);                                                                     \
    return add(n, all(0.693359375f), m + y);
#endif
#define LOGARITHM(name, v, i, all, add)                                                            \
    INL v name(v x) {                                                                              \
        i pattern = (i)x;                                                                          \
        i e = ((pattern >> MANTISSA) & LOG_EXPONENTS) - LOG_BIAS;                                  \
        v m = (v)((pattern & LOG_FRACTION) | LOG_HALF); /* [0.5, 1) */                             \
        i small = (i)(m < all((real)0.707106781186547524));                                        \
        e = e + small; /* small lanes are -1 */                                                    \
        m = m + (v)((i)m & small) - all(1);                                                        \
        v n = __builtin_convertvector(e, v);                                                       \
        LOG_SERIES(v, all, add)                                                                    \
    }
LOGARITHM(log_positive, v4, m4, splat, madd)
#if WIDE > 4
LOGARITHM(log_positives, vw, mw, splatw, maddw)
#else
#define log_positives log_positive
#endif

#endif
