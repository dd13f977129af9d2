/* Frechet means: see frechet.h. Each step solves for Newton's direction by conjugate gradients,
 * with a precision that depends on the distance from the mean (Dembo, Eisenstat, Steihaug: Inexact
 * Newton methods, SIAM J. Numer. Anal. 19, 1982). */
#include "frechet.h"
#include "kernels.h"

#ifdef F64
#define ENOUGH 1e-15
#define FINEST 1e-8
#define TINY 1e-290
#else
#define ENOUGH 3e-8f
#define FINEST 1e-4f
#define TINY 1e-30f
#endif
enum { MOST_STEPS = 40 };

static real square_root(real x) { return vsqrt(splat(x))[0]; }

isize frechet_room(isize count, isize width) { return 4 * round_up(count, 4) + 6 * width; }

void frechet_place(Frechet *f, real *room) {
    isize n = round_up(f->count, 4), d = f->space->width;
    f->alpha = room, f->mu = room + n, f->bend = room + 2 * n, f->dots = room + 3 * n;
    room += 4 * n;
    f->mean = room, f->gradient = room + d, f->step = room + 2 * d;
    f->residual = room + 3 * d, f->direction = room + 4 * d, f->image = room + 5 * d;
}

/* On the sphere, removes the component along the mean. */
static void tangent(const Frechet *f, real *v) {
    if (f->space->kind == SPHERE)
        add_scaled(v, f->mean, -dot(v, f->mean, f->space->width), f->space->width);
}

/* alpha, mu, h and |log| of four points from their products with the mean. */
static void four_logs(Frechet *f, isize i, real mean_square, real gap, v4 *stretch,
                      v4 *length_square) {
    v4 product = LOAD(f->dots + i), one = splat(1), tiny = splat(TINY);
    if (f->space->kind == SPHERE) {
        v4 two = splat(2), half = vmax(two - two * product, splat(0)),
           rest = vmax(two + two * product, tiny);
        v4 angle = angle4(half, rest), sine = splat((real)0.5) * vsqrt(half * rest);
        v4 ratio = select((m4)(half < tiny), one, angle / vmax(sine, tiny));
        STORE(f->alpha + i, ratio);
        STORE(f->mu + i, ratio * product);
        *stretch = ratio * product, *length_square = angle * angle;
        if (f->cautious) *stretch = vmax(*stretch, splat((real)0.05));
        return;
    }
    const real *p = f->points + i * f->space->width;
    v4 far = splat(0), gaps = one;
    real c = f->space->c;
    for (int r = 0; r < 4 && i + r < f->count; r++) {
        gaps[r] = f->gaps[i + r];
        real square = (1 - gaps[r]) / c + mean_square - 2 * product[r];
        if (square < (real)0.01 / c) { /* digits were lost to cancellation */
            square = 0;
            for (isize k = 0; k < f->space->width; k++) {
                real away = p[r * f->space->width + k] - f->mean[k];
                square += away * away;
            }
        }
        far[r] = square;
    }
    v4 a = splat(gap), tau = splat(c) * far / (a * gaps), root = vsqrt(tau),
       both = vsqrt(tau * (one + tau));
    v4 half = asinh4(root), ratio = select((m4)(tau < tiny), one, half / vmax(both, tiny));
    STORE(f->alpha + i, ratio * a / gaps);
    STORE(f->mu + i, ratio * (a + splat(c) * far) / gaps);
    v4 length = half * a / splat(f->space->root);
    *stretch = ratio * (one + tau + tau), *length_square = length * length;
}

int frechet_look(Frechet *f) {
    isize n = f->count, d = f->space->width;
    real square = dot(f->mean, f->mean, d),
         gap = f->space->kind == BALL || f->space->kind == SHEET ? 1 - f->space->c * square : 1;
    v4 across = splat(0), along = across, one = splat(1);
    if (!(gap > 0)) return 0;
    row_dots(f->points, d, n, f->mean, d, f->dots);
    for (isize i = n; i < round_up(n, 4); i++) f->dots[i] = 0;
    for (isize i = 0; i < n; i += 4) {
        v4 stretch, length_square;
        four_logs(f, i, square, gap, &stretch, &length_square);
        /* Beyond the last point the weight is zero, and so are `bend` and `dots`. */
        v4 w = load_heads(f->weights + i, n - i), tiny = splat(TINY);
        across = madd(w, stretch, across), along = madd(w, LOAD(f->mu + i), along);
        STORE(f->bend + i,
              w * (one - stretch) / select((m4)(length_square > tiny), length_square, one));
        STORE(f->dots + i, w * LOAD(f->alpha + i));
    }
    f->across = hsum(across);
    fill(f->gradient, d, 0);
    add_weighted(f->points, d, n, f->dots, d, f->gradient);
    add_scaled(f->gradient, f->mean, -hsum(along), d);
    tangent(f, f->gradient);
    return dot(f->gradient, f->gradient, d) * 0 == 0;
}

/* image = H v */
static void times(Frechet *f, const real *v, real *image) {
    isize n = f->count, d = f->space->width;
    v4 here = splat(dot(f->mean, v, d)), along = splat(0);
    row_dots(f->points, d, n, v, d, f->dots);
    for (isize i = 0; i < n; i += 4) {
        v4 alpha = LOAD(f->alpha + i), mu = LOAD(f->mu + i);
        v4 t = LOAD(f->bend + i) * (alpha * LOAD(f->dots + i) - mu * here);
        along = madd(t, mu, along);
        STORE(f->dots + i, t * alpha);
    }
    fill(image, d, 0);
    add_weighted(f->points, d, n, f->dots, d, image);
    add_scaled(image, f->mean, -hsum(along), d);
    tangent(f, image);
    add_scaled(image, v, f->across, d);
}

int frechet_solve(Frechet *f, real precision) {
    isize d = f->space->width;
    real size = dot(f->gradient, f->gradient, d), wanted = size * precision * precision;
    if (!(f->across > 0)) return 0;
    if (size > wanted) fill(f->step, d, 0);
    else combine(1 / f->across, f->gradient, 0, f->gradient, d, f->step); /* it has no square */
    copy_row(f->gradient, d, f->residual);
    copy_row(f->gradient, d, f->direction);
    for (isize i = 0; i < d && size > wanted; i++) {
        times(f, f->direction, f->image);
        real curved = dot(f->direction, f->image, d);
        if (!(curved > 0)) return 0;
        real rate = size / curved, before = size;
        add_scaled(f->step, f->direction, rate, d);
        add_scaled(f->residual, f->image, -rate, d);
        size = dot(f->residual, f->residual, d);
        combine(1, f->residual, size / before, f->direction, d, f->direction);
    }
    return 1;
}

/* mean + length step, projected to the space. It agrees with the exponential map to second order.
 */
static void move(Frechet *f, real length, const real *from) {
    isize d = f->space->width;
    real *m = f->mean, c = f->space->c;
    if (f->space->kind == SPHERE) {
        combine(length, f->step, 1, from, d, m);
        scale_row(m, d, 1 / square_root(dot(m, m, d)));
        return;
    }
    /* Moebius addition of `from` and step / a, made shorter than the radius */
    real a = 1 - c * dot(from, from, d),
         short_of = length / square_root(a * a + c * length * length * dot(f->step, f->step, d));
    real yy = c * short_of * short_of * dot(f->step, f->step, d),
         xy = c * short_of * dot(from, f->step, d);
    real divisor = 1 + 2 * xy + (1 - a) * yy;
    combine(a * short_of / divisor, f->step, (1 + 2 * xy + yy) / divisor, from, d, m);
}

/* Newton's direction, or one by a Hessian that is always positive (f->cautious). */
static void direct(Frechet *f, real precision) {
    f->cautious = 0;
    if (frechet_solve(f, precision)) return;
    f->cautious = 1;
    frechet_look(f);
    if (!frechet_solve(f, precision)) copy_row(f->gradient, f->space->width, f->step);
}

int frechet_search(Frechet *f) {
    isize d = f->space->width;
    f->cautious = 0;
    if (!frechet_look(f)) return 0;
    real size = square_root(dot(f->gradient, f->gradient, d)), length = 1, *start = f->residual;
    for (int i = 0; i < MOST_STEPS; i++) {
        if (size == 0) return 1;
        /* As fine as Newton's error, but not finer than the last step needs. */
        real last = ENOUGH / (4 * size), precision = size > last ? size : last;
        if (precision < FINEST) precision = FINEST;
        if (precision > (real)0.01) precision = (real)0.01;
        direct(f, precision);
        real far = square_root(dot(f->step, f->step, d)) * f->space->root;
        copy_row(f->mean, d, start);
        move(f, length, start);
        /* Newton's error is about the square of the step plus the residual of the equations. */
        if (length == 1 && far * (f->cautious ? 1 : far + precision) < ENOUGH) return 1;
        /* Halve the step until the gradient becomes smaller. */
        real before = size;
        f->cautious = 0;
        for (;;) {
            int fine = frechet_look(f);
            size = square_root(dot(f->gradient, f->gradient, d));
            if (fine && (size < before || size < ENOUGH)) break;
            if ((length *= (real)0.5) < (real)1e-6) return 0;
            move(f, length, start);
        }
        length = length < (real)0.5 ? 2 * length : 1;
    }
    return 0;
}
