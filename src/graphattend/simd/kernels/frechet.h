/* Frechet means in the inner coordinates of one space (metric.h), at which sum_i w_i log_m(p_i) =
 * 0, by Newton's method, and the solution with its Hessian that the derivative of the mean needs.
 * log_m(p) = alpha p - mu m in the ball as on the sphere, with
 *
 *   ball    alpha = G a / b, mu = G (a + c|p - m|^2) / b, a and b the gaps of m and p, G = t / sinh
 * t, t = sqrt(c) distance sphere  alpha = G, mu = G cos t, G = t / sin t, t = distance
 *
 * The Hessian is sum_i w_i (h_i + (1 - h_i) u_i u_i'), u = log / |log|, h = t coth t or t cot t:
 * see geometry/_mean.py. */
#ifndef GA_FRECHET_H
#define GA_FRECHET_H

#include "metric.h"
#include "rows.h"

/* out = a x + b y; out may be x or y. */
INL void combine(real a, const real *x, real b, const real *y, isize n, real *out) {
    isize k = 0;
#if WIDE > 4
    for (; k + WIDE <= n; k += WIDE)
        STOREW(out + k, maddw(LOADW(x + k), splatw(a), LOADW(y + k) * splatw(b)));
#endif
    for (; k + LANES <= n; k += LANES)
        STOREV(out + k, maddv(LOADV(x + k), splatv(a), LOADV(y + k) * splatv(b)));
    for (; k < n; k++) out[k] = a * x[k] + b * y[k];
}
INL void add_scaled(real *to, const real *from, real factor, isize n) {
    combine(factor, from, 1, to, n, to);
}

typedef struct {
    const Space *space;
    isize count, stride;                 /* of points, which frechet.c expects to be adjacent */
    const real *points, *gaps, *weights; /* inner (count, width); the weights sum to one */
    real *alpha, *mu, *bend, *dots;      /* (count rounded up to 4) each */
    real across;
    int cautious; /* use a Hessian that is positive on the sphere even beyond a quarter turn */
    real *mean, *gradient, *step, *residual, *direction, *image; /* (width) each */
} Frechet;

/* Elements of the arrays that follow `weights`. */
#define frechet_room K(frechet_room)
isize frechet_room(isize count, isize width);
#define frechet_place K(frechet_place)
void frechet_place(Frechet *f, real *room);

/* From the midpoint (or any guess) in f->mean to the mean; 0 if it is not found. */
#define frechet_search K(frechet_search)
int frechet_search(Frechet *f);
/* alpha, mu, bend, across and gradient at f->mean. */
#define frechet_look K(frechet_look)
int frechet_look(Frechet *f);
/* step = H^-1 gradient, to a part `precision` of the gradient's length; 0 if the Hessian is not
 * positive. */
#define frechet_solve K(frechet_solve)
int frechet_solve(Frechet *f, real precision);

#endif
