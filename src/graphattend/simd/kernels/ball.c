/* The Poincare ball: 1 - c|x|^2 and the gyromidpoint, to the precision of the dtype also near the
 * boundary. */
#include "ball.h"
#include "rows.h"

#ifdef F64
/* A number with twice the digits: the rounded value and its rounding error. */
typedef struct {
    double value, rest;
} Twice;

static Twice product(double a, double b) { /* Dekker: halves of 26 bits, whose products are exact */
    const double splitter = 134217729.0;
    double ta = splitter * a, tb = splitter * b;
    volatile double value = a * b; /* rounded, whatever the compiler contracts */
    double ah = ta - (ta - a), al = a - ah, bh = tb - (tb - b), bl = b - bh;
    return (Twice){value, ((ah * bh - value) + ah * bl + al * bh) + al * bl};
}

static Twice sum(double a, double b) { /* Knuth */
    double value = a + b, other = value - a;
    return (Twice){value, (a - (value - other)) + (b - other)};
}

/* 1 - c|x|^2 by compensated sums. Ogita, Rump, Oishi: Accurate sum and dot product, SIAM J. Sci.
 * Comput. 26 (2005), algorithm 5.3. */
static real careful_gap(const real *x, isize d, double c) {
    Twice norm = {0.0, 0.0};
    for (isize k = 0; k < d; k++) {
        Twice square = product(x[k], x[k]), next = sum(norm.value, square.value);
        norm = (Twice){next.value, norm.rest + next.rest + square.rest};
    }
    Twice scaled = product(c, norm.value), gap = sum(1.0, -scaled.value);
    return gap.value + (gap.rest - scaled.rest - c * norm.rest);
}

static Twice plus(Twice a, Twice b) {
    Twice next = sum(a.value, b.value);
    return (Twice){next.value, next.rest + (a.rest + b.rest)};
}

static Twice times(Twice a, Twice b) {
    Twice high = product(a.value, b.value);
    return (Twice){high.value, high.rest + (a.value * b.rest + a.rest * b.value)};
}

/* Where lambda is large, first^2 - c|rest|^2 cancels by lambda^2: with first = S - G, S the sum of
 * the weights w and G that of w gap / 2, it is (S^2 - c|rest|^2) - 2 S G + G^2. `wide` (2 d
 * doubles) is the rest. */
static void careful_midpoint(const real *w, const real *gaps, const real *V, isize ldv, isize n,
                             isize d, double c, real *out, void *wide) {
    Twice *rest = wide, weights = {0.0, 0.0}, squares = {0.0, 0.0};
    double less = 0.0;
    for (isize j = 0; j < d; j++) rest[j] = (Twice){0.0, 0.0};
    for (isize i = 0; i < n; i++) {
        weights = plus(weights, (Twice){w[i], 0.0});
        less += 0.5 * w[i] * gaps[i];
        for (isize j = 0; j < d; j++) rest[j] = plus(rest[j], product(w[i], V[i * ldv + j]));
    }
    for (isize j = 0; j < d; j++) squares = plus(squares, times(rest[j], rest[j]));
    Twice scaled = times((Twice){c, 0.0}, squares), whole = times(weights, weights);
    double inner = (whole.value - scaled.value) + (whole.rest - scaled.rest) -
        2.0 * weights.value * less + less * less;
    double factor = 1.0 / ((weights.value - less) + __builtin_sqrt(inner > 0.0 ? inner : 0.0));
    for (isize j = 0; j < d; j++) out[j] = (rest[j].value + rest[j].rest) * factor;
}
#else
/* 1 - c|x|^2 in float64 */
static real careful_gap(const real *x, isize d, double c) {
    return (real)(1.0 - c * square_of(x, d));
}
/* The midpoint with sums in float64; `wide` (d doubles) holds the rest. */
static void careful_midpoint(const real *w, const real *gaps, const real *V, isize ldv, isize n,
                             isize d, double c, real *out, void *wide) {
    double *rest = wide, squares = 0.0, weights = 0.0, less = 0.0;
    for (isize j = 0; j < d; j++) rest[j] = 0.0;
    for (isize i = 0; i < n; i++) {
        weights += (double)w[i];
        less += 0.5 * (double)w[i] * (double)gaps[i];
        for (isize j = 0; j < d; j++) rest[j] += (double)w[i] * (double)V[i * ldv + j];
    }
    for (isize j = 0; j < d; j++) squares += rest[j] * rest[j];
    double inner = (weights * weights - c * squares) - 2.0 * weights * less + less * less;
    double factor = 1.0 / ((weights - less) + __builtin_sqrt(inner > 0.0 ? inner : 0.0));
    for (isize j = 0; j < d; j++) out[j] = (real)(rest[j] * factor);
}
#endif

real ball_gap(const real *x, isize d, double c) {
    real quick = 1 - (real)c * dot(x, x, d);
    return quick < NEAR_BOUNDARY ? careful_gap(x, d, c) : quick;
}

/* sum = sum_i w_i (lambda_i - 1, lambda_i y_i) */
void ball_midpoint(real *w, const real *gaps, const real *V, isize ldv, isize n, isize d, double c,
                   real *out, void *wide) {
    double first = 0.0, squares = 0.0;
    real largest = 0;
    for (isize i = 0; i < n; i++) {
        real lambda = 2 / gaps[i];
        if (w[i] > (real)1e-8 && lambda > largest) largest = lambda;
        first += (double)w[i] * ((double)lambda - 1.0);
        w[i] *= lambda;
    }
    if (largest > 2 / NEAR_BOUNDARY) {
        careful_midpoint(w, gaps, V, ldv, n, d, c, out, wide);
        return;
    }
    fill(out, d, 0);
    add_weighted(V, ldv, n, w, d, out);
    for (isize j = 0; j < d; j++) squares += (double)out[j] * (double)out[j];
    double inner = first * first - c * squares;
    scale_row(out, d, (real)(1.0 / (first + __builtin_sqrt(inner > 0.0 ? inner : 0.0))));
}
