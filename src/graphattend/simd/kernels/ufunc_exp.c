/* exp, float32 and float64 */
#include "ufunc_exp.h"
#include "ufunc_unary.h"

INLINE f32x4 exp_f32(f32x4 x)
{
    f32x4 y = exp_ordinary_f32(x);
    i32x4 extreme = ~(abs_f32(x) < 87.f);
    return any(extreme) ? select_f32(extreme, exp_extreme_f32(x), y) : y;
}

/* Cephes exp (S. Moshier): x = n ln 2 + r, exp r = 1 + 2 r P(r^2) / (Q(r^2) - r P(r^2)).
   1.5 * 2^52 rounds to the nearest integer, as in ufunc_exp.h. */
INLINE f64x2 exp_parts_f64(f64x2 x, i64x2 *whole)
{
    f64x2 shifted = x * 1.4426950408889634073599 + 6755399441055744.;
    f64x2 n = shifted - 6755399441055744.;
    f64x2 r = x - n * 6.93145751953125E-1;
    r = r - n * 1.42860682030941723212E-6;
    f64x2 z = r * r;
    f64x2 p = z * 1.26177193074810590878E-4 + 3.02994407707441961300E-2;
    p = (p * z + 9.99999999999999999910E-1) * r;
    f64x2 q = z * 3.00198505138664455042E-6 + 2.52448340349684104192E-3;
    q = q * z + 2.27265548208155028766E-1;
    q = q * z + 2.00000000000000000009E0;
    *whole = (i64x2)shifted - 0x4338000000000000;
    return 2. * (p / (q - p)) + 1.;
}

INLINE f64x2 exp_f64(f64x2 x)
{
    i64x2 whole;
    f64x2 magnitude = (f64x2)wasm_f64x2_abs((v128_t)x);
    f64x2 y = exp_parts_f64(x, &whole);
    i64x2 extreme = ~(magnitude < 708.);
    y = (f64x2)((i64x2)y + (whole << 52));
    if (!any((i32x4)extreme))
        return y;
    f64x2 careful = exp_parts_f64(pmax_f64(pmin_f64(x, splat_f64(710.)), splat_f64(-746.)), &whole);
    i64x2 half = whole >> 1;
    careful = (careful * (f64x2)((half + 1023) << 52)) * (f64x2)((whole - half + 1023) << 52);
    return select_f64(extreme, careful, y);
}

UNARY_LOOP(exp, f32)
UNARY_LOOP(exp, f64)
