/* Rotary position encoding: pairs of coordinates turned by position * frequency. Su et al., RoFormer, arXiv:2104.09864, equation 34.
 * Angles are formed and reduced to [-pi/4, pi/4] in float64; sine and cosine of what remains: Cephes, sinf.c, cosf.c and sin.c. */
#include "kernels.h"

typedef double double4 __attribute__((vector_size(32)));
typedef double double4u __attribute__((vector_size(32), aligned(8), may_alias));
typedef long long long4 __attribute__((vector_size(32)));

/* Beyond LARGEST_ANGLE the reduction loses what the results need: the number of quarter turns times the first part of pi / 2
 * (33 bits) must be exact for float64. */
#ifdef F64
#define LARGEST_ANGLE 1e6
INL v4 sine_of(v4 r, v4 z) {
    v4 s = madd(splat(1.58962301576546568060e-10), z, splat(-2.50507477628578072866e-8));
    s = madd(s, z, splat(2.75573136213857245213e-6));
    s = madd(s, z, splat(-1.98412698295895385996e-4));
    s = madd(s, z, splat(8.33333333332211858878e-3));
    s = madd(s, z, splat(-1.66666666666666307295e-1));
    return s * z * r + r;
}
INL v4 cosine_of(v4 z) {
    v4 c = madd(splat(-1.13585365213876817300e-11), z, splat(2.08757008419747316778e-9));
    c = madd(c, z, splat(-2.75573141792967388112e-7));
    c = madd(c, z, splat(2.48015872888517045348e-5));
    c = madd(c, z, splat(-1.38888888888730564116e-3));
    c = madd(c, z, splat(4.16666666666665929218e-2));
    return c * z * z - splat(0.5) * z + splat(1.0);
}
#else
#define LARGEST_ANGLE 1e8
INL v4 sine_of(v4 r, v4 z) {
    return ((splat(-1.9515295891e-4f) * z + splat(8.3321608736e-3f)) * z - splat(1.6666654611e-1f)) * z * r + r;
}
INL v4 cosine_of(v4 z) {
    return ((splat(2.443315711809948e-5f) * z - splat(1.388731625493765e-3f)) * z + splat(4.166664568298827e-2f)) * z * z -
           splat(0.5f) * z + splat(1.f);
}
#endif

/* Sine and cosine of position * frequency[0..3]. Adding 1.5 * 2^52 rounds to the nearest quarter turn and leaves its number
 * in the lowest bits. */
INL void sines_cosines(double position, const double *frequency, v4 *sine, v4 *cosine) {
    double4 angle = position * *(const double4u *)frequency;
    double4 shifted = angle * 0.63661977236758134308 + 6755399441055744.0, n = shifted - 6755399441055744.0;
    double4 rest = (angle - n * 1.57079632673412561417) - n * 6.07710050630396597660e-11;
#ifdef F64
    v4 r = rest - n * 2.02226624879595063154e-21;
#else
    v4 r = __builtin_convertvector(rest, v4);
#endif
    m4 quadrant = __builtin_convertvector((long4)shifted & 3, m4);
    v4 z = r * r, s = sine_of(r, z), c = cosine_of(z);
    m4 is_odd = -(quadrant & 1);
    enum { SIGN = 8 * sizeof(real) - 2 };
    *sine = (v4)((m4)select(is_odd, c, s) ^ ((quadrant & 2) << SIGN));
    *cosine = (v4)((m4)select(is_odd, s, c) ^ (((quadrant + 1) & 2) << SIGN));
}

static void rotate_row(const real *x, double position, const double *frequency, isize pairs, isize d, int interleaved, real *out) {
    v4 s, c;
    isize i = 0;
    for (; i + 4 <= pairs; i += 4) {
        sines_cosines(position, frequency + i, &s, &c);
        if (interleaved) {
            v4 low = LOAD(x + 2 * i), high = LOAD(x + 2 * i + 4);
            v4 a = __builtin_shufflevector(low, high, 0, 2, 4, 6), b = __builtin_shufflevector(low, high, 1, 3, 5, 7);
            v4 first = a * c - b * s, second = a * s + b * c;
            STORE(out + 2 * i, __builtin_shufflevector(first, second, 0, 4, 1, 5));
            STORE(out + 2 * i + 4, __builtin_shufflevector(first, second, 2, 6, 3, 7));
        } else {
            v4 a = LOAD(x + i), b = LOAD(x + pairs + i);
            STORE(out + i, a * c - b * s);
            STORE(out + pairs + i, a * s + b * c);
        }
    }
    if (i < pairs) {
        isize between = interleaved ? 1 : pairs, apart = interleaved ? 2 : 1;
        double rates[4] = {0.0, 0.0, 0.0, 0.0};
        for (isize j = i; j < pairs; j++) rates[j - i] = frequency[j];
        sines_cosines(position, rates, &s, &c);
        for (isize j = i; j < pairs; j++) {
            real a = x[j * apart], b = x[j * apart + between];
            out[j * apart] = a * c[j - i] - b * s[j - i];
            out[j * apart + between] = a * s[j - i] + b * c[j - i];
        }
    }
    for (isize k = 2 * pairs; k < d; k++) out[k] = x[k];
}

Status KERNEL(rotate)(Call *call) {
    const Array *x = &call->array[rotate_x], *positions = &call->array[rotate_positions];
    const Array *frequency = &call->array[rotate_frequency], *out = &call->array[rotate_out];
    isize d = len(x, 1), pairs = frequency->shape[0];
    if (len(out, 1) != d || pairs != d / 2) return wrong(call, "rotate: shapes differ");
    const double *rates = (const double *)frequency->data;
    for (isize i = 0; i < pairs; i++)
        if (!(rates[i] >= 0.0 && rates[i] <= 1.0)) return DECLINED;
    Batch batch;
    batch_start(&batch, out, 1);
    if (batch_add(&batch, out, 1) < 0 || batch_add(&batch, x, 1) < 0 || batch_add(&batch, positions, 0) < 0)
        return wrong(call, "rotate: leading axes do not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        double position = *(const double *)batch.at[2];
        if (!(position >= -LARGEST_ANGLE && position <= LARGEST_ANGLE)) return DECLINED;
        rotate_row((const real *)batch.at[1], position, rates, pairs, d, call->size[rotate_interleaved] != 0, (real *)batch.at[0]);
    }
    return DONE;
}
