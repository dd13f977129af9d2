/* Rotary position encoding: pairs of coordinates turned by position * frequency. Su et al., RoFormer, arXiv:2104.09864, equation 34.
 * Angles are formed and reduced to [-pi/4, pi/4] in float64; sine and cosine of what remains: Cephes, sinf.c and cosf.c. */
#include "kernels.h"
#include "vec.h"

/* Beyond this the reduction loses what float32 results need. */
#define LARGEST_ANGLE 1e8

typedef float f2 __attribute__((vector_size(8)));
INL f4 narrow(d2 low, d2 high) {
    return __builtin_shufflevector(__builtin_convertvector(low, f2), __builtin_convertvector(high, f2), 0, 1, 2, 3);
}

/* Sine and cosine of position * frequency[0..3]. Adding 1.5 * 2^52 rounds to the nearest quarter turn and leaves its number
 * in the lowest bits. */
INL void sines_cosines(double position, const double *frequency, f4 *sine, f4 *cosine) {
    d2 magic = splatd(6755399441055744.0), per_quarter = splatd(0.63661977236758134308), at = splatd(position);
    d2 quarter = splatd(1.57079632673412561417), rest = splatd(6.07710050650619224932e-11);
    d2 angle0 = at * LOADD(frequency), angle1 = at * LOADD(frequency + 2);
    d2 shifted0 = angle0 * per_quarter + magic, shifted1 = angle1 * per_quarter + magic;
    d2 n0 = shifted0 - magic, n1 = shifted1 - magic;
    f4 r = narrow((angle0 - n0 * quarter) - n0 * rest, (angle1 - n1 * quarter) - n1 * rest), z = r * r;
    i4 quadrant = __builtin_shufflevector((i4)shifted0, (i4)shifted1, 0, 2, 4, 6);
    f4 s = ((splat(-1.9515295891e-4f) * z + splat(8.3321608736e-3f)) * z - splat(1.6666654611e-1f)) * z * r + r;
    f4 c = ((splat(2.443315711809948e-5f) * z - splat(1.388731625493765e-3f)) * z + splat(4.166664568298827e-2f)) * z * z -
           splat(0.5f) * z + splat(1.f);
    i4 is_odd = -(quadrant & 1);
    *sine = (f4)((i4)select(is_odd, c, s) ^ ((quadrant & 2) << 30));
    *cosine = (f4)((i4)select(is_odd, s, c) ^ (((quadrant + 1) & 2) << 30));
}

static void rotate_row(const float *x, double position, const double *frequency, isize pairs, isize d, int interleaved, float *out) {
    f4 s, c;
    isize i = 0;
    for (; i + 4 <= pairs; i += 4) {
        sines_cosines(position, frequency + i, &s, &c);
        if (interleaved) {
            f4 low = LOAD(x + 2 * i), high = LOAD(x + 2 * i + 4);
            f4 a = __builtin_shufflevector(low, high, 0, 2, 4, 6), b = __builtin_shufflevector(low, high, 1, 3, 5, 7);
            f4 first = a * c - b * s, second = a * s + b * c;
            STORE(out + 2 * i, __builtin_shufflevector(first, second, 0, 4, 1, 5));
            STORE(out + 2 * i + 4, __builtin_shufflevector(first, second, 2, 6, 3, 7));
        } else {
            f4 a = LOAD(x + i), b = LOAD(x + pairs + i);
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
            float a = x[j * apart], b = x[j * apart + between];
            out[j * apart] = a * c[j - i] - b * s[j - i];
            out[j * apart + between] = a * s[j - i] + b * c[j - i];
        }
    }
    for (isize k = 2 * pairs; k < d; k++) out[k] = x[k];
}

/* rotate(x (..., D), positions (...) float64, frequency (D // 2,) float64 within [0, 1], interleaved, out (..., D)) -> True, or None. */
PyObject *kernel_rotate(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 5) return wrong_count();
    int ok = 1;
    isize interleaved = get_size(args[3], &ok);
    if (!ok) return 0;
    Array x, positions, frequency, out;
    if (!get_array(args[0], FLOAT32, 1, &x) || !get_strided(args[1], FLOAT64, 0, &positions) ||
        !get_array(args[2], FLOAT64, 1, &frequency) || frequency.ndim != 1 || !get_output(args[4], FLOAT32, 1, &out) ||
        !disjoint(&x, &out) || !disjoint(&positions, &out) || !disjoint(&frequency, &out))
        return declined();
    isize d = len(&x, 1), pairs = frequency.shape[0];
    if (len(&out, 1) != d || pairs != d / 2) return wrong_value("rotate: shapes differ");
    const double *rates = (const double *)frequency.data;
    for (isize i = 0; i < pairs; i++)
        if (!(rates[i] >= 0.0 && rates[i] <= 1.0)) return declined();
    Batch batch;
    batch_start(&batch, &out, 1);
    if (batch_add(&batch, &out, 1) < 0 || batch_add(&batch, &x, 1) < 0 || batch_add(&batch, &positions, 0) < 0)
        return wrong_value("rotate: leading axes do not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        double position = *(const double *)batch.at[2];
        if (!(position >= -LARGEST_ANGLE && position <= LARGEST_ANGLE)) return declined();
        rotate_row((const float *)batch.at[1], position, rates, pairs, d, interleaved != 0, (float *)batch.at[0]);
    }
    return boolean(1);
}
