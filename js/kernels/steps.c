/* The steps between the kernels that Python leaves to NumPy: masks on scores, sums that pass over hidden keys, gradients of the
 * softmax, additive scores, sums over broadcast axes. Entry points like those of the kernels (see args.h). */
#include "expo.h"
#include "mask.h"
#include "rows.h"

#define KERNEL(name) PyObject *kernel_##name(PyObject *self, PyObject *const *args, isize count)
KERNEL(mask_scores);
KERNEL(sum_of_seen);
KERNEL(softmax_pullback);
KERNEL(additive_scores);
KERNEL(accumulate);

/* mask_scores(scores (..., M, N), mask or None, causal, scale) -> True, or None: scales, adds the mask, and makes what is hidden
 * -inf whatever it was, in place. */
KERNEL(mask_scores) {
    (void)self;
    if (count != 4) return wrong_count();
    int ok = 1;
    float scale = get_float(args[3], &ok);
    if (!ok) return 0;
    Array scores;
    VisibleArgs limits;
    if (!get_output(args[0], FLOAT32, 2, &scores) || !get_visible(args[1], args[2], Py_None, &limits) ||
        !visible_disjoint(&limits, &scores))
        return declined();
    isize queries = len(&scores, 2), keys = len(&scores, 1);
    Batch batch;
    batch_start(&batch, &scores, 2);
    if (batch_add(&batch, &scores, 2) < 0 || !visible_batch(&limits, &batch, queries, keys))
        return wrong_value("mask_scores: the mask does not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        Visible visible = visible_now(&limits, &batch, keys);
        for (isize i = 0; i < queries; i++) {
            float *row = (float *)batch.at[0] + i * step(&scores, 2);
            isize limit = visible_limit(&visible, i), at = i * visible.mask.query_step;
            scale_row(row, limit, scale);
            fill(row + limit, keys - limit, MINUS_INFINITY);
            for (isize j = 0; j < limit; j++, at += visible.mask.key_step) {
                if (visible.mask.added) {
                    float added = visible.mask.added[at];
                    row[j] = added == MINUS_INFINITY ? added : row[j] + added;
                } else if (visible.mask.allowed && !visible.mask.allowed[at]) row[j] = MINUS_INFINITY;
            }
        }
    }
    return boolean(1);
}

/* sum_of_seen(w (..., M, N), x (..., N, E), out (..., M, E), transposed) -> True, or None: out = w x, where a weight of 0 takes
 * nothing of x, be that finite or not. Transposed: w (..., N, M). */
KERNEL(sum_of_seen) {
    (void)self;
    if (count != 4) return wrong_count();
    int transposed = args[3] == &_Py_TrueStruct;
    Array w, x, out;
    if (!get_array(args[0], FLOAT32, 2, &w) || !get_array(args[1], FLOAT32, 2, &x) || !get_output(args[2], FLOAT32, 2, &out) ||
        !disjoint(&w, &out) || !disjoint(&x, &out))
        return declined();
    isize m = len(&out, 2), n = len(&x, 2), e = len(&x, 1), ldw = step(&w, 2);
    if (len(&w, transposed ? 1 : 2) != m || len(&w, transposed ? 2 : 1) != n || len(&out, 1) != e)
        return wrong_value("sum_of_seen: shapes differ");
    Batch batch;
    batch_start(&batch, &out, 2);
    if (batch_add(&batch, &out, 2) < 0 || batch_add(&batch, &w, 2) < 0 || batch_add(&batch, &x, 2) < 0)
        return wrong_value("sum_of_seen: leading axes do not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        for (isize i = 0; i < m; i++) {
            float *to = (float *)batch.at[0] + i * step(&out, 2);
            const float *weights = (const float *)batch.at[1] + i * (transposed ? 1 : ldw);
            fill(to, e, 0.f);
            for (isize j = 0; j < n; j++) {
                const float *weight = weights + j * (transposed ? ldw : 1), *row = (const float *)batch.at[2] + j * step(&x, 2);
                if (*weight != 0.f) add_rows(1, &row, weight, e, to);
            }
        }
    return boolean(1);
}

/* softmax_pullback(w (..., N), g (..., N)) -> True, or None: the gradient g of the weights w becomes that of the scores. */
KERNEL(softmax_pullback) {
    (void)self;
    if (count != 2) return wrong_count();
    Array w, g;
    if (!get_array(args[0], FLOAT32, 1, &w) || !get_output(args[1], FLOAT32, 1, &g) || !disjoint(&w, &g)) return declined();
    isize n = len(&g, 1);
    Batch batch;
    batch_start(&batch, &g, 1);
    if (len(&w, 1) != n || batch_add(&batch, &g, 1) < 0 || batch_add(&batch, &w, 1) < 0)
        return wrong_value("softmax_pullback: shapes differ");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        float *row = (float *)batch.at[0], mean = 0.f;
        const float *weight = (const float *)batch.at[1];
        for (isize j = 0; j < n; j++)
            if (weight[j] != 0.f) mean += weight[j] * row[j];
        for (isize j = 0; j < n; j++) row[j] = weight[j] != 0.f ? weight[j] * (row[j] - mean) : 0.f;
    }
    return boolean(1);
}

/* additive_scores(q (..., M, E), k (..., N, E), a (..., E), slope, out (..., M, N)) -> True, or None:
 * out = a . LeakyReLU(q + k). Brody, Alon, Yahav: How Attentive are Graph Attention Networks?, arXiv:2105.14491, equation 7. */
KERNEL(additive_scores) {
    (void)self;
    if (count != 5) return wrong_count();
    int ok = 1;
    float slope = get_float(args[3], &ok);
    if (!ok) return 0;
    Array q, k, a, out;
    if (!get_array(args[0], FLOAT32, 2, &q) || !get_array(args[1], FLOAT32, 2, &k) || !get_array(args[2], FLOAT32, 1, &a) ||
        !get_output(args[4], FLOAT32, 2, &out) || !disjoint(&q, &out) || !disjoint(&k, &out) || !disjoint(&a, &out))
        return declined();
    isize m = len(&out, 2), n = len(&out, 1), e = len(&a, 1);
    if (len(&q, 2) != m || len(&k, 2) != n || len(&q, 1) != e || len(&k, 1) != e)
        return wrong_value("additive_scores: shapes differ");
    Batch batch;
    batch_start(&batch, &out, 2);
    if (batch_add(&batch, &out, 2) < 0 || batch_add(&batch, &q, 2) < 0 || batch_add(&batch, &k, 2) < 0 ||
        batch_add(&batch, &a, 1) < 0)
        return wrong_value("additive_scores: leading axes do not broadcast");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        for (isize i = 0; i < m; i++) {
            const float *query = (const float *)batch.at[1] + i * step(&q, 2), *factor = (const float *)batch.at[3];
            for (isize j = 0; j < n; j++) {
                const float *key = (const float *)batch.at[2] + j * step(&k, 2);
                f4 sum = splat(0.f);
                float rest = 0.f;
                isize c = 0;
                for (; c + 4 <= e; c += 4) {
                    f4 x = LOAD(query + c) + LOAD(key + c);
                    sum = madd(LOAD(factor + c), select((i4)(x > splat(0.f)), x, x * splat(slope)), sum);
                }
                for (; c < e; c++) {
                    float x = query[c] + key[c];
                    rest += factor[c] * (x > 0.f ? x : x * slope);
                }
                ((float *)batch.at[0])[i * step(&out, 2) + j] = hsum(sum) + rest;
            }
        }
    return boolean(1);
}

/* accumulate(x, out) -> True, or None: out += x. Both have the same shape; a stride of 0 in x repeats it, in out it sums. */
KERNEL(accumulate) {
    (void)self;
    if (count != 2) return wrong_count();
    Array x, out;
    if (!get_strided(args[0], FLOAT32, 1, &x) || !get_strided(args[1], FLOAT32, 1, &out) || !disjoint(&x, &out)) return declined();
    isize n = len(&x, 1), from = step(&x, 1), to = step(&out, 1);
    Batch batch;
    batch_start(&batch, &x, 1);
    if (len(&out, 1) != n || batch_add(&batch, &x, 1) < 0 || batch_add(&batch, &out, 1) < 0)
        return wrong_value("accumulate: shapes differ");
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        const float *source = (const float *)batch.at[0];
        float *sum = (float *)batch.at[1], one = 1.f;
        if (from == 1 && to == 1) add_rows(1, &source, &one, n, sum);
        else
            for (isize j = 0; j < n; j++) sum[j * to] += source[j * from];
    }
    return boolean(1);
}
