/* log, float32: Cephes logf (S. Moshier) */
#include "ufunc_unary.h"

INLINE f32x4 log_f32(f32x4 x)
{
    i32x4 denormal = x < 1.17549435e-38f;
    f32x4 normal = select_f32(denormal, x * 8388608.f /* 2^23 */, x);
    i32x4 bits = (i32x4)normal;
    i32x4 exponent = (bits >> 23) - 126 - (denormal & 23);
    f32x4 m = (f32x4)((bits & 0x7fffff) | 0x3f000000); /* mantissa in [0.5, 1) */
    i32x4 low = m < 0.707106781186547524f;
    f32x4 e = __builtin_convertvector(exponent + low, f32x4); /* a true lane is -1 */
    m = select_f32(low, m + m, m) - 1.f;
    /* even and odd powers apart: two short chains of dependent operations instead of a long one */
    f32x4 z = m * m;
    f32x4 even = z * 7.0376836292E-2f + 1.1676998740E-1f, odd = z * -1.1514610310E-1f + -1.2420140846E-1f;
    even = even * z + 1.4249322787E-1f;
    odd = odd * z + -1.6668057665E-1f;
    even = even * z + 2.0000714765E-1f;
    odd = odd * z + -2.4999993993E-1f;
    f32x4 p = (even * z + 3.3333331174E-1f) + m * odd;
    f32x4 y = m * z * p + e * -2.12194440e-4f;
    y = y - 0.5f * z;
    y = (m + y) + e * 0.693359375f;
    /* zero, negative, infinite, NaN */
    i32x4 special = ~((x > 0.f) & (x < __builtin_inff()));
    if (any(special)) {
        f32x4 value = select_f32(x < 0.f, splat_f32(__builtin_nanf("")), x);
        value = select_f32(x == 0.f, splat_f32(-__builtin_inff()), value);
        y = select_f32(special, value, y);
    }
    return y;
}

UNARY_LOOP(log, f32)
