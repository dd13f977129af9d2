/* Attention of one query in two spaces: over the keys, over the latent keys, and of the first
 * result over the latent keys; then the three are fused. */
#include "few.h"
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

/* One or two queries over keys and values, with their weights. */
static real attend(const real *q, isize queries, const Array *k, const Array *v, real scale,
                   Mask mask, real *out, real *weights) {
    isize n = len(k, 2), d = len(k, 1);
    Few few = {.q = q,
               .K = (const real *)k->data,
               .V = (const real *)v->data,
               .ldq = d,
               .ldk = step(k, 2),
               .ldv = step(v, 2),
               .ldw = n,
               .ldo = d,
               .queries = queries,
               .keys = n,
               .d = d,
               .e = d,
               .scale = scale,
               .slope = 1,
               .mask = mask,
               .out = out,
               .weights = weights};
    return attend_few(&few, 0);
}

/* The parts (3, D), fused to out (D,): by a linear map, by gates that are one, or by their mean. */
static real fuse(const Array *a, const real *parts, isize d, int gated) {
    const Array *w = &a[cross_one_w], *b = &a[cross_one_b];
    real *out = (real *)a[cross_one_out].data, gates[4] = {0}, shares[3] = {1, 1, 1};
    real *linear = gated ? gates : out;
    isize width = gated ? 3 : d;
    if (given(w)) {
        copy_row((const real *)b->data, width, linear);
        add_weighted((const real *)w->data, step(w, 2), 3 * d, parts, width, linear);
        if (!gated) return note_row(out, d);
        real sum = exp_and_sum(gates, gates, 3, safe_peak(row_max(gates, 3)));
        for (int i = 0; i < 3; i++) shares[i] = gates[i] / sum;
    } else {
        for (int i = 0; i < 3; i++) shares[i] = (real)1 / 3;
    }
    fill(out, d, 0);
    add_weighted(parts, d, 3, shares, d, out);
    return note_row(out, d);
}

Status KERNEL(cross_one)(Call *call) {
    const Array *a = call->array, *q = &a[cross_one_q], *k = &a[cross_one_k], *v = &a[cross_one_v],
                *lk = &a[cross_one_latent_k], *lv = &a[cross_one_latent_v], *w = &a[cross_one_w],
                *weights = &a[cross_one_weights];
    isize d = len(q, 1), n = len(k, 2), near = len(lk, 2);
    int gated = call->number[cross_one_gated] != 0;
    if (len(k, 1) != d || len(v, 1) != d || len(lk, 1) != d || len(lv, 1) != d || len(v, 2) != n ||
        len(lv, 2) != near || len(&a[cross_one_out], 1) != d)
        return wrong(call, "cross_one: queries, keys and values differ");
    if (given(w) != given(&a[cross_one_b]) || (gated && !given(w)) ||
        (given(w) &&
         (len(w, 2) != 3 * d || len(w, 1) != (gated ? 3 : d) ||
          len(&a[cross_one_b], 1) != len(w, 1))))
        return wrong(call, "cross_one: the fusion does not fit");
    if (given(weights) && len(weights, 1) != n)
        return wrong(call, "cross_one: the weights do not fit");
    Array none = {.kind = ABSENT};
    Limits limits = {&a[cross_one_mask], &none, 0, 0, 0};
    Batch batch;
    batch_start(&batch, q, 1);
    if (!limits_batch(&limits, &batch, 1, n))
        return wrong(call, "cross_one: the mask does not fit");
    Mask all = {0}, mask = visible_now(&limits, &batch, n).mask;
    real *workspace = workspace_get((usize)(5 * d + 2 * near + n) * sizeof(real));
    if (!workspace) return NO_MEMORY;
    /* The query and the three results, in this order, so that query and first result are the rows
     * of the second pass */
    real *rows = workspace, *parts = rows + d, *latent = parts + d, *near_weights = rows + 5 * d,
         *own = given(weights) ? (real *)weights->data : near_weights + 2 * near,
         scale = (real)call->number[cross_one_scale];
    copy_row((const real *)q->data, d, rows);
    void *state = work_begin((double)(n + 2 * near + 3) * (double)(2 * d));
    real bad = attend(rows, 1, k, v, scale, mask, parts, own);
    bad += attend(rows, 2, lk, lv, scale, all, latent, near_weights);
    bad += fuse(a, parts, d, gated);
    work_end(state);
    workspace_free(workspace);
    return finished(bad);
}
