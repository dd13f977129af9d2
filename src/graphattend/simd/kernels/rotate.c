/* Rotary position encoding: pairs of coordinates are rotated by position * frequency. Su et al.,
 * RoFormer, arXiv:2104.09864, equation 34. Angles are computed and reduced to [-pi/4, pi/4] in
 * float64. Sine and cosine of the reduced angle: Cephes, sinf.c, cosf.c and sin.c. */
#include "rotate.h"
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

/* Beyond LARGEST_ANGLE the reduction is not precise enough: the number of quarter turns times the
 * first part of pi / 2 (33 bits) must be exact for float64. */
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

enum { CHUNK = 64 }; /* pairs per step */

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

/* Many positions at once. Sines and cosines are tabulated at multiples of 1 / GRID; the remaining
 * angle is small. */
enum { GRID = 16, MOST_ROWS = 2048 };

/* Sine and cosine of angles up to 1 / (2 GRID), to the last digit. The coefficient of z in the
 * cosine minimises the error. */
INL void short_turn(vw x, vw *sine, vw *cosine) {
    vw z = x * x;
#ifdef F64
    vw s = maddw(splatw(-1.0 / 5040), z, splatw(1.0 / 120)),
       c = maddw(splatw(-1.0 / 720), z, splatw(1.0 / 24));
    *sine = maddw(maddw(s, z, splatw(-1.0 / 6)) * z, x, x);
    *cosine = maddw(maddw(c, z, splatw(-0.5)), z, splatw(1.0));
#else
    *sine = maddw(z * splatw(-1.f / 6), x, x);
    *cosine = maddw(z, splatw(-0.4999663f), splatw(1.f));
#endif
}

NOINLINE void tabulate(const Turns *t, double position, real *row) {
    for (isize j = 0; j < t->room; j += ANGLES)
        sines_cosines(position, t->frequency + j, row + t->room + j, row + j);
}

/* Computes a row of the table from two others, whose angles are added. */
static void add_angles(const Turns *t, const real *a, const real *b, real *row) {
    for (isize j = 0; j < t->room; j += WIDE) {
        vw ca = LOADW(a + j), sa = LOADW(a + t->room + j), cb = LOADW(b + j),
           sb = LOADW(b + t->room + j);
        STOREW(row + j, ca * cb - sa * sb);
        STOREW(row + t->room + j, maddw(sa, cb, ca * sb));
    }
}

/* Tabulates angles of whole steps and of parts of a step; all others are sums of two of them. */
static void fill_table(Turns *t, isize rows) {
    isize row = 2 * t->room;
    real *parts = t->ahead; /* not yet in use, and as large as the table */
    for (isize r = 1; r < min_size(rows, GRID); r++) tabulate(t, (double)r / GRID, parts + r * row);
    for (isize r = 0; r < rows; r++) {
        real *here = t->table + r * row;
        if (r % GRID == 0) tabulate(t, t->start + (double)r / GRID, here);
        else add_angles(t, here - r % GRID * row, parts + r % GRID * row, here);
    }
}

Status turns_start(Turns *t, const double *frequency, isize d, int interleaved,
                   const double *positions, isize position_step, isize count) {
    t->frequency = 0;
    double low = count ? positions[0] : 0.0, high = low;
    for (isize i = 0; i < count; i++) {
        double x = positions[i * position_step];
        if (!rotates(x)) return DECLINED;
        if (x < low) low = x;
        if (x > high) high = x;
    }
    t->pairs = d / 2, t->room = round_up(t->pairs, ANGLES), t->d = d;
    t->interleaved = interleaved, t->start = low;
    for (isize i = 0; i < t->pairs; i++)
        if (!(frequency[i] >= 0.0 && frequency[i] <= 1.0)) return DECLINED;
    double rows = (high - low) * GRID + 2.0;
    t->rows = rows * 2 <= (double)count && rows <= MOST_ROWS ? (isize)rows : 0;
    isize rows_room = t->rows ? t->rows : 1;
    double *memory = workspace_get((usize)t->room *
                                   (sizeof(double) + (usize)(5 + 4 * rows_room) * sizeof(real)));
    t->frequency = memory;
    if (!memory) return NO_MEMORY;
    t->rates = (real *)(memory + t->room), t->first = t->rates + t->room,
    t->second = t->first + t->room;
    t->sums = t->second + t->room, t->table = t->sums + 2 * t->room;
    t->ahead = t->table + 2 * rows_room * t->room;
    t->last_sum = 0;
    fill(t->sums, 2 * t->room, 0);
    for (isize i = 0; i < t->room; i++) {
        memory[i] = i < t->pairs ? frequency[i] : 0.0;
        t->rates[i] = (real)memory[i], t->first[i] = t->second[i] = 0;
    }
    fill_table(t, rows_room);
    return DONE;
}

void turns_end(Turns *t) { workspace_free(t->frequency); }

void turns_query(Turns *t, const real *q) {
    isize second = t->interleaved ? 1 : t->pairs, apart = t->interleaved ? 2 : 1;
    for (isize i = 0; i < t->pairs; i++)
        t->first[i] = q[i * apart], t->second[i] = q[i * apart + second];
    t->last = t->d & 1 ? q[t->d - 1] : 0;
}

#if WIDE == 2
#define EVENS 0, 2
#define ODDS 1, 3
#define LOWER 0, 2
#define UPPER 1, 3
#elif WIDE == 4
#define EVENS 0, 2, 4, 6
#define ODDS 1, 3, 5, 7
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#elif WIDE == 8
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#else
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

/* Loads WIDE pairs of x from the i-th on (fewer may remain, unless `whole`), and their cosines and
 * sines from a row of the table, rotated by the remaining angle. */
INL void load_pairs(const int interleaved, const int whole, const Turns *t, const real *x, isize i,
                    vw *first, vw *second) {
    real end[2 * WIDE];
    const real *from = interleaved ? x + 2 * i : x + i;
    isize apart = interleaved ? WIDE : t->pairs;
    if (!whole && i + WIDE > t->pairs) { /* nothing beyond the row is read */
        isize left = t->pairs - i;
        fill(end, 2 * WIDE, 0);
        if (interleaved) copy_row(from, 2 * left, end);
        else copy_row(from, left, end), copy_row(from + apart, left, end + WIDE);
        from = end, apart = WIDE;
    }
    vw a = LOADW(from), b = LOADW(from + apart);
    *first = interleaved ? __builtin_shufflevector(a, b, EVENS) : a;
    *second = interleaved ? __builtin_shufflevector(a, b, ODDS) : b;
}
INL void load_turn(const Turns *t, const real *row, isize i, vw rest, vw *cosine, vw *sine) {
    vw c = LOADW(row + i), s = LOADW(row + t->room + i), dc, ds;
    short_turn(LOADW(t->rates + i) * rest, &ds, &dc);
    *cosine = c * dc - s * ds, *sine = maddw(s, dc, c * ds);
}

/* q . (x rotated): with a pair (a, b) of x and (p, s) of q, the sum of (p a + s b) cos + (s a - p
 * b) sin. With `ahead` the row is q itself, rotated back by all but the remaining angle. */
INL void turned_pairs(const int interleaved, const int ahead, const int whole, const Turns *t,
                      const real *x, const real *row, vw rest, isize i, vw *sum, vw *other) {
    const real *first = ahead ? row : t->first, *second = ahead ? row + t->room : t->second;
    vw a, b, cosine, sine, p = LOADW(first + i), s = LOADW(second + i);
    load_pairs(interleaved, whole, t, x, i, &a, &b);
    if (ahead) short_turn(LOADW(t->rates + i) * rest, &sine, &cosine);
    else load_turn(t, row, i, rest, &cosine, &sine);
    *sum = maddw(maddw(p, a, s * b), cosine, *sum);
    *other = maddw(s * a - p * b, sine, *other);
}
INL real turned(const int interleaved, const int ahead, const Turns *t, const real *x,
                const real *row, vw rest) {
    vw sum = splatw(0), other = sum;
    isize i = 0;
    for (; i + WIDE <= t->pairs; i += WIDE)
        turned_pairs(interleaved, ahead, 1, t, x, row, rest, i, &sum, &other);
    if (i < t->pairs) turned_pairs(interleaved, ahead, 0, t, x, row, rest, i, &sum, &other);
    return hsum(fold(sum + other)) + (t->d & 1 ? t->last * x[t->d - 1] : 0);
}

/* Writes WIDE pairs to the i-th ones of out, or adds them. */
INL void store_pairs(const int interleaved, const Turns *t, vw first, vw second, isize i, int add,
                     real *out) {
    real end[2 * WIDE];
    isize left = min_size(WIDE, t->pairs - i), apart = interleaved ? left : t->pairs;
    real *to = interleaved ? out + 2 * i : out + i;
    vw a = interleaved ? __builtin_shufflevector(first, second, LOWER) : first,
       b = interleaved ? __builtin_shufflevector(first, second, UPPER) : second;
    if (left == WIDE) {
        if (add) a += LOADW(to), b += LOADW(to + apart);
        STOREW(to, a), STOREW(to + apart, b);
        return;
    }
    STOREW(end, a), STOREW(end + WIDE, b); /* nothing beyond the row is written */
    const real *rest = interleaved ? end + left : end + WIDE;
    for (isize j = 0; j < left; j++) {
        to[j] = end[j] + (add ? to[j] : 0);
        to[apart + j] = rest[j] + (add ? to[apart + j] : 0);
    }
}

/* Adds w times rotated x to the sums. Returns the query's product with the derivative of rotated x
 * if it is `asked` for; its derivative by x, times `to_x`, is written or added to by_x, unless that
 * is 0. */
INL real add_turned(const int interleaved, Turns *t, const real *x, const real *row, vw rest,
                    real w, vw side, int asked, real to_x, int add, real *by_x) {
    vw slope = splatw(0), factor = splatw(to_x);
    for (isize i = 0; i < t->pairs; i += WIDE) {
        vw a, b, cosine, sine;
        load_pairs(interleaved, 0, t, x, i, &a, &b);
        load_turn(t, row, i, rest, &cosine, &sine);
        sine *= side;
        vw left = a * cosine - b * sine, right = maddw(a, sine, b * cosine);
        STOREW(t->sums + i, maddw(splatw(w), left, LOADW(t->sums + i)));
        STOREW(t->sums + t->room + i, maddw(splatw(w), right, LOADW(t->sums + t->room + i)));
        if (!asked) continue;
        vw p = LOADW(t->first + i), s = LOADW(t->second + i);
        slope = maddw(LOADW(t->rates + i), s * left - p * right, slope);
        if (by_x)
            store_pairs(interleaved, t, maddw(p, cosine, s * sine) * factor,
                        (s * cosine - p * sine) * factor, i, add, by_x);
    }
    isize last = t->d - 1;
    if (t->d & 1) {
        t->last_sum += w * x[last];
        if (by_x) by_x[last] = to_x * t->last + (add ? by_x[last] : 0);
    }
    return asked ? hsum(fold(slope)) : 0;
}

/* The row of the table that is nearest to a position, and the remaining distance. */
static const real *nearest(const Turns *t, double position, real *rest) {
    isize row = 0;
    double at = position;
    if (t->rows)
        row = (isize)((position - t->start) * GRID + 0.5), at = t->start + (double)row / GRID;
    else tabulate(t, position, t->table);
    *rest = (real)(position - at);
    return t->table + 2 * row * t->room;
}

real turned_dot(const Turns *t, const real *x, double position) {
    real rest;
    const real *row = nearest(t, position, &rest);
    return t->interleaved ? turned(1, 0, t, x, row, splatw(rest))
                          : turned(0, 0, t, x, row, splatw(rest));
}

/* Tabulates the query, rotated back by the position of each row of the table, so that this rotation
 * is not repeated for every key near a row. */
static void turn_ahead(Turns *t) {
    for (isize r = 0; r < t->rows; r++) {
        const real *row = t->table + 2 * r * t->room;
        real *to = t->ahead + 2 * r * t->room;
        for (isize i = 0; i < t->room; i += WIDE) {
            vw p = LOADW(t->first + i), s = LOADW(t->second + i), cosine = LOADW(row + i),
               sine = LOADW(row + t->room + i);
            STOREW(to + i, maddw(p, cosine, s * sine));
            STOREW(to + t->room + i, s * cosine - p * sine);
        }
    }
}

void turned_dots(Turns *t, const real *q, const real *x, isize stride, const double *positions,
                 isize position_step, isize n, real *out) {
    turns_query(t, q);
    if (t->rows) turn_ahead(t);
    for (isize i = 0; i < n; i++, x += stride, positions += position_step) {
        if (!t->rows) {
            out[i] = turned_dot(t, x, *positions);
            continue;
        }
        real rest;
        const real *row = nearest(t, *positions, &rest) + (t->ahead - t->table);
        out[i] = t->interleaved ? turned(1, 1, t, x, row, splatw(rest))
                                : turned(0, 1, t, x, row, splatw(rest));
    }
}

NOINLINE real turn_and_add(Turns *t, const real *x, double position, real w, int back, int asked,
                           real to_x, int add, real *by_x) {
    real rest;
    const real *row = nearest(t, position, &rest);
    vw side = splatw(back ? -1 : 1);
    return t->interleaved ? add_turned(1, t, x, row, splatw(rest), w, side, asked, to_x, add, by_x)
                          : add_turned(0, t, x, row, splatw(rest), w, side, asked, to_x, add, by_x);
}

real turned_sum(Turns *t, const real *x, double position, int back, real w, int asked) {
    return turn_and_add(t, x, position, w, back, asked, 0, 0, 0);
}

void turned_gradients(Turns *t, const real *q, const real *x, isize stride, const double *positions,
                      isize position_step, isize n, const real *w, real scale, int add, real *by_x,
                      isize by_stride, real *by_q, real *by_position) {
    turns_query(t, q);
    for (isize i = 0; i < n; i++, x += stride, by_x += by_stride, positions += position_step) {
        real f = w[i] * scale;
        by_position[i] = f * turn_and_add(t, x, *positions, w[i], 0, 1, f, add, by_x);
    }
    turns_sums(t, 1, by_q);
}

void turns_sums(Turns *t, real factor, real *out) {
    isize second = t->interleaved ? 1 : t->pairs, apart = t->interleaved ? 2 : 1;
    for (isize i = 0; i < t->pairs; i++) {
        out[i * apart] = factor * t->sums[i],
                out[i * apart + second] = factor * t->sums[t->room + i];
    }
    if (t->d & 1) out[t->d - 1] = factor * t->last_sum;
    fill(t->sums, 2 * t->room, 0), t->last_sum = 0;
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
