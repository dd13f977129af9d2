/* tanh, float32: Cephes tanhf (S. Moshier): a polynomial below 0.625, else 1 - 2 / (exp(2 |x|) + 1). */
#include "ufunc_exp.h"
#include "ufunc_unary.h"

INLINE f32x4 tanh_f32(f32x4 x)
{
    f32x4 a = abs_f32(x), z = x * x;
    f32x4 p = z * -5.70498872745E-3f + 2.06390887954E-2f;
    p = p * z + -5.37397155531E-2f;
    p = p * z + 1.33314422036E-1f;
    p = p * z + -3.33332819422E-1f;
    f32x4 small = p * z * a + a;
    f32x4 large = 1.f - 2.f / (exp_ordinary_f32(pmin_f32(a + a, splat_f32(40.f))) + 1.f);
    f32x4 y = select_f32(a >= 0.625f, large, small); /* a NaN takes the polynomial */
    i32x4 sign = {(int)0x80000000, (int)0x80000000, (int)0x80000000, (int)0x80000000};
    return select_f32(sign, x, y);
}

UNARY_LOOP(tanh, f32)
