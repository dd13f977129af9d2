/* Attention in the Poincare ball of curvature -c: weights softmax(-distance / temperature), values averaged by the gyromidpoint.
 *
 *   distance(x, y) = 2/sqrt(c) asinh( sqrt(c) |x - y| / sqrt((1 - c|x|^2)(1 - c|y|^2)) )
 *
 * which, unlike the textbook arcosh form, loses nothing where the points are close. Near the boundary 1 - c|y|^2 cancels, so it is
 * recomputed in float64 there. The midpoint is the normalised sum of the points (lambda - 1, lambda y) of the hyperboloid, with
 * lambda = 2 / (1 - c|y|^2) (Ungar, Analytic Hyperbolic Geometry, 2008; Shimizu et al., arXiv:2006.08210, equation 9). */
#include "args.h"
#include "expo.h"
#include "kernels.h"
#include "rows.h"

/* Below this 1 - c|y|^2 is too far cancelled for float32 sums. */
#define NEAR_BOUNDARY 0.25f

static double squared_norm64(const float *x, isize d) {
    d2 a = splatd(0.0), b = a;
    isize k = 0;
    for (; k + 4 <= d; k += 4) {
        d2 low = {(double)x[k], (double)x[k + 1]}, high = {(double)x[k + 2], (double)x[k + 3]};
        a = maddd(low, low, a), b = maddd(high, high, b);
    }
    a += b;
    double sum = a[0] + a[1];
    for (; k < d; k++) sum += (double)x[k] * (double)x[k];
    return sum;
}

static float squared_norm(const float *x, isize d) {
    f4 sum0 = splat(0.f), sum1 = sum0;
    float tail = 0.f;
    isize k = 0;
    for (; k + 8 <= d; k += 8) {
        f4 a = LOAD(x + k), b = LOAD(x + k + 4);
        sum0 = madd(a, a, sum0), sum1 = madd(b, b, sum1);
    }
    for (; k < d; k++) tail += x[k] * x[k];
    return hsum(sum0 + sum1) + tail;
}

/* 1 - c|x|^2 */
static float gap(const float *x, isize d, float c) {
    float quick = 1.f - c * squared_norm(x, d);
    return quick < NEAR_BOUNDARY ? (float)(1.0 - (double)c * squared_norm64(x, d)) : quick;
}

/* out[i] = |q - K[i]|^2 and gaps[i] for four rows at once. */
INL void rows_against(const int rows, const float *K, isize ldk, isize d, const float *q, f4 *difference) {
    f4 s[4];
    for (int r = 0; r < rows; r++) s[r] = splat(0.f);
    isize k = 0;
    for (; k + 4 <= d; k += 4) {
        f4 x = LOAD(q + k);
        for (int r = 0; r < rows; r++) {
            f4 y = LOAD(K + r * ldk + k) - x;
            s[r] = madd(y, y, s[r]);
        }
    }
    f4 tail = splat(0.f);
    for (; k < d; k++)
        for (int r = 0; r < rows; r++) tail[r] += (K[r * ldk + k] - q[k]) * (K[r * ldk + k] - q[k]);
    for (int r = rows; r < 4; r++) s[r] = splat(0.f);
    *difference = hsum4(s[0], s[1], s[2], s[3]) + tail;
}

/* asinh of z >= 0: log1p(z + z^2 / (1 + sqrt(1 + z^2))), and log1p(u) = u log(w) / (w - 1) with w = 1 + u as rounded (Kahan). */
static f4 asinh4(f4 z) {
    f4 one = splat(1.f), zz = z * z;
    f4 u = z + zz / (one + vsqrt(one + zz)), w = one + u, less = w - one;
    i4 tiny = (i4)(less == splat(0.f));
    return select(tiny, u, log_positive(w) * (u / select(tiny, one, less)));
}

/* Squared differences to distances, in place; `n` rounded up to 4 must be writable. */
static void distances(const float *q, float q_gap, const float *K, isize ldk, const float *gaps, isize n, isize d, float c,
                      float *out) {
    f4 root = splat(__builtin_sqrtf(c)), two = splat(2.f / __builtin_sqrtf(c));
    for (isize i = 0; i < n; i += 4) {
        f4 square, gap4 = LOAD(gaps + i) * splat(q_gap);
        if (i + 4 <= n) rows_against(4, K + i * ldk, ldk, d, q, &square);
        else {
            f4 one = splat(0.f);
            square = splat(0.f);
            for (isize r = i; r < n; r++) {
                rows_against(1, K + r * ldk, ldk, d, q, &one);
                square[r - i] = one[0];
            }
        }
        STORE(out + i, two * asinh4(root * vsqrt(square / gap4)));
    }
}

static void all_gaps(const float *rows, isize stride, isize n, isize d, float c, float *gaps) {
    for (isize i = 0; i < n; i++) gaps[i] = gap(rows + i * stride, d, c);
    for (isize i = n; i < round_up(n, 4); i++) gaps[i] = 1.f;
}

/* 1 if every point lies inside the ball as far as float32 can tell; NaN does not. */
static int inside(const float *gaps, isize n) {
    for (isize i = 0; i < n; i++)
        if (!(gaps[i] > 1e-7f)) return 0;
    return 1;
}

/* Midpoint from weights w (n,), which are overwritten. sum = sum_i w_i (lambda_i - 1, lambda_i y_i). */
static void midpoint(float *w, const float *gaps, const float *V, isize ldv, isize n, isize d, float c, float *out, double *wide) {
    double first = 0.0, squares = 0.0;
    float largest = 0.f;
    for (isize i = 0; i < n; i++) {
        float lambda = 2.f / gaps[i];
        if (w[i] > 1e-8f && lambda > largest) largest = lambda;
        first += (double)w[i] * ((double)lambda - 1.0);
        w[i] *= lambda;
    }
    if (largest <= 2.f / NEAR_BOUNDARY) {
        fill(out, d, 0.f);
        add_weighted(V, ldv, n, w, d, out);
        for (isize j = 0; j < d; j++) wide[j] = (double)out[j];
    } else { /* first^2 - c|rest|^2 cancels by lambda^2 */
        for (isize j = 0; j < d; j++) wide[j] = 0.0;
        for (isize i = 0; i < n; i++) {
            const float *v = V + i * ldv;
            double weight = (double)w[i];
            for (isize j = 0; j < d; j++) wide[j] += weight * (double)v[j];
        }
    }
    for (isize j = 0; j < d; j++) squares += wide[j] * wide[j];
    double inner = first * first - (double)c * squares;
    double factor = 1.0 / (first + __builtin_sqrt(inner > 0.0 ? inner : 0.0));
    for (isize j = 0; j < d; j++) out[j] = (float)(wide[j] * factor);
}

static void weights_from_distances(const float *distance, float *w, isize n, float temperature) {
    const float *t = exp_table();
    float least = distance[0], total = 0.f, rate = -1.f / temperature;
    for (isize i = 1; i < n; i++)
        if (distance[i] < least) least = distance[i];
    f4 sums = splat(0.f);
    isize i = 0;
    for (; i + 4 <= n; i += 4) {
        f4 e = exp_small(t, (LOAD(distance + i) - splat(least)) * splat(rate));
        STORE(w + i, e);
        sums += e;
    }
    total = hsum(sums);
    for (; i < n; i++) {
        w[i] = exp_small(t, splat((distance[i] - least) * rate))[0];
        total += w[i];
    }
    scale_row(w, n, 1.f / total);
}

/* poincare(q (M, D), k (N, D), v (N, D) or None, out (M, D) or None, distances (M, N) or None, weights (M, N) or None, c, temperature)
 * -> True, or None; also None if a point does not lie inside the ball or is not finite. */
PyObject *kernel_poincare(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 8) return wrong_count();
    int ok = 1;
    float c = get_float(args[6], &ok), temperature = get_float(args[7], &ok);
    if (!ok) return 0;
    if (!(c > 0.f) || !(temperature > 0.f)) return declined();
    Array q, k, v, results[3]; /* out, distances, weights */
    int with_values = !is_none(args[2]), wanted[3];
    if (!get_array(args[0], FLOAT32, 2, &q) || !get_array(args[1], FLOAT32, 2, &k) || q.ndim != 2 || k.ndim != 2) return declined();
    if (with_values && (!get_array(args[2], FLOAT32, 2, &v) || v.ndim != 2)) return declined();
    isize m = q.shape[0], n = k.shape[0], d = q.shape[1];
    if (k.shape[1] != d || (with_values && (v.shape[0] != n || v.shape[1] != d))) return wrong_value("poincare: shapes differ");
    for (int i = 0; i < 3; i++) {
        Array *r = &results[i];
        wanted[i] = !is_none(args[3 + i]);
        if (!wanted[i]) continue;
        if (!get_output(args[3 + i], FLOAT32, 2, r) || r->ndim != 2 || !disjoint(&q, r) || !disjoint(&k, r) ||
            (with_values && !disjoint(&v, r)))
            return declined();
        if (r->shape[0] != m || r->shape[1] != (i ? n : d)) return wrong_value("poincare: shapes differ");
        for (int j = 0; j < i; j++)
            if (wanted[j] && !disjoint(&results[j], r)) return declined();
    }
    if (wanted[0] && !with_values) return declined();
    int same = with_values && v.data == k.data && step(&v, 2) == step(&k, 2);
    isize row = round_up(n, 4);
    Workspace workspace;
    if (!workspace_get(&workspace, 4 * row + 2 * d + 2)) return 0;
    double *wide = (double *)workspace.floats;
    float *key_gaps = workspace.floats + 2 * round_up(d, 2), *value_gaps = key_gaps, *distance = key_gaps + 2 * row, *w = distance + row;
    void *python = release_python((double)(m + 1) * (double)n * (double)d);
    all_gaps((const float *)k.data, step(&k, 2), n, d, c, key_gaps);
    if (with_values && !same) {
        value_gaps = key_gaps + row;
        all_gaps((const float *)v.data, step(&v, 2), n, d, c, value_gaps);
    }
    int fine = inside(key_gaps, n) && inside(value_gaps, n);
    for (isize i = 0; i < m && fine; i++) {
        const float *query = (const float *)(q.data + i * q.strides[0]);
        float query_gap = gap(query, d, c);
        fine = inside(&query_gap, 1);
        if (!fine) break;
        distances(query, query_gap, (const float *)k.data, step(&k, 2), key_gaps, n, d, c, distance);
        if (wanted[1])
            for (isize j = 0; j < n; j++) ((float *)(results[1].data + i * results[1].strides[0]))[j] = distance[j];
        if (!wanted[0] && !wanted[2]) continue;
        weights_from_distances(distance, w, n, temperature);
        if (wanted[2])
            for (isize j = 0; j < n; j++) ((float *)(results[2].data + i * results[2].strides[0]))[j] = w[j];
        if (wanted[0])
            midpoint(w, value_gaps, (const float *)v.data, step(&v, 2), n, d, c, (float *)(results[0].data + i * results[0].strides[0]), wide);
    }
    regain_python(python);
    workspace_free(&workspace);
    return fine ? boolean(1) : declined();
}
