/* Rotary position encoding: pairs of coordinates turned by position * frequency. Su et al.,
 * RoFormer, arXiv:2104.09864, equation 34. Angles are formed and reduced to [-pi/4, pi/4] in
 * float64; sine and cosine of what remains: Cephes, sinf.c, cosf.c and sin.c. */
#include "kernels.h"

/* At least four angles at a time, since each is a long chain of operations. */
#if WIDE == 2
enum { ANGLES = 4 };
typedef v4 vr;
typedef m4 mr;
#define splatr splat
#define maddr madd
#define selectr select
#define STORER STORE
#else
enum { ANGLES = WIDE };
typedef vw vr;
typedef mw mr;
#define splatr splatw
#define maddr maddw
#define selectr selectw
#define STORER STOREW
#endif
typedef double dr __attribute__((vector_size(8 * ANGLES)));
typedef double dru __attribute__((vector_size(8 * ANGLES), aligned(8), may_alias));
typedef long long lr __attribute__((vector_size(8 * ANGLES)));

/* Beyond LARGEST_ANGLE the reduction loses what the results need: the number of quarter turns times
 * the first part of pi / 2 (33 bits) must be exact for float64. */
#ifdef F64
#define LARGEST_ANGLE 1e6
INL vr sine_of(vr r, vr z) {
    vr s = maddr(splatr(1.58962301576546568060e-10), z, splatr(-2.50507477628578072866e-8));
    s = maddr(s, z, splatr(2.75573136213857245213e-6));
    s = maddr(s, z, splatr(-1.98412698295895385996e-4));
    s = maddr(s, z, splatr(8.33333333332211858878e-3));
    s = maddr(s, z, splatr(-1.66666666666666307295e-1));
    return s * z * r + r;
}
INL vr cosine_of(vr z) {
    vr c = maddr(splatr(-1.13585365213876817300e-11), z, splatr(2.08757008419747316778e-9));
    c = maddr(c, z, splatr(-2.75573141792967388112e-7));
    c = maddr(c, z, splatr(2.48015872888517045348e-5));
    c = maddr(c, z, splatr(-1.38888888888730564116e-3));
    c = maddr(c, z, splatr(4.16666666666665929218e-2));
    return c * z * z - splatr(0.5) * z + splatr(1.0);
}
#else
#define LARGEST_ANGLE 1e8
INL vr sine_of(vr r, vr z) {
    return ((splatr(-1.9515295891e-4f) * z + splatr(8.3321608736e-3f)) * z -
            splatr(1.6666654611e-1f)) *
        z * r +
        r;
}
INL vr cosine_of(vr z) {
    return ((splatr(2.443315711809948e-5f) * z - splatr(1.388731625493765e-3f)) * z +
            splatr(4.166664568298827e-2f)) *
        z * z -
        splatr(0.5f) * z + splatr(1.f);
}
#endif

/* Sine and cosine of position * frequency[0 .. ANGLES - 1]. Adding 1.5 * 2^52 rounds to the nearest
 * quarter turn and leaves its number in the lowest bits. */
INL void sines_cosines(double position, const double *frequency, real *sine, real *cosine) {
    dr angle = position * *(const dru *)frequency;
    dr shifted = angle * 0.63661977236758134308 + 6755399441055744.0,
       n = shifted - 6755399441055744.0;
    dr rest = (angle - n * 1.57079632673412561417) - n * 6.07710050630396597660e-11;
#ifdef F64
    vr r = rest - n * 2.02226624879595063154e-21;
#else
    vr r = __builtin_convertvector(rest, vr);
#endif
    mr quadrant = __builtin_convertvector((lr)shifted & 3, mr);
    vr z = r * r, s = sine_of(r, z), c = cosine_of(z);
    mr is_odd = -(quadrant & 1);
    enum { SIGN = 8 * sizeof(real) - 2 };
    STORER(sine, (vr)((mr)selectr(is_odd, c, s) ^ ((quadrant & 2) << SIGN)));
    STORER(cosine, (vr)((mr)selectr(is_odd, s, c) ^ (((quadrant + 1) & 2) << SIGN)));
}

enum { CHUNK = 64 }; /* pairs turned at a time */

/* The pairs (x[0], x[1]), (x[2], x[3]), ... */
static void turn_neighbors(const real *x, const real *s, const real *c, isize n, real *out) {
    isize i = 0;
    for (; i + 4 <= n; i += 4) {
        v4 first = LOAD(x + 2 * i), second = LOAD(x + 2 * i + 4), sine = LOAD(s + i),
           cosine = LOAD(c + i);
        v4 a = __builtin_shufflevector(first, second, 0, 2, 4, 6),
           b = __builtin_shufflevector(first, second, 1, 3, 5, 7);
        v4 left = a * cosine - b * sine, right = a * sine + b * cosine;
        STORE(out + 2 * i, __builtin_shufflevector(left, right, 0, 4, 1, 5));
        STORE(out + 2 * i + 4, __builtin_shufflevector(left, right, 2, 6, 3, 7));
    }
    for (; i < n; i++) {
        real a = x[2 * i], b = x[2 * i + 1];
        out[2 * i] = a * c[i] - b * s[i], out[2 * i + 1] = a * s[i] + b * c[i];
    }
}

/* The pairs (x[0], x[apart]), (x[1], x[1 + apart]), ... */
static void turn_halves(const real *x, isize apart, const real *s, const real *c, isize n,
                        real *out) {
    isize i = 0;
    for (; i + WIDE <= n; i += WIDE) {
        vw a = LOADW(x + i), b = LOADW(x + apart + i), sine = LOADW(s + i), cosine = LOADW(c + i);
        STOREW(out + i, a * cosine - b * sine);
        STOREW(out + apart + i, a * sine + b * cosine);
    }
    for (; i < n; i++) {
        real a = x[i], b = x[apart + i];
        out[i] = a * c[i] - b * s[i], out[apart + i] = a * s[i] + b * c[i];
    }
}

int rotates(double position) { return position >= -LARGEST_ANGLE && position <= LARGEST_ANGLE; }

void rotate_row(const real *x, double position, const double *frequency, isize pairs, isize d,
                int interleaved, real *out) {
    real s[CHUNK], c[CHUNK];
    for (isize first = 0; first < pairs; first += CHUNK) {
        isize n = min_size(CHUNK, pairs - first), j = 0;
        for (; j + ANGLES <= n; j += ANGLES)
            sines_cosines(position, frequency + first + j, s + j, c + j);
        if (j < n) {
            double rates[ANGLES] = {0.0};
            for (isize k = j; k < n; k++) rates[k - j] = frequency[first + k];
            sines_cosines(position, rates, s + j, c + j);
        }
        if (interleaved) turn_neighbors(x + 2 * first, s, c, n, out + 2 * first);
        else turn_halves(x + first, pairs, s, c, n, out + first);
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
    if (batch_add(&batch, out, 1) < 0 || batch_add(&batch, x, 1) < 0 ||
        batch_add(&batch, positions, 0) < 0)
        return wrong(call, "rotate: leading axes do not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        double position = *(const double *)batch.at[2];
        if (!rotates(position)) return DECLINED;
        rotate_row((const real *)batch.at[1], position, rates, pairs, d,
                   call->size[rotate_interleaved] != 0, (real *)batch.at[0]);
    }
    return DONE;
}
