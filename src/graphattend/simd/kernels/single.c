/* Attention of one query: scores, softmax and weighted sum in blocks of keys; K and V are read once, in long runs, because each
 * change from one to the other costs the hardware's prefetching a start. Online softmax: Milakov and Gimelshein, arXiv:1805.02867. */
#include "args.h"
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

enum { BLOCK = 1024 };

static void apply_mask(float *scores, isize first, isize n, Mask mask) {
    if (mask.allowed) {
        for (isize i = 0; i < n; i++)
            if (!mask.allowed[(first + i) * mask.key_step]) scores[i] = MINUS_INFINITY;
    } else {
        for (isize i = 0; i < n; i++) scores[i] += mask.added[(first + i) * mask.key_step];
    }
}

/* x times factor, in place. Returns the maximum; folds x into the test *bad (see note_bad). */
static float scale_and_check(float *x, isize n, float factor, f4 *bad) {
    f4 top = splat(MINUS_INFINITY), second = top, sum = *bad, other = splat(0.f), f = splat(factor);
    isize i = 0;
    for (; i + 8 <= n; i += 8) {
        f4 a = LOAD(x + i) * f, b = LOAD(x + i + 4) * f;
        STORE(x + i, a), STORE(x + i + 4, b);
        sum = note_bad(sum, a), other = note_bad(other, b);
        top = vmax(top, a), second = vmax(second, b);
    }
    float peak = hmax(vmax(top, second));
    for (; i < n; i++) {
        x[i] *= factor;
        sum = note_bad(sum, splat(x[i]));
        if (x[i] > peak) peak = x[i];
    }
    *bad = sum + other;
    return peak;
}

f4 attend_one(const float *q, const float *K, isize ldk, const float *V, isize ldv, isize n, isize d, isize e, float scale,
              Mask mask, float *out, float *stats) {
    float scores[BLOCK] __attribute__((aligned(16)));
    float peak = MINUS_INFINITY, sum = 0.f;
    f4 bad = splat(0.f);
    fill(out, e, 0.f);
    for (isize first = 0; first < n; first += BLOCK) {
        isize block = min_size(BLOCK, n - first);
        row_dots(K + first * ldk, ldk, block, q, d, scores);
        float block_peak = scale_and_check(scores, block, scale, &bad);
        if (mask.allowed || mask.added) {
            apply_mask(scores, first, block, mask);
            block_peak = row_max(scores, block);
        }
        if (block_peak > peak) {
            float shrink = exp_scalar(peak - block_peak); /* 0 the first time */
            sum *= shrink;
            if (first) scale_row(out, e, shrink);
            peak = block_peak;
        }
        sum += exp_and_sum(scores, scores, block, safe_peak(peak));
        add_weighted(V + first * ldv, ldv, block, scores, e, out);
    }
    scale_row(out, e, sum > 0.f ? 1.f / sum : 0.f);
    if (stats) stats[0] = peak, stats[1] = sum;
    return note_row(bad, out, e);
}

/* attend_one(q (..., D), k (..., N, D), v (..., N, E), out (..., E), scale) -> True if all data were finite, else False;
 * or None. */
PyObject *kernel_attend_one(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 5) return wrong_count();
    int ok = 1;
    float scale = get_float(args[4], &ok);
    if (!ok) return 0;
    Array q, k, v, out;
    if (!get_array(args[0], FLOAT32, 1, &q) || !get_array(args[1], FLOAT32, 2, &k) || !get_array(args[2], FLOAT32, 2, &v) ||
        !get_output(args[3], FLOAT32, 1, &out) || !disjoint(&q, &out) || !disjoint(&k, &out) || !disjoint(&v, &out))
        return declined();
    isize n = len(&k, 2), d = len(&k, 1), e = len(&v, 1);
    if (len(&q, 1) != d) return wrong_value("attend_one: q and k differ in their last axis");
    if (len(&v, 2) != n) return wrong_value("attend_one: k and v differ in the number of keys");
    if (len(&out, 1) != e) return wrong_value("attend_one: out and v differ in their last axis");
    Batch batch;
    batch_start(&batch, &out, 1);
    if (batch_add(&batch, &out, 1) < 0 || batch_add(&batch, &q, 1) < 0 || batch_add(&batch, &k, 2) < 0 ||
        batch_add(&batch, &v, 2) < 0)
        return wrong_value("attend_one: leading axes do not broadcast");
    Mask none = {0, 0, 0, 0};
    f4 bad = splat(0.f);
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        bad += attend_one((const float *)batch.at[1], (const float *)batch.at[2], step(&k, 2), (const float *)batch.at[3],
                          step(&v, 2), n, d, e, scale, none, (float *)batch.at[0], 0);
    return boolean(!is_bad(bad));
}
