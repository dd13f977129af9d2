/* Gradients of exact attention, recomputing the weights tile by tile from the saved maximum and sum
 * of each row. A log-sum-exp would not suffice: with a large maximum it has no digits left for the
 * sum. Dao, Fu, Ermon, Rudra, Ré: FlashAttention, arXiv:2205.14135, algorithm 4. */
#include "kernels.h"
#include "panel.h"
#include "rows.h"
#include "softmax.h"

/* Weights and score gradients of a group, KEYS x GROUP each, share the first-level cache with the
 * other factors of their products. */
enum {
    KEYS = 256 / sizeof(real),
    PANELS = 256 / (int)sizeof(real) / PANEL,
    GROUP = PANELS * PANEL
};

typedef struct {
    const real *q, *K, *V, *out, *stats, *grad;
    isize ldq, ldk, ldv, ldo, lds, ldg, queries, keys, d, e;
    real scale;
    real *dq, *dk, *dv;
    isize lddq, lddk, lddv;
} Backward;

typedef struct {
    real *q_packed, *grad_packed; /* panels */
    real *weights, *dscores;      /* [key][query of the group] */
    real *dq;                     /* [query of the group][dq_stride] */
    isize dq_stride;
    real peak[GROUP], inverse[GROUP], delta[GROUP]; /* of the scores; 1 / sum; out . grad */
    whole limits[PANELS][PANEL];
    isize high[PANELS];
} Group;

static isize workspace_size(isize d, isize e) {
    return GROUP * (d + e + round_up(d, 4)) + 2 * KEYS * GROUP;
}

static const real ONES[PANEL] = {[0 ... PANEL - 1] = 1};

/* Weights and score gradients of one panel against one tile of keys. */
static void panel_gradient(const Backward *a, const Visible *visible, Group *g, isize p,
                           isize query, isize first, isize keys) {
    const real *t = exp_table();
    real *P = g->weights + p * PANEL, *dS = g->dscores + p * PANEL;
    panel_scores(a->K + first * a->ldk, a->ldk, keys, a->d, g->q_packed + p * PANEL * a->d, P,
                 GROUP);
    panel_mask(P, GROUP, keys, first, g->limits[p], &visible->mask, query, a->queries);
    panel_scores(a->V + first * a->ldv, a->ldv, keys, a->e, g->grad_packed + p * PANEL * a->e, dS,
                 GROUP);
    vw peak0 = LOADW(g->peak + p * PANEL), peak1 = LOADW(g->peak + p * PANEL + WIDE);
    vw inverse0 = LOADW(g->inverse + p * PANEL), inverse1 = LOADW(g->inverse + p * PANEL + WIDE);
    vw delta0 = LOADW(g->delta + p * PANEL), delta1 = LOADW(g->delta + p * PANEL + WIDE),
       scale = splatw(a->scale);
    for (isize k = 0; k < keys; k++) {
        real *w = P + k * GROUP, *s = dS + k * GROUP;
        vw e[2] = {LOADW(w) - peak0, LOADW(w + WIDE) - peak1};
        exp_wides(2, t, e);
        e[0] *= inverse0, e[1] *= inverse1;
        STOREW(w, e[0]), STOREW(w + WIDE, e[1]);
        STOREW(s, e[0] * scale * (LOADW(s) - delta0)),
            STOREW(s + WIDE, e[1] * scale * (LOADW(s + WIDE) - delta1));
    }
}

/* out[key][j] += sum_query P[key][query] X[query][j] */
INL void key_sum_tile(const int rows, const int vectors, const real *P, isize queries,
                      const real *X, isize ldx, real *out, isize ldo) {
    vw c[TILE_ROWS][2];
    tile_load(rows, vectors, out, ldo, c);
    tile_add(rows, vectors, queries, P, GROUP, 1, X, ldx, c);
    tile_store(rows, vectors, out, ldo, c);
}

INL void key_sum_rows(const int rows, const real *P, isize queries, const real *X, isize ldx,
                      isize d, real *out, isize ldo) {
    isize j = 0;
    for (; j + 2 * WIDE <= d; j += 2 * WIDE)
        key_sum_tile(rows, 2, P, queries, X + j, ldx, out + j, ldo);
    for (; j + WIDE <= d; j += WIDE) key_sum_tile(rows, 1, P, queries, X + j, ldx, out + j, ldo);
    for (; j < d; j++)
        for (int i = 0; i < rows; i++)
            for (isize q = 0; q < queries; q++)
                out[i * ldo + j] += P[i * GROUP + q] * X[q * ldx + j];
}

NOINLINE void key_sum(const real *P, isize keys, isize queries, const real *X, isize ldx, isize d,
                      real *out, isize ldo) {
    isize i = 0;
    for (; i + 4 <= keys; i += 4)
        key_sum_rows(4, P + i * GROUP, queries, X, ldx, d, out + i * ldo, ldo);
    for (; i < keys; i++) key_sum_rows(1, P + i * GROUP, queries, X, ldx, d, out + i * ldo, ldo);
}

/* a . b, summed in the order of panel_scores. The gradient of a score with weight 1 is then exactly
 * 0. */
static real dot_in_order(const real *a, const real *b, isize n) {
    vw total = splatw(0);
    for (isize j = 0; j < n; j++) total = maddw(splatw(a[j]), splatw(b[j]), total);
    return total[0];
}

static isize prepare_group(const Backward *a, const Visible *visible, Group *g, isize query,
                           isize count) {
    isize end = 0;
    for (isize p = 0; p * PANEL < count; p++) {
        isize at = query + p * PANEL;
        pack_panel(a->q + at * a->ldq, a->ldq, a->queries - at, a->d, a->scale,
                   g->q_packed + p * PANEL * a->d);
        pack_panel(a->grad + at * a->ldg, a->ldg, a->queries - at, a->e, 1,
                   g->grad_packed + p * PANEL * a->e);
        g->high[p] = panel_limits(visible, at, a->queries, g->limits[p]);
        end = max_size(end, g->high[p]);
    }
    for (isize i = 0; i < GROUP; i++) {
        g->peak[i] = g->inverse[i] = g->delta[i] = 0;
        if (i >= count) continue;
        const real *stats = a->stats + (query + i) * a->lds;
        const real *grad = a->grad + (query + i) * a->ldg, *out = a->out + (query + i) * a->ldo;
        g->delta[i] = dot_in_order(out, grad, a->e);
        if (stats[1] != 0)
            g->peak[i] = stats[0], g->inverse[i] = 1 / stats[1]; /* otherwise nothing was visible */
    }
    fill(g->dq, GROUP * g->dq_stride, 0);
    return end;
}

static void group_gradient(const Backward *a, const Visible *visible, Group *g, isize query) {
    isize count = min_size(GROUP, a->queries - query), panels = (count + PANEL - 1) / PANEL;
    isize end = prepare_group(a, visible, g, query, count);
    for (isize first = 0; first < end; first += KEYS) {
        isize keys = min_size(KEYS, end - first);
        for (isize p = 0; p < panels; p++) {
            if (first >= g->high[p]) {
                for (isize k = 0; k < keys; k++)
                    fill(g->weights + k * GROUP + p * PANEL, PANEL, 0),
                        fill(g->dscores + k * GROUP + p * PANEL, PANEL, 0);
                continue;
            }
            panel_gradient(a, visible, g, p, query + p * PANEL, first, keys);
            panel_sum(g->dscores + p * PANEL, GROUP, keys, a->K + first * a->ldk, a->ldk, a->d,
                      g->dq + p * PANEL * g->dq_stride, g->dq_stride, ONES);
        }
        key_sum(g->dscores, keys, count, a->q + query * a->ldq, a->ldq, a->d,
                a->dk + first * a->lddk, a->lddk);
        key_sum(g->weights, keys, count, a->grad + query * a->ldg, a->ldg, a->e,
                a->dv + first * a->lddv, a->lddv);
    }
    for (isize i = 0; i < count; i++)
        for (isize j = 0; j < a->d; j++)
            a->dq[(query + i) * a->lddq + j] = g->dq[i * g->dq_stride + j];
}

static void backward(const Backward *a, const Visible *visible, real *workspace) {
    Group g;
    g.dq_stride = round_up(a->d, 4);
    g.q_packed = workspace;
    g.grad_packed = g.q_packed + GROUP * a->d;
    g.dq = g.grad_packed + GROUP * a->e;
    g.weights = g.dq + GROUP * g.dq_stride;
    g.dscores = g.weights + KEYS * GROUP;
    for (isize i = 0; i < a->keys; i++)
        fill(a->dk + i * a->lddk, a->d, 0), fill(a->dv + i * a->lddv, a->e, 0);
    for (isize query = 0; query < a->queries; query += GROUP) group_gradient(a, visible, &g, query);
}

/* Recomputes the output and the statistics from scores that are rounded as in the panels above.
 * Single queries round differently, and with a large maximum their weights would not sum to 1. */
static void repeat_few(Backward *a, const Visible *visible, real *workspace) {
    real *out = workspace, *stats = out + FEW_QUERIES * a->e;
    Attention again = {.q = a->q,
                       .K = a->K,
                       .V = a->V,
                       .ldq = a->ldq,
                       .ldk = a->ldk,
                       .ldv = a->ldv,
                       .ldo = a->e,
                       .lds = 2,
                       .queries = a->queries,
                       .keys = a->keys,
                       .d = a->d,
                       .e = a->e,
                       .scale = a->scale,
                       .out = out,
                       .stats = stats};
    attend_many(&again, visible, stats + FEW_QUERIES * 2);
    a->out = out, a->ldo = a->e, a->stats = stats, a->lds = 2;
}

static int same_shape(const Array *a, const Array *lead, isize rows, isize columns) {
    return len(a, 2) == rows && len(a, 1) == columns && same_batch(a, lead);
}

enum { ARRAYS = attend_vjp_dv + 1 };

Status KERNEL(attend_vjp)(Call *call) {
    const Array *q = &call->array[attend_vjp_q], *k = &call->array[attend_vjp_k],
                *v = &call->array[attend_vjp_v];
    const Array *out = &call->array[attend_vjp_out], *stats = &call->array[attend_vjp_stats],
                *grad = &call->array[attend_vjp_grad];
    const Array *dq = &call->array[attend_vjp_dq], *dk = &call->array[attend_vjp_dk],
                *dv = &call->array[attend_vjp_dv];
    Limits limits = {.mask = &call->array[attend_vjp_mask],
                     .lengths = &call->array[attend_vjp_lengths],
                     .causal = call->number[attend_vjp_causal] != 0.0};
    Backward a = {.queries = len(q, 2),
                  .d = len(q, 1),
                  .keys = len(k, 2),
                  .e = len(v, 1),
                  .scale = (real)call->number[attend_vjp_scale],
                  .ldq = step(q, 2),
                  .ldk = step(k, 2),
                  .ldv = step(v, 2),
                  .ldo = step(out, 2),
                  .lds = step(stats, 2),
                  .ldg = step(grad, 2),
                  .lddq = step(dq, 2),
                  .lddk = step(dk, 2),
                  .lddv = step(dv, 2)};
    if (len(k, 1) != a.d || len(v, 2) != a.keys || len(stats, 2) != a.queries ||
        len(stats, 1) != 2 || len(out, 2) != a.queries || len(out, 1) != a.e ||
        len(grad, 2) != a.queries || len(grad, 1) != a.e || !same_shape(dq, dq, a.queries, a.d) ||
        !same_shape(dk, dq, a.keys, a.d) || !same_shape(dv, dq, a.keys, a.e))
        return wrong(call, "attend_vjp: shapes differ");
    Batch batch;
    batch_start(&batch, dq, 2);
    for (int i = 0; i < ARRAYS; i++)
        if (batch_add(&batch, &call->array[i], 2) != i)
            return wrong(call, "attend_vjp: leading axes do not broadcast");
    if (!limits_batch(&limits, &batch, a.queries, a.keys))
        return wrong(call, "attend_vjp: mask does not broadcast");
    int few = a.queries <= FEW_QUERIES;
    isize size = workspace_size(a.d, a.e),
          more = few ? FEW_QUERIES * (a.e + 2) + attend_many_workspace(a.d, a.e) : 0;
    real *workspace = workspace_get((usize)(size + more) * sizeof(real));
    if (!workspace) return NO_MEMORY;
    void *state =
        work_begin((double)batch.count * (double)a.queries * (double)a.keys * (double)(a.d + a.e));
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        Visible visible = visible_now(&limits, &batch, a.keys);
        char **at = batch.at;
        a.q = (const real *)at[attend_vjp_q], a.K = (const real *)at[attend_vjp_k],
        a.V = (const real *)at[attend_vjp_v];
        a.out = (const real *)at[attend_vjp_out], a.stats = (const real *)at[attend_vjp_stats];
        a.grad = (const real *)at[attend_vjp_grad];
        a.dq = (real *)at[attend_vjp_dq], a.dk = (real *)at[attend_vjp_dk],
        a.dv = (real *)at[attend_vjp_dv];
        if (few) repeat_few(&a, &visible, workspace + size);
        backward(&a, &visible, workspace);
    }
    work_end(state);
    workspace_free(workspace);
    return DONE;
}
