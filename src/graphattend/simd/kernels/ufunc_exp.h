/* exp of four float32 lanes, used by exp and tanh. */
#ifndef UFUNC_EXP_H
#define UFUNC_EXP_H

#include "ufunc_vector.h"

/* Cephes expf (S. Moshier): x = n ln 2 + r with ln 2 in two parts and a polynomial on |r| <= ln 2 / 2.
   Gives exp r, and n by `whole`; the number 1.5 * 2^23 added and taken off rounds to the nearest integer. The
   constants are read from memory: an engine may build a v128.const anew, by several instructions, at every use. */
INLINE f32x4 exp_parts_f32(f32x4 x, i32x4 *whole)
{
    static const f32 constants[] = {1.44269504088896341f, 12582912.f,       0.693359375f,     -2.12194440e-4f,
                                    1.9875691500E-4f,     1.3981999507E-3f, 8.3334519073E-3f, 4.1665795894E-2f,
                                    1.6666665459E-1f,     5.0000001201E-1f, 1.f};
    const f32 *c = constants;
    OPAQUE(c);
    f32x4 shift = splat_f32(c[1]), shifted = x * splat_f32(c[0]) + shift;
    f32x4 n = shifted - shift;
    f32x4 r = x - n * splat_f32(c[2]);
    r = r - n * splat_f32(c[3]);
    f32x4 z = r * r; /* the polynomial in pairs: a short chain of dependent operations */
    f32x4 p = (r * splat_f32(c[4]) + splat_f32(c[5])) * z + (r * splat_f32(c[6]) + splat_f32(c[7]));
    p = p * z + (r * splat_f32(c[8]) + splat_f32(c[9]));
    *whole = (i32x4)shifted - 0x4b400000 /* bits of 1.5 * 2^23 */;
    return (p * z + r) + splat_f32(c[10]);
}

/* For |x| < 87: the result is a normal number, so n can be added to its exponent. */
INLINE f32x4 exp_ordinary_f32(f32x4 x)
{
    i32x4 whole;
    f32x4 y = exp_parts_f32(x, &whole);
    return (f32x4)((i32x4)y + (whole << 23));
}

/* For any x: two factors carry 2^n through overflow and the denormal range. A NaN stays one: pmin and pmax keep it
   as their first operand. */
INLINE f32x4 exp_extreme_f32(f32x4 x)
{
    i32x4 whole;
    f32x4 y = exp_parts_f32(pmax_f32(pmin_f32(x, splat_f32(89.f)), splat_f32(-104.5f)), &whole);
    i32x4 half = whole >> 1;
    return (y * (f32x4)((half + 127) << 23)) * (f32x4)((whole - half + 127) << 23);
}

#endif
