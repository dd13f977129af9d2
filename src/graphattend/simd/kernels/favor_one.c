/* Linear attention of one query, without an array of features. Choromanski et al., Rethinking
 * Attention with Performers, arXiv:2009.14794. */
#include "kernels.h"
#include "mask.h"
#include "panel.h"
#include "rows.h"
#include "softmax.h"

enum { KEYS = 32 };

typedef struct {
    const real *q, *K, *V, *W; /* V may be 0 */
    isize ldk, ldv, ldw, keys, d, e, m;
    real root, reach;
    Mask mask;
    real *out, *weights;
} One;

/* The logarithm of the factor that the mask gives the weight of a key. */
static real factor(Mask mask, isize key) {
    if (mask.added) return mask.added[key * mask.key_step];
    return mask.allowed && !mask.allowed[key * mask.key_step] ? MINUS_INFINITY : 0;
}

static isize favor_one_workspace(const One *o) {
    return round_up(o->m, PANEL) * o->d + (KEYS + 1) * round_up(o->m, PANEL) +
        2 * (o->keys / KEYS + 1);
}

/* The weight of a key is the sum over the directions of exp(root w.(q + k) - root^2 |k|^2 / 2 +
 * mask). Each block of keys is relative to its largest exponent. Returns the test of finiteness,
 * also of hidden keys; *near is 0 if a vector is out of reach. */
static real favor_one(const One *o, real *workspace, int *near) {
    isize d = o->d, m = o->m, columns = round_up(m, PANEL), blocks = (o->keys + KEYS - 1) / KEYS;
    real *panels = workspace, *S = panels + columns * d, *by_query = S + KEYS * columns,
         *peaks = by_query + columns, *totals = peaks + blocks;
    for (isize j = 0; j < m; j += PANEL)
        pack_panel(o->W + j * o->ldw, o->ldw, min_size(PANEL, m - j), d, o->root, panels + j * d);
    row_dots(o->W, o->ldw, m, o->q, d, by_query);
    for (isize j = 0; j < columns; j++)
        by_query[j] = j < m ? by_query[j] * o->root : MINUS_INFINITY;
    real square, half = (real)0.5 * o->root * o->root, peak = MINUS_INFINITY, total = 0, bad = 0;
    row_dots(o->q, d, 1, o->q, d, &square);
    *near = square * half <= o->reach;
    for (isize b = 0; b < blocks; b++) {
        isize n = min_size(KEYS, o->keys - b * KEYS);
        const real *K = o->K + b * KEYS * o->ldk;
        for (isize j = 0; j < columns; j += PANEL)
            panel_scores(K, o->ldk, n, d, panels + j * d, S + j, columns);
        vw top = splatw(MINUS_INFINITY);
        for (isize i = 0; i < n; i++) {
            const real *k = K + i * o->ldk;
            square = dot(k, k, d) * half;
            *near &= square <= o->reach;
            bad += square * 0;
            square -= factor(o->mask, b * KEYS + i);
            for (isize j = 0; j < columns; j += WIDE) {
                real *s = S + i * columns + j;
                vw exponent = LOADW(s) + (LOADW(by_query + j) - splatw(square));
                STOREW(s, exponent);
                top = vmaxw(top, exponent);
            }
        }
        vec few = narrow_max(top);
        peaks[b] = few[0];
        for (int j = 1; j < LANES; j++)
            if (few[j] > peaks[b]) peaks[b] = few[j];
        if (peaks[b] > peak) peak = peaks[b];
        fill(S + n * columns, (round_up(n, 4) - n) * columns, MINUS_INFINITY);
        totals[b] = exp_blocks(S, S, round_up(n, 4) * columns, safe_peak(peaks[b]));
        for (isize i = 0; i < n; i++) {
            vw sum = LOADW(S + i * columns);
            for (isize j = WIDE; j < columns; j += WIDE) sum += LOADW(S + i * columns + j);
            o->weights[b * KEYS + i] = hsum(fold(sum));
        }
    }
    for (isize b = 0; b < blocks; b++)
        total += totals[b] * (peaks[b] = exp_scalar(peaks[b] - safe_peak(peak)));
    real inverse = total == 0 ? 0 : 1 / total; /* 0 if the mask hides every key */
    for (isize i = 0; i < o->keys; i++) o->weights[i] *= peaks[i / KEYS] * inverse;
    bad += total * 0;
    if (!o->V) return bad;
    fill(o->out, o->e, 0);
    add_weighted(o->V, o->ldv, o->keys, o->weights, o->e, o->out);
    for (isize j = 0; j < o->e; j++) bad += o->out[j] * 0;
    return bad;
}

Status KERNEL(favor_one)(Call *call) {
    const Array *q = &call->array[favor_one_q], *k = &call->array[favor_one_k],
                *v = &call->array[favor_one_v], *w = &call->array[favor_one_w],
                *out = &call->array[favor_one_out], *weights = &call->array[favor_one_weights];
    One o = {.q = (const real *)q->data,
             .K = (const real *)k->data,
             .W = (const real *)w->data,
             .ldk = step(k, 2),
             .ldw = step(w, 2),
             .keys = len(k, 2),
             .d = len(k, 1),
             .m = len(w, 2),
             .root = (real)call->number[favor_one_root],
             .reach = (real)call->number[favor_one_reach],
             .weights = (real *)weights->data};
    if (len(q, 1) != o.d || len(w, 1) != o.d || len(weights, 1) != o.keys)
        return wrong(call, "favor_one: q, k, w and weights differ");
    if (given(v) != given(out) || (given(v) && (len(v, 2) != o.keys || len(out, 1) != len(v, 1))))
        return wrong(call, "favor_one: k, v and out differ");
    if (given(v))
        o.V = (const real *)v->data, o.ldv = step(v, 2), o.e = len(v, 1), o.out = (real *)out->data;
    Array none = {.kind = ABSENT};
    Limits limits = {&call->array[favor_one_mask], &none, 0, 0, 0};
    Batch batch;
    batch_start(&batch, q, 1);
    if (!limits_batch(&limits, &batch, 1, o.keys))
        return wrong(call, "favor_one: the mask does not fit");
    o.mask = visible_now(&limits, &batch, o.keys).mask;
    real *workspace = workspace_get((usize)favor_one_workspace(&o) * sizeof(real));
    if (!workspace) return NO_MEMORY;
    int near;
    void *state = work_begin((double)o.keys * (double)(o.d * (o.m + 2)));
    real bad = favor_one(&o, workspace, &near);
    work_end(state);
    workspace_free(workspace);
    return near ? finished(bad) : DECLINED;
}
