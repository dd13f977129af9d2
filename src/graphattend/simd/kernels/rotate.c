/* Rotary position encoding: pairs of coordinates turned by position * frequency. Su et al., RoFormer, arXiv:2104.09864, equation 34.
 * Angles are formed and reduced to [-pi/4, pi/4] in float64; sine and cosine of what remains: Cephes, sinf.c and cosf.c. */
#include "kernels.h"

/* Beyond this the reduction loses what float32 results need. */
#define LARGEST_ANGLE 1e8

static void sine_cosine(double angle, float *sine, float *cosine) {
    double magic = 6755399441055744.0, shifted = angle * 0.63661977236758134308 + magic, n = shifted - magic;
    float r = (float)((angle - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11), z = r * r;
    float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
    float c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.f;
    int quadrant = (int)((long long)n & 3);
    float a = quadrant & 1 ? c : s, b = quadrant & 1 ? s : c;
    *sine = quadrant & 2 ? -a : a;
    *cosine = quadrant == 1 || quadrant == 2 ? -b : b;
}

static void rotate_row(const float *x, double position, const double *frequency, isize pairs, isize d, int interleaved, float *out) {
    isize between = interleaved ? 1 : pairs, apart = interleaved ? 2 : 1;
    for (isize i = 0; i < pairs; i++) {
        float s, c, a = x[i * apart], b = x[i * apart + between];
        sine_cosine(position * frequency[i], &s, &c);
        out[i * apart] = a * c - b * s;
        out[i * apart + between] = a * s + b * c;
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
