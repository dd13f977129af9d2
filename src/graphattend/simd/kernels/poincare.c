/* Attention in the Poincare ball of curvature -c: weights softmax(-distance / temperature), values averaged by the gyromidpoint.
 *
 *   distance(x, y) = 2/sqrt(c) asinh( sqrt(c) |x - y| / sqrt((1 - c|x|^2)(1 - c|y|^2)) )
 *
 * which, unlike the textbook arcosh form, loses nothing where the points are close. Near the boundary 1 - c|y|^2 cancels, so it is
 * recomputed with twice the digits there. The midpoint is the normalised sum of the points (lambda - 1, lambda y) of the hyperboloid, with
 * lambda = 2 / (1 - c|y|^2) (Ungar, Analytic Hyperbolic Geometry, 2008; Shimizu et al., arXiv:2006.08210, equation 9). */
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

/* NEAR_BOUNDARY: below this 1 - c|y|^2 is too far cancelled for sums in the dtype of the call, which the careful functions carry
 * in twice its digits. LEAST_GAP: what still lies inside. */
#ifdef F64
/* A number with twice the digits: the rounded value and what it lacks. */
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

/* 1 - c|x|^2 by compensated sums. Ogita, Rump, Oishi: Accurate sum and dot product, SIAM J. Sci. Comput. 26 (2005), algorithm 5.3. */
static real careful_gap(const real *x, isize d, real c) {
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

/* Where lambda is large, first^2 - c|rest|^2 cancels by lambda^2: with first = S - G, S the sum of the weights w and G that of
 * w gap / 2, it is (S^2 - c|rest|^2) - 2 S G + G^2. `wide` (2 d doubles) is the rest. */
static void careful_midpoint(const real *w, const real *gaps, const real *V, isize ldv, isize n, isize d, real c, double first,
                             real *out, void *wide) {
    Twice *rest = wide, weights = {0.0, 0.0}, squares = {0.0, 0.0};
    double less = 0.0;
    (void)first;
    for (isize j = 0; j < d; j++) rest[j] = (Twice){0.0, 0.0};
    for (isize i = 0; i < n; i++) {
        weights = plus(weights, (Twice){w[i], 0.0});
        less += 0.5 * w[i] * gaps[i];
        for (isize j = 0; j < d; j++) rest[j] = plus(rest[j], product(w[i], V[i * ldv + j]));
    }
    for (isize j = 0; j < d; j++) squares = plus(squares, times(rest[j], rest[j]));
    Twice scaled = times((Twice){c, 0.0}, squares), whole = times(weights, weights);
    double inner = (whole.value - scaled.value) + (whole.rest - scaled.rest) - 2.0 * weights.value * less + less * less;
    double factor = 1.0 / ((weights.value - less) + __builtin_sqrt(inner > 0.0 ? inner : 0.0));
    for (isize j = 0; j < d; j++) out[j] = (rest[j].value + rest[j].rest) * factor;
}

#define NEAR_BOUNDARY 1e-2
#define LEAST_GAP 1e-15
#else
/* 1 - c|x|^2 in float64 */
static real careful_gap(const real *x, isize d, real c) {
    typedef double d2 __attribute__((vector_size(16)));
    d2 a = {0.0, 0.0}, b = a;
    isize k = 0;
    for (; k + 4 <= d; k += 4) {
        d2 first = {(double)x[k], (double)x[k + 1]}, second = {(double)x[k + 2], (double)x[k + 3]};
        a += first * first, b += second * second;
    }
    a += b;
    double sum = a[0] + a[1];
    for (; k < d; k++) sum += (double)x[k] * (double)x[k];
    return (real)(1.0 - (double)c * sum);
}
/* Where lambda is large, first^2 - c|rest|^2 cancels by lambda^2. `wide` (d doubles) is the rest. */
static void careful_midpoint(const real *w, const real *gaps, const real *V, isize ldv, isize n, isize d, real c, double first,
                             real *out, void *wide) {
    double *rest = wide, squares = 0.0;
    (void)gaps;
    for (isize j = 0; j < d; j++) rest[j] = 0.0;
    for (isize i = 0; i < n; i++)
        for (isize j = 0; j < d; j++) rest[j] += (double)w[i] * (double)V[i * ldv + j];
    for (isize j = 0; j < d; j++) squares += rest[j] * rest[j];
    double inner = first * first - (double)c * squares;
    double factor = 1.0 / (first + __builtin_sqrt(inner > 0.0 ? inner : 0.0));
    for (isize j = 0; j < d; j++) out[j] = (real)(rest[j] * factor);
}

#define NEAR_BOUNDARY 0.25f
#define LEAST_GAP 1e-7f
#endif

/* 1 - c|x|^2 */
static real gap(const real *x, isize d, real c) {
    real quick = 1 - c * dot(x, x, d);
    return quick < NEAR_BOUNDARY ? careful_gap(x, d, c) : quick;
}

/* |q - K[i]|^2 for up to four rows at once. */
INL v4 rows_against(const int rows, const real *K, isize ldk, isize d, const real *q) {
    vec s[4];
    for (int r = 0; r < 4; r++) s[r] = splatv(0);
    isize k = 0;
    for (; k + LANES <= d; k += LANES) {
        vec x = LOADV(q + k);
        for (int r = 0; r < rows; r++) {
            vec y = LOADV(K + r * ldk + k) - x;
            s[r] = maddv(y, y, s[r]);
        }
    }
    v4 tail = splat(0);
    for (; k < d; k++)
        for (int r = 0; r < rows; r++) tail[r] += (K[r * ldk + k] - q[k]) * (K[r * ldk + k] - q[k]);
    return vec_sum4(s[0], s[1], s[2], s[3]) + tail;
}

/* asinh of z >= 0: log1p(z + z^2 / (1 + sqrt(1 + z^2))), and log1p(u) = u log(w) / (w - 1) with w = 1 + u as rounded (Kahan). */
static v4 asinh4(v4 z) {
    v4 one = splat(1), zz = z * z;
    v4 u = z + zz / (one + vsqrt(one + zz)), w = one + u, less = w - one;
    m4 tiny = (m4)(less == splat(0));
    return select(tiny, u, log_positive(w) * (u / select(tiny, one, less)));
}

/* `n` rounded up to 4 must be writable. */
static void all_distances(const real *q, real q_gap, const real *K, isize ldk, const real *gaps, isize n, isize d, real c, real *out) {
    real root = (real)__builtin_sqrt((double)c);
    for (isize i = 0; i < n; i += 4) {
        v4 square = splat(0), product = LOAD(gaps + i) * splat(q_gap);
        if (i + 4 <= n) square = rows_against(4, K + i * ldk, ldk, d, q);
        else
            for (isize r = i; r < n; r++) square[r - i] = rows_against(1, K + r * ldk, ldk, d, q)[0];
        STORE(out + i, splat(2 / root) * asinh4(splat(root) * vsqrt(square / product)));
    }
}

static void all_gaps(const real *rows, isize stride, isize n, isize d, real c, real *gaps) {
    for (isize i = 0; i < n; i++) gaps[i] = gap(rows + i * stride, d, c);
    for (isize i = n; i < round_up(n, 4); i++) gaps[i] = 1;
}

/* 1 if every point lies inside the ball as far as the dtype can tell; NaN does not. */
static int inside(const real *gaps, isize n) {
    for (isize i = 0; i < n; i++)
        if (!(gaps[i] > LEAST_GAP)) return 0;
    return 1;
}

/* Midpoint from weights w (n,), which are overwritten. sum = sum_i w_i (lambda_i - 1, lambda_i y_i). */
static void midpoint(real *w, const real *gaps, const real *V, isize ldv, isize n, isize d, real c, real *out, void *wide) {
    double first = 0.0, squares = 0.0;
    real largest = 0;
    for (isize i = 0; i < n; i++) {
        real lambda = 2 / gaps[i];
        if (w[i] > (real)1e-8 && lambda > largest) largest = lambda;
        first += (double)w[i] * ((double)lambda - 1.0);
        w[i] *= lambda;
    }
    if (largest > 2 / NEAR_BOUNDARY) {
        careful_midpoint(w, gaps, V, ldv, n, d, c, first, out, wide);
        return;
    }
    fill(out, d, 0);
    add_weighted(V, ldv, n, w, d, out);
    for (isize j = 0; j < d; j++) squares += (double)out[j] * (double)out[j];
    double inner = first * first - (double)c * squares;
    scale_row(out, d, (real)(1.0 / (first + __builtin_sqrt(inner > 0.0 ? inner : 0.0))));
}

static void weights_from_distances(const real *distance, real *w, isize n, real temperature) {
    real least = distance[0], rate = -1 / temperature;
    for (isize i = 1; i < n; i++)
        if (distance[i] < least) least = distance[i];
    for (isize i = 0; i < n; i++) w[i] = (distance[i] - least) * rate;
    scale_row(w, n, 1 / exp_and_sum(w, w, n, 0));
}

static real *row_of(const Array *a, isize i) { return (real *)(a->data + i * a->strides[0]); }

static int is_matrix(const Array *a, isize rows, isize columns) {
    return !given(a) || (a->shape[0] == rows && a->shape[1] == columns);
}

Status KERNEL(poincare)(Call *call) {
    const Array *q = &call->array[poincare_q], *k = &call->array[poincare_k], *v = &call->array[poincare_v];
    const Array *out = &call->array[poincare_out], *distances = &call->array[poincare_distances];
    const Array *weights = &call->array[poincare_weights];
    real c = (real)call->number[poincare_c], temperature = (real)call->number[poincare_temperature];
    if (!(c > 0) || !(temperature > 0)) return DECLINED;
    isize m = q->shape[0], n = k->shape[0], d = q->shape[1];
    if (!is_matrix(k, n, d) || !is_matrix(v, n, d) || !is_matrix(out, m, d) || !is_matrix(distances, m, n) || !is_matrix(weights, m, n))
        return wrong(call, "poincare: shapes differ");
    if (given(out) && !given(v)) return DECLINED;
    int same = given(v) && v->data == k->data && step(v, 2) == step(k, 2);
    isize row = round_up(n, 4);
    double *wide = workspace_get((usize)(2 * d) * sizeof(double) + (usize)(4 * row) * sizeof(real));
    if (!wide) return NO_MEMORY;
    real *key_gaps = (real *)(wide + 2 * d), *value_gaps = key_gaps, *distance = key_gaps + 2 * row, *w = distance + row;
    void *state = work_begin((double)(m + 1) * (double)n * (double)d);
    all_gaps((const real *)k->data, step(k, 2), n, d, c, key_gaps);
    if (given(v) && !same) {
        value_gaps = key_gaps + row;
        all_gaps((const real *)v->data, step(v, 2), n, d, c, value_gaps);
    }
    int fine = inside(key_gaps, n) && inside(value_gaps, n);
    for (isize i = 0; i < m && fine; i++) {
        const real *query = row_of(q, i);
        real query_gap = gap(query, d, c);
        fine = inside(&query_gap, 1);
        if (!fine) break;
        all_distances(query, query_gap, (const real *)k->data, step(k, 2), key_gaps, n, d, c, distance);
        if (given(distances)) copy_row(distance, n, row_of(distances, i));
        if (!given(out) && !given(weights)) continue;
        weights_from_distances(distance, w, n, temperature);
        if (given(weights)) copy_row(w, n, row_of(weights, i));
        if (given(out)) midpoint(w, value_gaps, (const real *)v->data, step(v, 2), n, d, c, row_of(out, i), wide);
    }
    work_end(state);
    workspace_free(wide);
    return fine ? DONE : DECLINED;
}
