/* exp and log on vector lanes. Polynomials and range reduction: S. L. Moshier, Cephes Mathematical Library, expf.c and
 * logf.c (single precision); the float64 exponential is the Taylor series to degree 13 on |r| <= ln(2)/2. */
#ifndef GA_EXPO_H
#define GA_EXPO_H

#include "vec.h"

/* The coefficients are read from memory on purpose: V8 builds a v128.const anew at every use once registers run out, while a
 * pointer that the compiler cannot see through makes them plain loads. */
static const float EXP_TABLE[14] __attribute__((aligned(64), unused)) = {
    -87.33654f,        /* 0: below this the result is 0 (no denormals) */
    12582912.f,        /* 1: 1.5 * 2^23, rounds to whole numbers when added */
    1.44269504088896341f, /* 2: log2(e) */
    -0.693359375f,     /* 3: -ln(2), high part */
    2.12194440e-4f,    /* 4: -ln(2), low part */
    1.3814540580e-3f,  8.3687454462e-3f, 4.1668388993e-2f, 1.6666521132e-1f, 4.9999994040e-1f, /* 5-9 */
    1.f,               /* 10 */
    88.72283f,         /* 11: above this the result is infinite */
    0.f, 0.f,
};

INL const float *exp_table(void) {
    const float *table = EXP_TABLE;
    __asm__("" : "+r"(table));
    return table;
}

/* exp of `count` (at most 4) vectors of values that are at most about 88, in place; relative error below 1.2e-7, 0 below -87.3.
 * Several go through it step by step: one after the other, their long chains of dependent operations would fill the
 * processor's queues. */
#define STEP(to, value) for (int i = 0; i < count; i++) { to[i] = value; if (count > 1) KEEP(to[i]); }
#define EXPONENTIAL(name, vec, bits, all, add, larger)                                \
    INL void name(const int count, const float *t, vec *x) {                          \
        vec low = all(t[0]), magic = all(t[1]), shifted[4], r[4], p[4];               \
        STEP(r, larger(x[i], low))                                                    \
        vec factor = all(t[2]);                                                       \
        STEP(shifted, add(r[i], factor, magic))                                       \
        STEP(p, shifted[i] - magic)                                                   \
        factor = all(t[3]);                                                           \
        STEP(r, add(p[i], factor, r[i]))                                              \
        factor = all(t[4]);                                                           \
        STEP(r, add(p[i], factor, r[i]))                                              \
        factor = all(t[5]);                                                           \
        vec term = all(t[6]);                                                         \
        STEP(p, add(factor, r[i], term))                                              \
        for (int k = 7; k < 10; k++) {                                                \
            term = all(t[k]);                                                         \
            STEP(p, add(p[i], r[i], term))                                            \
        }                                                                             \
        STEP(p, add(p[i], r[i] * r[i], r[i]))                                         \
        term = all(t[10]);                                                            \
        STEP(p, p[i] + term)                                                          \
        STEP(x, (vec)(((bits)p[i] + ((bits)shifted[i] << 23)) & ~(bits)(x[i] < low))) \
    }
EXPONENTIAL(exp_vectors, f4, u4, splat, madd, vmax)
#if WIDE > 4
EXPONENTIAL(exp_wides, fw, uw, splatw, maddw, vmaxw)
#else
#define exp_wides exp_vectors
#endif
#undef STEP

INL f4 exp_small(const float *t, f4 x) {
    exp_vectors(1, t, &x);
    return x;
}

/* y, the exp_small of any x, made infinity above 88.7 and NaN for NaN. */
INL f4 exp_ends(const float *t, f4 x, f4 y) {
    y = select((i4)(x > splat(t[11])), splat(__builtin_inff()), y);
    return select((i4)(x == x), y, x);
}
INL f4 exp_any(const float *t, f4 x) { return exp_ends(t, x, exp_small(t, x)); }

INL float exp_scalar(float x) { return exp_small(exp_table(), splat(x))[0]; }

/* Natural logarithm of positive, normal numbers. */
INL f4 log_positive(f4 x) {
    i4 bits = (i4)x;
    i4 e = ((bits >> 23) & 255) - 126;
    f4 m = (f4)((bits & 0x007fffff) | 0x3f000000); /* [0.5, 1) */
    i4 small = (i4)(m < splat(0.707106781186547524f));
    e = e + small;                                     /* small lanes are -1 */
    m = m + (f4)((i4)m & small) - splat(1.f);
    f4 n = __builtin_convertvector(e, f4), z = m * m;
    f4 p = splat(7.0376836292e-2f);
    p = madd(p, m, splat(-1.1514610310e-1f));
    p = madd(p, m, splat(1.1676998740e-1f));
    p = madd(p, m, splat(-1.2420140846e-1f));
    p = madd(p, m, splat(1.4249322787e-1f));
    p = madd(p, m, splat(-1.6668057665e-1f));
    p = madd(p, m, splat(2.0000714765e-1f));
    p = madd(p, m, splat(-2.4999993993e-1f));
    p = madd(p, m, splat(3.3333331174e-1f));
    f4 y = p * m * z;
    y = madd(n, splat(-2.12194440e-4f), y);
    y = madd(z, splat(-0.5f), y);
    return madd(n, splat(0.693359375f), m + y);
}

INL float log_scalar(float x) { return log_positive(splat(x))[0]; }

/* float64 exp, relative error about 2 ulp; 0 below -708.3, infinity above 709.7. */
INL d2 exp_double(d2 x) {
    d2 low = splatd(-708.3), magic = splatd(6755399441055744.0);
    d2 clipped = vmaxd(x, low);
    d2 shifted = maddd(clipped, splatd(1.4426950408889634074), magic);
    d2 n = shifted - magic;
    d2 r = maddd(n, splatd(-6.93145751953125e-1), clipped);
    r = maddd(n, splatd(-1.42860682030941723212e-6), r);
    d2 p = splatd(1.0 / 6227020800.0);
    p = maddd(p, r, splatd(1.0 / 479001600.0));
    p = maddd(p, r, splatd(1.0 / 39916800.0));
    p = maddd(p, r, splatd(1.0 / 3628800.0));
    p = maddd(p, r, splatd(1.0 / 362880.0));
    p = maddd(p, r, splatd(1.0 / 40320.0));
    p = maddd(p, r, splatd(1.0 / 5040.0));
    p = maddd(p, r, splatd(1.0 / 720.0));
    p = maddd(p, r, splatd(1.0 / 120.0));
    p = maddd(p, r, splatd(1.0 / 24.0));
    p = maddd(p, r, splatd(1.0 / 6.0));
    p = maddd(p, r, splatd(0.5));
    d2 y = maddd(p, r * r, r) + splatd(1.0);
    y = (d2)((ul2)y + ((ul2)shifted << 52));
    y = (d2)((l2)y & ~(l2)(x < low));
    y = selectd((l2)(x > splatd(709.78)), splatd(__builtin_inf()), y);
    return selectd((l2)(x == x), y, x);
}

#endif
