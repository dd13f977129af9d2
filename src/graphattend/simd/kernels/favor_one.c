/* Linear attention of one query, without an array of features. Choromanski et al., Rethinking
 * Attention with Performers, arXiv:2009.14794. */
#include "kernels.h"
#include "panel.h"
#include "rows.h"
#include "softmax.h"

/* The directions lie in panels. Where a vector is as wide as 16 of them, half a panel may suffice.
 */
enum { KEYS = 32, HALF = WIDE == 16, UNIT = HALF ? WIDE : PANEL, HALF_ROWS = 2 * TILE_ROWS };

typedef struct {
    const real *q, *K, *V, *W; /* V may be 0 */
    isize ldk, ldv, ldw, keys, d, e, m;
    real root, reach;
    real *out, *weights;
} One;

/* S[key][0..WIDE) = K[key] . the first half of a panel, for up to eight keys, whose sums hide the
 * latency. */
INL void half_panel(const int rows, const real *K, isize ldk, isize d, const real *panel, real *S,
                    isize lds) {
    vw c[HALF_ROWS][2];
    tile_zero(rows, 1, c);
    tile_add(rows, 1, d, K, ldk, 1, panel, PANEL, c);
    tile_store(rows, 1, S, lds, c);
}

/* S[key][direction] = K[key] . direction */
static void direction_products(const real *K, isize ldk, isize keys, isize d, const real *panels,
                               isize columns, real *S) {
    isize j = 0, i = 0;
    for (; j + PANEL <= columns; j += PANEL)
        panel_scores(K, ldk, keys, d, panels + j * d, S + j, columns);
    if (!HALF || j == columns) return;
    panels += j * d, S += j;
    for (; i + HALF_ROWS <= keys; i += HALF_ROWS)
        half_panel(HALF_ROWS, K + i * ldk, ldk, d, panels, S + i * columns, columns);
    for (; i < keys; i++) half_panel(1, K + i * ldk, ldk, d, panels, S + i * columns, columns);
}

static isize favor_one_workspace(const One *o) {
    return round_up(o->m, PANEL) * o->d + (KEYS + 1) * round_up(o->m, UNIT) +
        2 * (o->keys / KEYS + 1);
}

/* The weight of a key is the sum over the directions of exp(root w.(q + k) - root^2 |k|^2 / 2).
 * Each block of keys is relative to its largest exponent. Returns the test of finiteness; *near is
 * 0 if a vector is out of reach. */
static real favor_one(const One *o, real *workspace, int *near) {
    isize d = o->d, m = o->m, columns = round_up(m, UNIT), blocks = (o->keys + KEYS - 1) / KEYS;
    real *panels = workspace, *S = panels + round_up(m, PANEL) * d, *by_query = S + KEYS * columns,
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
        direction_products(K, o->ldk, n, d, panels, columns, S);
        vw top = splatw(MINUS_INFINITY);
        for (isize i = 0; i < n; i++) {
            const real *k = K + i * o->ldk;
            square = dot(k, k, d) * half;
            *near &= square <= o->reach;
            bad += square * 0;
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
        totals[b] = exp_blocks(S, S, round_up(n, 4) * columns, peaks[b]);
        for (isize i = 0; i < n; i++) {
            vw sum = LOADW(S + i * columns);
            for (isize j = WIDE; j < columns; j += WIDE) sum += LOADW(S + i * columns + j);
            o->weights[b * KEYS + i] = hsum(fold(sum));
        }
    }
    for (isize b = 0; b < blocks; b++)
        total += totals[b] * (peaks[b] = exp_scalar(peaks[b] - peak));
    for (isize i = 0; i < o->keys; i++) o->weights[i] *= peaks[i / KEYS] / total;
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
    real *workspace = workspace_get((usize)favor_one_workspace(&o) * sizeof(real));
    if (!workspace) return NO_MEMORY;
    int near;
    void *state = work_begin((double)o.keys * (double)(o.d * (o.m + 2)));
    real bad = favor_one(&o, workspace, &near);
    work_end(state);
    workspace_free(workspace);
    return near ? finished(bad) : DECLINED;
}
