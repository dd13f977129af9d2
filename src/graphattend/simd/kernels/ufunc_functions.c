/* sqrt and exp; for float32 also log, tanh, sin and cos. sqrt is correctly rounded by the machine.
 */
#define ACCURATE_EXP
#include "expo.h"
#include "ufunc.h"

#include <wasm_simd128.h>

#define EACH for (int i = 0; i < count; i++)

INL void square_root(const int count, vw *x) { EACH x[i] = SQRT(x[i]); }

/* exp for results that are not normal numbers: 2^n is applied as two factors, for overflow and
 * denormal numbers. */
NOINLINE vw exp_extreme(vw x) {
#ifdef F64
    const real highest = 710, lowest = -746;
    enum { BIAS = 1023 };
#else
    const real highest = 89, lowest = -104.5f;
    enum { BIAS = 127 };
#endif
    const real *t = exp_table();
    vw p, shifted, bounded = selectw((mw)(x > splatw(highest)), splatw(highest), x);
    bounded = selectw((mw)(x < splatw(lowest)), splatw(lowest), bounded);
    exp_wides_parts(1, t, &bounded, &p, &shifted);
    mw n = (mw)shifted - (mw)splatw(t[EXP_MAGIC]), half = n >> 1;
    vw y = (p * (vw)((half + BIAS) << MANTISSA)) * (vw)((n - half + BIAS) << MANTISSA);
    return selectw((mw)(x == x), y, x);
}

INL void exponential(const int count, vw *x) {
    const real *t = exp_table();
    vw p[4], shifted[4];
    exp_wides_parts(count, t, x, p, shifted);
    mw ordinary[4], all = ~(mw){0};
    EACH {
        ordinary[i] = (mw)(x[i] >= splatw(t[EXP_LOW])) & (mw)(x[i] <= splatw(t[EXP_HIGH]));
        all &= ordinary[i];
        p[i] = (vw)((uw)p[i] + ((uw)shifted[i] << MANTISSA));
    }
    if (any(~all)) EACH p[i] = selectw(ordinary[i], p[i], exp_extreme(x[i]));
    EACH x[i] = p[i];
}

UNARY_LOOP(sqrt, square_root)
UNARY_LOOP(exp, exponential)

#ifndef F64
INL vw absolute(vw x) { return (vw)((mw)x & 0x7fffffff); }

INL void logarithm(const int count, vw *x) {
    EACH {
        vw y = log_positive(x[i]);
        mw ordinary = (mw)(x[i] >= splatw(1.17549435e-38f)) & (mw)(x[i] < splatw(INFINITY));
        if (any(~ordinary)) {
            vw of_denormal =
                log_positive(x[i] * splatw(8388608.f)) - splatw(15.9423851f); /* 2^23, 23 ln(2) */
            vw special = selectw((mw)(x[i] > splatw(0)) & (mw)(x[i] < splatw(1)), of_denormal,
                                 x[i]); /* infinity, NaN */
            special = selectw((mw)(x[i] < splatw(0)), splatw(__builtin_nanf("")), special);
            special = selectw((mw)(x[i] == splatw(0)), splatw(MINUS_INFINITY), special);
            y = selectw(ordinary, y, special);
        }
        x[i] = y;
    }
}

/* Cephes tanhf (S. Moshier): a polynomial below 0.625, else 1 - 2 / (exp(2 |x|) + 1). */
INL void hyperbolic_tangent(const int count, vw *x) {
    vw e[4];
    EACH e[i] = vminw(absolute(x[i]) * 2.f, splatw(40));
    exp_wides(count, exp_table(), e);
    EACH {
        vw a = absolute(x[i]), z = a * a, large = 1.f - 2.f / (e[i] + 1.f);
        vw p = z * -5.70498872745E-3f + 2.06390887954E-2f;
        p = p * z + -5.37397155531E-2f;
        p = p * z + 1.33314422036E-1f;
        p = p * z + -3.33332819422E-1f;
        vw y = selectw((mw)(a >= splatw(0.625f)), large,
                       p * z * a + a); /* a NaN takes the polynomial */
        x[i] = selectw((mw){0} + (int)0x80000000, x[i], y);
    }
}

/* Quadrant and remainder in float64 (pi / 2 in two parts, as fdlibm's __ieee754_rem_pio2f: 25 + 53
 * bits, exact enough below 2^28), then Cephes' sinf and cosf polynomials (S. Moshier) on |r| <= pi
 * / 4. */
typedef double pair __attribute__((vector_size(16)));
INL pair quadrants(pair x) {
    return __builtin_wasm_nearest_f64x2(x * 6.36619772367581382433e-01 /* 2 / pi */);
}
INL v128_t remainder(pair x, pair n) {
    return wasm_f32x4_demote_f64x2_zero(
        (v128_t)(x - n * 1.57079631090164184570e+00 - n * 1.58932547735281966916e-08));
}

INL vw sine_or_cosine(vw x, int cosine) {
    pair x0 = (pair)wasm_f64x2_promote_low_f32x4((v128_t)x);
    pair x1 =
        (pair)wasm_f64x2_promote_low_f32x4(wasm_i32x4_shuffle((v128_t)x, (v128_t)x, 2, 3, 2, 3));
    pair n0 = quadrants(x0), n1 = quadrants(x1);
    v128_t q0 = wasm_i32x4_trunc_sat_f64x2_zero((v128_t)n0),
           q1 = wasm_i32x4_trunc_sat_f64x2_zero((v128_t)n1);
    vw r = (vw)wasm_i32x4_shuffle(remainder(x0, n0), remainder(x1, n1), 0, 1, 4, 5);
    mw q = (mw)wasm_i32x4_shuffle(q0, q1, 0, 1, 4, 5) + (cosine ? 1 : 0);
    vw z = r * r;
    vw s = z * -1.9515295891E-4f + 8.3321608736E-3f;
    s = s * z + -1.6666654611E-1f;
    s = s * z * r + r;
    vw c = z * 2.443315711809948E-005f + -1.388731625493765E-003f;
    c = c * z + 4.166664568298827E-002f;
    c = c * z * z - 0.5f * z + 1.f;
    vw y = selectw((mw)((q & 1) == 1), c, s);
    y = (vw)((mw)y ^ ((q & 2) << 30));
    return cosine ? y : selectw((mw)(x == splatw(0)), x, y); /* sin -0 = -0 */
}

/* Angles too large for the two-part remainder, infinities and NaN: one by one through NumPy's own
 * loop. */
#define TRIGONOMETRIC(name, is_cosine)                                                             \
    INL vw name##_of_vector(vw x) {                                                                \
        mw ordinary = (mw)(absolute(x) < splatw(1e8f));                                            \
        vw y = sine_or_cosine(selectw(ordinary, x, splatw(0)), is_cosine);                         \
        for (int lane = 0; any(~ordinary) && lane < WIDE; lane++)                                  \
            if (!ordinary[lane]) {                                                                 \
                real in = x[lane], out;                                                            \
                char *args[2] = {(char *)&in, (char *)&out};                                       \
                isize length = 1, steps[2] = {sizeof(real), sizeof(real)};                         \
                ORIGINAL(name)(args, &length, steps, 0);                                           \
                y[lane] = out;                                                                     \
            }                                                                                      \
        return y;                                                                                  \
    }                                                                                              \
    INL void name##_of(const int count, vw *x) { EACH x[i] = name##_of_vector(x[i]); }             \
    UNARY_LOOP(name, name##_of)

UNARY_LOOP(log, logarithm)
UNARY_LOOP(tanh, hyperbolic_tangent)
TRIGONOMETRIC(sin, 0)
TRIGONOMETRIC(cos, 1)
#endif
