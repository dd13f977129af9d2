/* exp, float32 and float64 */
#include "ufunc_exp.h"
#include "ufunc_unary.h"

INLINE f32x4 exp_f32(f32x4 x)
{
    f32x4 y = exp_ordinary_f32(x);
    i32x4 extreme = ~(abs_f32(x) < 87.f);
    return any(extreme) ? select_f32(extreme, exp_extreme_f32(x), y) : y;
}

/* fdlibm's e_exp.c (Sun Microsystems, below 1 ulp): x = n ln 2 + r, r = high - low,
   exp r = 1 + r + r c / (2 - c) with c = r - r^2 P(r^2). 1.5 * 2^52 rounds to the nearest integer, as in ufunc_exp.h. */
INLINE f64x2 exp_parts_f64(f64x2 x, i64x2 *whole)
{
    f64x2 shifted = x * 1.44269504088896338700e+00 + 6755399441055744.;
    f64x2 n = shifted - 6755399441055744.;
    f64x2 high = x - n * 6.93147180369123816490e-01, low = n * 1.90821492927058770002e-10;
    f64x2 r = high - low, z = r * r;
    f64x2 p = z * 4.13813679705723846039e-08 + -1.65339022054652515390e-06;
    p = p * z + 6.61375632143793436117e-05;
    p = p * z + -2.77777777770155933842e-03;
    p = p * z + 1.66666666666666019037e-01;
    f64x2 c = r - z * p;
    *whole = (i64x2)shifted - 0x4338000000000000;
    return 1. - ((low - (r * c) / (2. - c)) - high);
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
