/* The steps of steps.def. */
#include "host.h"

#include "../../src/graphattend/simd/kernels/expo.h"
#include "../../src/graphattend/simd/kernels/graph.h"
#include "../../src/graphattend/simd/kernels/mask.h"
#include "../../src/graphattend/simd/kernels/rows.h"

#define KERNEL_BEGIN(name) Status KERNEL(name)(Call * call);
#define OPERAND(kernel, name, type, least, most, use)
#define KERNEL_END(name)
#include "steps.def"

/* S. L. Moshier, Cephes Mathematical Library, tanhf.c. */
static real hyperbolic_tangent(real x) {
    real size = x < 0 ? -x : x, z = x * x;
    if (size < 0.625f) {
        real p = (((-5.70498872745e-3f * z + 2.06390887954e-2f) * z - 5.37397155531e-2f) * z +
                  1.33314422036e-1f) *
            z;
        return x + x * z * (p - 3.33332819422e-1f);
    }
    real y = size > 9.f ? 1.f : 1.f - 2.f / (exp_scalar(2.f * size) + 1.f);
    return x < 0 ? -y : x > 0 ? y : x; /* NaN stays */
}

Status KERNEL(mask_scores)(Call *call) {
    const Array *scores = &call->array[mask_scores_scores], none = {.kind = ABSENT};
    Limits limits = {&call->array[mask_scores_mask], &none, call->number[mask_scores_causal] != 0.0,
                     0, 0};
    isize queries = len(scores, 2), keys = len(scores, 1);
    real scale = (real)call->number[mask_scores_scale],
         cap = (real)call->number[mask_scores_softcap];
    Batch batch;
    batch_start(&batch, scores, 2);
    if (batch_add(&batch, scores, 2) < 0 || !limits_batch(&limits, &batch, queries, keys))
        return wrong(call, "mask_scores: the mask does not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        Visible visible = visible_now(&limits, &batch, keys);
        for (isize i = 0; i < queries; i++) {
            real *row = (real *)batch.at[0] + i * step(scores, 2);
            isize limit = visible_limit(&visible, i), at = i * visible.mask.query_step;
            scale_row(row, limit, scale);
            for (isize j = 0; j < limit && cap > 0; j++)
                row[j] = cap * hyperbolic_tangent(row[j] / cap);
            fill(row + limit, keys - limit, MINUS_INFINITY);
            for (isize j = 0; j < limit; j++, at += visible.mask.key_step) {
                if (visible.mask.added) {
                    real added = visible.mask.added[at];
                    row[j] = added == MINUS_INFINITY ? added : row[j] + added;
                } else if (visible.mask.allowed && !visible.mask.allowed[at])
                    row[j] = MINUS_INFINITY;
            }
        }
    }
    return DONE;
}

Status KERNEL(sum_of_seen)(Call *call) {
    const Array *w = &call->array[sum_of_seen_w], *x = &call->array[sum_of_seen_x],
                *out = &call->array[sum_of_seen_out];
    int transposed = call->number[sum_of_seen_transposed] != 0.0;
    isize m = len(out, 2), n = len(x, 2), e = len(x, 1), ldw = step(w, 2);
    if (len(w, transposed ? 1 : 2) != m || len(w, transposed ? 2 : 1) != n || len(out, 1) != e)
        return wrong(call, "sum_of_seen: shapes differ");
    Batch batch;
    batch_start(&batch, out, 2);
    if (batch_add(&batch, out, 2) < 0 || batch_add(&batch, w, 2) < 0 || batch_add(&batch, x, 2) < 0)
        return wrong(call, "sum_of_seen: leading axes do not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        for (isize i = 0; i < m; i++) {
            real *to = (real *)batch.at[0] + i * step(out, 2);
            const real *weights = (const real *)batch.at[1] + i * (transposed ? 1 : ldw);
            fill(to, e, 0);
            for (isize j = 0; j < n; j++) {
                const real *weight = weights + j * (transposed ? ldw : 1),
                           *row = (const real *)batch.at[2] + j * step(x, 2);
                if (*weight != 0) add_rows(1, &row, weight, e, to);
            }
        }
    return DONE;
}

Status KERNEL(softmax_pullback)(Call *call) {
    const Array *w = &call->array[softmax_pullback_w], *g = &call->array[softmax_pullback_g];
    isize n = len(g, 1);
    Batch batch;
    batch_start(&batch, g, 1);
    if (len(w, 1) != n || batch_add(&batch, g, 1) < 0 || batch_add(&batch, w, 1) < 0)
        return wrong(call, "softmax_pullback: shapes differ");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        real *row = (real *)batch.at[0], mean = 0;
        const real *weight = (const real *)batch.at[1];
        for (isize j = 0; j < n; j++)
            if (weight[j] != 0) mean += weight[j] * row[j];
        for (isize j = 0; j < n; j++) row[j] = weight[j] != 0 ? weight[j] * (row[j] - mean) : 0;
    }
    return DONE;
}

/* a . LeakyReLU(left + right + edge) , where there is an edge. */
NOINLINE real leaky_dot(const real *left, const real *right, const real *edge, const real *a,
                        isize c, real slope) {
    v4 sum = splat(0);
    real rest = 0;
    isize i = 0;
    for (; i + 4 <= c; i += 4) {
        v4 x = LOAD(left + i) + LOAD(right + i);
        if (edge) x += LOAD(edge + i);
        sum = madd(LOAD(a + i), select((m4)(x > splat(0)), x, x * splat(slope)), sum);
    }
    for (; i < c; i++) {
        real x = left[i] + right[i] + (edge ? edge[i] : 0);
        rest += a[i] * (x > 0 ? x : x * slope);
    }
    return hsum(sum) + rest;
}

/* Brody, Alon, Yahav: How Attentive are Graph Attention Networks?, arXiv:2105.14491, equation 7. */
Status KERNEL(additive_scores)(Call *call) {
    const Array *q = &call->array[additive_scores_q], *k = &call->array[additive_scores_k],
                *a = &call->array[additive_scores_a];
    const Array *out = &call->array[additive_scores_out];
    real slope = (real)call->number[additive_scores_slope];
    isize m = len(out, 2), n = len(out, 1), e = len(a, 1);
    if (len(q, 2) != m || len(k, 2) != n || len(q, 1) != e || len(k, 1) != e)
        return wrong(call, "additive_scores: shapes differ");
    Batch batch;
    batch_start(&batch, out, 2);
    if (batch_add(&batch, out, 2) < 0 || batch_add(&batch, q, 2) < 0 ||
        batch_add(&batch, k, 2) < 0 || batch_add(&batch, a, 1) < 0)
        return wrong(call, "additive_scores: leading axes do not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        for (isize i = 0; i < m; i++) {
            const real *query = (const real *)batch.at[1] + i * step(q, 2),
                       *factor = (const real *)batch.at[3];
            for (isize j = 0; j < n; j++) {
                const real *key = (const real *)batch.at[2] + j * step(k, 2);
                ((real *)batch.at[0])[i * step(out, 2) + j] =
                    leaky_dot(query, key, 0, factor, e, slope);
            }
        }
    return DONE;
}

/* What the gradient g of leaky_dot adds to those of its operands. */
NOINLINE void leaky_dot_vjp(const real *left, const real *right, const real *edge, const real *a,
                            isize c, real slope, real g, real *by_left, real *by_right,
                            real *by_edge, real *by_a) {
    isize i = 0;
    for (; i + 4 <= c; i += 4) {
        v4 x = LOAD(left + i) + LOAD(right + i);
        if (edge) x += LOAD(edge + i);
        v4 gx = select((m4)(x > splat(0)), splat(g), splat(g * slope));
        STORE(by_a + i, madd(gx, x, LOAD(by_a + i)));
        gx *= LOAD(a + i);
        STORE(by_left + i, LOAD(by_left + i) + gx);
        STORE(by_right + i, LOAD(by_right + i) + gx);
        if (edge) STORE(by_edge + i, gx);
    }
    for (; i < c; i++) {
        real x = left[i] + right[i] + (edge ? edge[i] : 0), gx = x > 0 ? g : g * slope;
        by_a[i] += gx * x;
        gx *= a[i];
        by_left[i] += gx;
        by_right[i] += gx;
        if (edge) by_edge[i] = gx;
    }
}

/* edge_scores, or what its vjp adds to `by` (by_left, by_right, by_edge, by_a), laid out as what
 * they are the gradients of. */
NOINLINE Status each_edge(Call *call, const Array *by) {
    const Array *operand = call->array, *scores = operand + edge_scores_out;
    real slope = (real)call->number[edge_scores_slope];
    ByHead left = by_head(operand), right = by_head(operand + 1), edge = by_head(operand + 4);
    const Array *a = operand + 5;
    Neighbors n;
    isize heads = left.heads, width = left.width;
    if (!get_neighbors(operand + 2, operand + 3, left.nodes, right.nodes, &n) ||
        !is_like(&right, right.nodes, heads, width) ||
        (edge.data && !is_like(&edge, n.edges, heads, width)) || a->shape[0] != heads ||
        a->shape[1] != width || scores->shape[0] != n.edges || scores->shape[1] != heads)
        return wrong(call, "edge_scores: shapes differ");
    for (isize i = 0; i < left.nodes; i++)
        for (isize e = (isize)n.start[i]; e < (isize)n.start[i + 1]; e++)
            for (isize h = 0; h < heads; h++) {
                const real *l = row_at(&left, i, h), *r = row_at(&right, neighbor(&n, e), h),
                           *x = edge.data ? row_at(&edge, e, h) : 0,
                           *factor = (const real *)(a->data + h * a->strides[0]);
                real *score = (real *)scores->data + e * step(scores, 2) + h;
                if (by)
                    leaky_dot_vjp(
                        l, r, x, factor, width, slope, *score, (real *)by[0].data + (l - left.data),
                        (real *)by[1].data + (r - right.data), (real *)by[2].data + (x - edge.data),
                        (real *)by[3].data + (factor - (const real *)a->data));
                else *score = leaky_dot(l, r, x, factor, width, slope);
            }
    return DONE;
}

Status KERNEL(edge_scores)(Call *call) { return each_edge(call, 0); }

/* Its first operands are those of edge_scores, the scores' gradient in the place of the scores. */
Status KERNEL(edge_scores_vjp)(Call *call) {
    return each_edge(call, &call->array[edge_scores_vjp_by_left]);
}

Status KERNEL(accumulate)(Call *call) {
    const Array *x = &call->array[accumulate_x], *out = &call->array[accumulate_out];
    isize n = len(x, 1), from = step(x, 1), to = step(out, 1);
    Batch batch;
    batch_start(&batch, x, 1);
    if (len(out, 1) != n || batch_add(&batch, x, 1) < 0 || batch_add(&batch, out, 1) < 0 ||
        !disjoint(x, out))
        return wrong(call, "accumulate: shapes differ, or x and out overlap");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        const real *source = (const real *)batch.at[0];
        real *sum = (real *)batch.at[1], one = 1;
        if (from == 1 && to == 1) add_rows(1, &source, &one, n, sum);
        else
            for (isize j = 0; j < n; j++) sum[j * to] += source[j * from];
    }
    return DONE;
}
