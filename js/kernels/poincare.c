/* Attention in the Poincare ball of curvature -c, what metric.c does for products of spaces in a
 * fraction of its size: weights softmax(-distance / temperature), values
 * averaged by the gyromidpoint.
 *
 *   distance(x, y) = 2/sqrt(c) asinh( sqrt(c) |x - y| / sqrt((1 - c|x|^2)(1 - c|y|^2)) )
 *
 * which, unlike the textbook arcosh form, loses nothing where the points are close. Near the
 * boundary 1 - c|y|^2 cancels, so it is recomputed with twice the digits there. The midpoint is the
 * normalised sum of the points (lambda - 1, lambda y) of the hyperboloid, with lambda = 2 / (1 -
 * c|y|^2) (Ungar, Analytic Hyperbolic Geometry, 2008; Shimizu et al., arXiv:2006.08210, equation
 * 9). */
#include "host.h"

#include "../../src/graphattend/simd/kernels/ball.h"
#include "../../src/graphattend/simd/kernels/rows.h"
#include "../../src/graphattend/simd/kernels/softmax.h"

Status KERNEL(poincare)(Call *call);

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

/* `n` rounded up to 4 must be writable. */
static void all_distances(const real *q, real q_gap, const real *K, isize ldk, const real *gaps,
                          isize n, isize d, real c, real *out) {
    real root = (real)__builtin_sqrt((double)c);
    for (isize i = 0; i < n; i += 4) {
        v4 square = splat(0), product = LOAD(gaps + i) * splat(q_gap);
        if (i + 4 <= n) square = rows_against(4, K + i * ldk, ldk, d, q);
        else
            for (isize r = i; r < n; r++)
                square[r - i] = rows_against(1, K + r * ldk, ldk, d, q)[0];
        STORE(out + i, splat(2 / root) * asinh4(splat(root) * vsqrt(square / product)));
    }
}

static void all_gaps(const real *rows, isize stride, isize n, isize d, real c, real *gaps) {
    for (isize i = 0; i < n; i++) gaps[i] = ball_gap(rows + i * stride, d, c);
    for (isize i = n; i < round_up(n, 4); i++) gaps[i] = 1;
}

/* 1 if every point lies inside the ball as far as the dtype can tell; NaN does not. */
static int inside(const real *gaps, isize n) {
    for (isize i = 0; i < n; i++)
        if (!(gaps[i] > LEAST_GAP)) return 0;
    return 1;
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
    return a->shape[0] == rows && a->shape[1] == columns;
}

Status KERNEL(poincare)(Call *call) {
    const Array *q = &call->array[poincare_q], *k = &call->array[poincare_k],
                *v = &call->array[poincare_v];
    const Array *out = &call->array[poincare_out], *weights = &call->array[poincare_weights];
    real c = (real)call->number[poincare_c], temperature = (real)call->number[poincare_temperature];
    if (!(c > 0) || !(temperature > 0)) return DECLINED;
    isize m = q->shape[0], n = k->shape[0], d = q->shape[1];
    if (!is_matrix(k, n, d) || !is_matrix(v, n, d) || !is_matrix(out, m, d) ||
        (given(weights) && !is_matrix(weights, m, n)))
        return wrong(call, "poincare: shapes differ");
    int same = v->data == k->data && step(v, 2) == step(k, 2);
    isize row = round_up(n, 4);
    double *wide = workspace_get((usize)(2 * d) * sizeof(double) + (usize)(4 * row) * sizeof(real));
    if (!wide) return NO_MEMORY;
    real *key_gaps = (real *)(wide + 2 * d), *value_gaps = key_gaps, *distance = key_gaps + 2 * row,
         *w = distance + row;
    void *state = work_begin((double)(m + 1) * (double)n * (double)d);
    all_gaps((const real *)k->data, step(k, 2), n, d, c, key_gaps);
    if (!same) {
        value_gaps = key_gaps + row;
        all_gaps((const real *)v->data, step(v, 2), n, d, c, value_gaps);
    }
    int fine = inside(key_gaps, n) && inside(value_gaps, n);
    for (isize i = 0; i < m && fine; i++) {
        const real *query = row_of(q, i);
        real query_gap = ball_gap(query, d, c);
        fine = inside(&query_gap, 1);
        if (!fine) break;
        all_distances(query, query_gap, (const real *)k->data, step(k, 2), key_gaps, n, d, c,
                      distance);
        weights_from_distances(distance, w, n, temperature);
        if (given(weights)) copy_row(w, n, row_of(weights, i));
        ball_midpoint(w, value_gaps, (const real *)v->data, step(v, 2), n, d, c, row_of(out, i),
                      wide);
    }
    work_end(state);
    workspace_free(wide);
    return fine ? DONE : DECLINED;
}
