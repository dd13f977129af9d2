/* sin and cos, float32: quadrant and remainder in float64 (pi / 2 in two parts, as fdlibm's __ieee754_rem_pio2f:
   25 + 53 bits, exact enough below 2^28), then Cephes' sinf and cosf polynomials (S. Moshier) on |r| <= pi / 4. */
#include "ufunc_unary.h"

INLINE f64x2 quadrants(f64x2 x) { return nearest_f64(x * 6.36619772367581382433e-01 /* 2 / pi */); }
INLINE f64x2 remainder_f64(f64x2 x, f64x2 n)
{
    return x - n * 1.57079631090164184570e+00 - n * 1.58932547735281966916e-08;
}

INLINE f32x4 sine_or_cosine(f32x4 x, int cosine)
{
    f64x2 x0 = (f64x2)wasm_f64x2_promote_low_f32x4((v128_t)x);
    f64x2 x1 = (f64x2)wasm_f64x2_promote_low_f32x4(wasm_i32x4_shuffle((v128_t)x, (v128_t)x, 2, 3, 2, 3));
    f64x2 n0 = quadrants(x0), n1 = quadrants(x1);
    v128_t r0 = wasm_f32x4_demote_f64x2_zero((v128_t)remainder_f64(x0, n0));
    v128_t r1 = wasm_f32x4_demote_f64x2_zero((v128_t)remainder_f64(x1, n1));
    v128_t q0 = wasm_i32x4_trunc_sat_f64x2_zero((v128_t)n0), q1 = wasm_i32x4_trunc_sat_f64x2_zero((v128_t)n1);
    f32x4 r = (f32x4)wasm_i32x4_shuffle(r0, r1, 0, 1, 4, 5);
    i32x4 q = (i32x4)wasm_i32x4_shuffle(q0, q1, 0, 1, 4, 5) + (cosine ? 1 : 0);
    f32x4 z = r * r;
    f32x4 s = z * -1.9515295891E-4f + 8.3321608736E-3f;
    s = s * z + -1.6666654611E-1f;
    s = s * z * r + r;
    f32x4 c = z * 2.443315711809948E-005f + -1.388731625493765E-003f;
    c = c * z + 4.166664568298827E-002f;
    c = c * z * z - 0.5f * z + 1.f;
    f32x4 y = select_f32((q & 1) == 1, c, s);
    y = (f32x4)((i32x4)y ^ ((q & 2) << 30));
    return cosine ? y : select_f32(x == 0.f, x, y); /* sin -0 = -0 */
}

/* Angles too large for the two-part remainder, infinities and NaN: one by one through NumPy's own loop. */
#define TRIGONOMETRIC(NAME, COSINE) \
    INLINE f32x4 NAME##_f32(f32x4 x) \
    { \
        i32x4 ordinary = abs_f32(x) < 1e8f; \
        f32x4 y = sine_or_cosine(select_f32(ordinary, x, splat_f32(0.f)), COSINE); \
        if (any(~ordinary)) { \
            f32 in[4], out[4]; \
            store_f32(in, x); \
            store_f32(out, y); \
            for (int lane = 0; lane < 4; lane++) \
                if (!ordinary[lane]) { \
                    char *args[2] = {(char *)(in + lane), (char *)(out + lane)}; \
                    npy_intp length = 1, steps[2] = {sizeof(f32), sizeof(f32)}; \
                    ORIGINAL(NAME, f32)(args, &length, steps, 0); \
                } \
            y = load_f32(out); \
        } \
        return y; \
    } \
    UNARY_LOOP(NAME, f32)

TRIGONOMETRIC(sin, 0)
TRIGONOMETRIC(cos, 1)
