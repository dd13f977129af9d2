/* A graph attention layer for one query, without projecting keys and values: a . (W k) = (W' a) .
 * k, so the caller folds W into the vectors of the scores, and the values are averaged first and
 * projected then. Velickovic et al.: Graph Attention Networks, arXiv:1710.10903, equations 1 to 6.
 */
#include "few.h"
#include "kernels.h"
#include "rows.h"

/* bias[h][i] = by_query[h] . q + by_edge[h] . edges[i]. Returns the test of finiteness. */
static real fill_bias(const Array *a, isize heads, isize keys, real *bias) {
    const Array *edges = &a[gat_one_edges], *by_query = &a[gat_one_by_query],
                *by_edge = &a[gat_one_by_edge];
    real bad = 0;
    for (isize h = 0; h < heads; h++) {
        real *row = bias + h * keys, own;
        row_dots((const real *)a[gat_one_q].data, 0, 1,
                 (const real *)by_query->data + h * step(by_query, 2), len(by_query, 1), &own);
        if (!given(edges)) {
            fill(row, keys, own);
            bad += own * 0;
            continue;
        }
        row_dots((const real *)edges->data, step(edges, 2), keys,
                 (const real *)by_edge->data + h * step(by_edge, 2), len(edges, 1), row);
        for (isize i = 0; i < keys; i++) row[i] += own;
        bad += note_row(row, keys);
    }
    return bad;
}

/* The averages (H, D) times W (H, D, E), joined or averaged, plus the bias. */
static real project(const Array *a, const real *average, isize heads, real *row) {
    const Array *w = &a[gat_one_w], *out = &a[gat_one_out];
    isize d = len(w, 2), e = len(w, 1), joined = len(out, 1) == heads * e;
    real *to = (real *)out->data;
    fill(to, len(out, 1), 0);
    for (isize h = 0; h < heads; h++) {
        real *part = joined ? to + h * e : row;
        if (!joined) fill(row, e, 0);
        add_weighted((const real *)w->data + h * step(w, 3), step(w, 2), d, average + h * d, e,
                     part);
        real share = 1 / (real)heads;
        if (!joined) add_weighted(row, 0, 1, &share, e, to);
    }
    if (given(&a[gat_one_b])) {
        real one = 1;
        add_weighted((const real *)a[gat_one_b].data, 0, 1, &one, len(out, 1), to);
    }
    return note_row(to, len(out, 1));
}

Status KERNEL(gat_one)(Call *call) {
    const Array *a = call->array, *k = &a[gat_one_k], *v = &a[gat_one_v],
                *by_key = &a[gat_one_by_key], *edges = &a[gat_one_edges], *w = &a[gat_one_w],
                *out = &a[gat_one_out], *weights = &a[gat_one_weights];
    isize heads = len(by_key, 2), keys = len(k, 2), d = len(k, 1);
    if (len(&a[gat_one_q], 1) != d || len(by_key, 1) != d || len(&a[gat_one_by_query], 1) != d ||
        len(&a[gat_one_by_query], 2) != heads || len(weights, 2) != heads ||
        len(weights, 1) != keys)
        return wrong(call, "gat_one: q, k, the vectors and the weights differ");
    if (given(edges) != given(&a[gat_one_by_edge]) ||
        (given(edges) &&
         (len(edges, 2) != keys || len(&a[gat_one_by_edge], 2) != heads ||
          len(&a[gat_one_by_edge], 1) != len(edges, 1))))
        return wrong(call, "gat_one: the edges do not fit");
    if (given(v) != given(w) || given(v) != given(out))
        return wrong(call, "gat_one: v, w and out belong together");
    isize e = given(v) ? len(w, 1) : 0;
    if (given(v) &&
        (len(v, 2) != keys || len(v, 1) != len(w, 2) || len(w, 3) != heads ||
         (len(out, 1) != heads * e && len(out, 1) != e)))
        return wrong(call, "gat_one: v, w and out differ");
    if (given(&a[gat_one_b]) && (!given(out) || len(&a[gat_one_b], 1) != len(out, 1)))
        return wrong(call, "gat_one: the bias does not fit");
    Array none = {.kind = ABSENT};
    Limits limits = {&a[gat_one_mask], &none, 0, 0, 0};
    Batch batch;
    batch_start(&batch, weights, 2);
    if (!limits_batch(&limits, &batch, heads, keys))
        return wrong(call, "gat_one: the mask does not fit");
    isize dv = given(v) ? len(v, 1) : 0;
    real *bias = workspace_get((usize)(heads * (keys + dv) + e) * sizeof(real));
    if (!bias) return NO_MEMORY;
    real *average = bias + heads * keys;
    Few few = {.q = (const real *)by_key->data,
               .K = (const real *)k->data,
               .bias = bias,
               .ldq = step(by_key, 2),
               .ldk = step(k, 2),
               .ldw = step(weights, 2),
               .ldo = dv,
               .bias_query = keys,
               .bias_key = 1,
               .queries = heads,
               .keys = keys,
               .d = d,
               .e = dv,
               .scale = 1,
               .slope = (real)call->number[gat_one_slope],
               .mask = visible_now(&limits, &batch, keys).mask,
               .out = average,
               .weights = (real *)weights->data};
    if (given(v)) few.V = (const real *)v->data, few.ldv = step(v, 2);
    void *state = work_begin((double)heads * (double)keys * (double)(d + dv));
    real bad = fill_bias(a, heads, keys, bias) + attend_few(&few, 0);
    if (given(v)) bad += project(a, average, heads, average + heads * dv);
    work_end(state);
    workspace_free(bias);
    return finished(bad);
}
