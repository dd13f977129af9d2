/* The Poincare ball of curvature -c. With lambda = 2 / (1 - c|y|^2) the midpoint is the normalised
 * sum of the points (lambda - 1, lambda y) of the hyperboloid (Ungar, Analytic Hyperbolic Geometry,
 * 2008; Shimizu et al., arXiv:2006.08210, equation 9). */
#ifndef GA_BALL_H
#define GA_BALL_H

#include "expo.h"

/* NEAR_BOUNDARY: below this value, 1 - c|y|^2 has lost too many digits to cancellation for sums in
 * the dtype of the call; the careful functions use twice the digits. LEAST_GAP: smallest value for
 * a point inside the ball. */
#ifdef F64
#define NEAR_BOUNDARY 1e-2
#define LEAST_GAP 1e-15
#else
#define NEAR_BOUNDARY 0.25f
#define LEAST_GAP 1e-7f
#endif

/* |x|^2 in float64 */
static inline double square_of(const real *x, isize n) {
    typedef double d2 __attribute__((vector_size(16)));
    d2 a = {0.0, 0.0}, b = a;
    isize k = 0;
    for (; k + 4 <= n; k += 4) {
        d2 first = {(double)x[k], (double)x[k + 1]}, second = {(double)x[k + 2], (double)x[k + 3]};
        a += first * first, b += second * second;
    }
    a += b;
    double sum = a[0] + a[1];
    for (; k < n; k++) sum += (double)x[k] * (double)x[k];
    return sum;
}

/* 1 - c|x|^2 */
#define ball_gap K(ball_gap)
real ball_gap(const real *x, isize d, double c);

/* Midpoint from weights w (n,), which are overwritten, and the gaps of the rows of V. `wide` has
 * space for 2 d doubles. */
#define ball_midpoint K(ball_midpoint)
void ball_midpoint(real *w, const real *gaps, const real *V, isize ldv, isize n, isize d, double c,
                   real *out, void *wide);

/* asinh of z >= 0: log1p(z + z^2 / (1 + sqrt(1 + z^2))), and log1p(u) = u log(w) / (w - 1) with w =
 * 1 + u as rounded (Kahan). */
#define ASINH(name, v, i, all, choose, root, log)                                                  \
    static inline v name(v z) {                                                                    \
        v one = all(1), zz = z * z;                                                                \
        v u = z + zz / (one + root(one + zz)), w = one + u, less = w - one;                        \
        i tiny = (i)(less == all(0));                                                              \
        return choose(tiny, u, log(w) * (u / choose(tiny, one, less)));                            \
    }
ASINH(asinh4, v4, m4, splat, select, vsqrt, log_positive)
#if WIDE > 4
ASINH(asinhx, vx, mx, splatx, selectx, vsqrtx, log_positives)
#else
#define asinhx asinh4
#endif

#endif
