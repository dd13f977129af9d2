/* Exact attention of many queries without the score matrix: tiles of keys, online softmax per
 * query. Dao, Fu, Ermon, Rudra, Ré: FlashAttention, arXiv:2205.14135, algorithm 1. */
#include "kernels.h"
#include "panel.h"
#include "rows.h"
#include "softmax.h"

enum {
    KEYS = 64, /* keys per tile */
    PANELS = 8 /* panels that use a tile of K and V while it is in cache */
};

typedef struct {
    real *packed, *sums, *scores;
    isize sum_stride;
    real peak[PANELS * PANEL], total[PANELS * PANEL];
    whole limits[PANELS][PANEL];
    isize high[PANELS];
} Group;

isize attend_many_workspace(isize d, isize e) {
    return PANELS * PANEL * (d + round_up(e, 4)) + KEYS * PANEL;
}

/* One tile of keys against one panel: scores, softmax update, weighted sum. */
static real panel_step(const Attention *a, const Visible *visible, Group *g, isize p, isize query,
                       isize first, isize keys) {
    const real *t = exp_table();
    real *S = g->scores, *peak = g->peak + p * PANEL, *total = g->total + p * PANEL;
    panel_scores(a->K + first * a->ldk, a->ldk, keys, a->d, g->packed + p * PANEL * a->d, S, PANEL);
    vw old0 = LOADW(peak), old1 = LOADW(peak + WIDE), top0 = old0, top1 = old1, seen = splatw(0);
    for (isize k = 0; k < keys; k++) {
        vw s0 = LOADW(S + k * PANEL), s1 = LOADW(S + k * PANEL + WIDE);
        seen = note_badw(note_badw(seen, s0), s1);
        top0 = vmaxw(top0, s0), top1 = vmaxw(top1, s1);
    }
    if (panel_mask(S, PANEL, keys, first, g->limits[p], &visible->mask, query, a->queries)) {
        top0 = old0, top1 = old1;
        for (isize k = 0; k < keys; k++) {
            top0 = vmaxw(top0, LOADW(S + k * PANEL));
            top1 = vmaxw(top1, LOADW(S + k * PANEL + WIDE));
        }
    }
    STOREW(peak, top0), STOREW(peak + WIDE, top1);
    vw nothing = splatw(MINUS_INFINITY);
    top0 = selectw((mw)(top0 == nothing), splatw(0), top0);
    top1 = selectw((mw)(top1 == nothing), splatw(0), top1);
    vw shrunk[2] = {old0 - top0, old1 - top1};
    exp_wides(2, t, shrunk);
    vw sum0 = LOADW(total) * shrunk[0], sum1 = LOADW(total + WIDE) * shrunk[1];
    for (isize k = 0; k < keys; k++) {
        vw e[2] = {LOADW(S + k * PANEL) - top0, LOADW(S + k * PANEL + WIDE) - top1};
        exp_wides(2, t, e);
        STOREW(S + k * PANEL, e[0]), STOREW(S + k * PANEL + WIDE, e[1]);
        sum0 += e[0], sum1 += e[1];
    }
    STOREW(total, sum0), STOREW(total + WIDE, sum1);
    real shrink[PANEL];
    STOREW(shrink, shrunk[0]), STOREW(shrink + WIDE, shrunk[1]);
    panel_sum(S, PANEL, keys, a->V + first * a->ldv, a->ldv, a->e,
              g->sums + p * PANEL * g->sum_stride, g->sum_stride, shrink);
    return hsum(fold(seen));
}

/* Up to PANELS * PANEL queries from `query` on. */
static real attend_group(const Attention *a, const Visible *visible, Group *g, isize query) {
    real bad = 0;
    isize count = min_size(PANELS * PANEL, a->queries - query),
          panels = (count + PANEL - 1) / PANEL, end = 0;
    for (isize p = 0; p < panels; p++) {
        isize at = query + p * PANEL;
        pack_panel(a->q + at * a->ldq, a->ldq, a->queries - at, a->d, a->scale,
                   g->packed + p * PANEL * a->d);
        g->high[p] = panel_limits(visible, at, a->queries, g->limits[p]);
        end = max_size(end, g->high[p]);
    }
    fill(g->peak, panels * PANEL, MINUS_INFINITY);
    fill(g->total, panels * PANEL, 0);
    fill(g->sums, panels * PANEL * g->sum_stride, 0);
    for (isize first = 0; first < end; first += KEYS)
        for (isize p = 0; p < panels; p++)
            if (first < g->high[p])
                bad += panel_step(a, visible, g, p, query + p * PANEL, first,
                                  min_size(KEYS, end - first));
    for (isize i = 0; i < count; i++) {
        real total = g->total[i], *row = g->sums + i * g->sum_stride,
             *out = a->out + (query + i) * a->ldo;
        scale_row(row, a->e, total == 0 ? 0 : 1 / total);
        copy_row(row, a->e, out);
        bad += note_row(out, a->e);
        if (a->stats)
            a->stats[(query + i) * a->lds] = g->peak[i], a->stats[(query + i) * a->lds + 1] = total;
    }
    return bad;
}

real attend_many(const Attention *a, const Visible *visible, real *workspace) {
    Group g;
    g.sum_stride = round_up(a->e, 4);
    g.packed = workspace;
    g.sums = g.packed + PANELS * PANEL * a->d;
    g.scores = g.sums + PANELS * PANEL * g.sum_stride;
    real bad = 0;
    for (isize query = 0; query < a->queries; query += PANELS * PANEL)
        bad += attend_group(a, visible, &g, query);
    return bad;
}

static real attend_few(const Attention *a, const Visible *visible) {
    real bad = 0;
    for (isize i = 0; i < a->queries; i++) {
        Mask mask = visible->mask;
        if (mask.allowed) mask.allowed += i * mask.query_step;
        if (mask.added) mask.added += i * mask.query_step;
        bad += attend_one(a->q + i * a->ldq, a->K, a->ldk, a->V, a->ldv, visible_limit(visible, i),
                          a->d, a->e, a->scale, mask, a->out + i * a->ldo,
                          a->stats ? a->stats + i * a->lds : 0);
    }
    return bad;
}

/* Keys that no query may see, and queries that may see no key, are still data. */
static real note_unseen(const Attention *a, const Visible *visible) {
    real bad = 0;
    isize seen = 0;
    for (isize i = 0; i < a->queries; i++) {
        isize limit = visible_limit(visible, i);
        seen = max_size(seen, limit);
        if (limit == 0) bad += note_row(a->q + i * a->ldq, a->d);
    }
    for (isize i = seen; i < a->keys; i++)
        bad += note_row(a->K + i * a->ldk, a->d) + note_row(a->V + i * a->ldv, a->e);
    return bad;
}

Status KERNEL(attend)(Call *call) {
    const Array *q = &call->array[attend_q], *k = &call->array[attend_k],
                *v = &call->array[attend_v];
    const Array *out = &call->array[attend_out], *stats = &call->array[attend_stats];
    Limits limits = {.mask = &call->array[attend_mask],
                     .lengths = &call->array[attend_lengths],
                     .causal = call->number[attend_causal] != 0.0};
    Attention a = {.queries = len(q, 2),
                   .d = len(q, 1),
                   .keys = len(k, 2),
                   .e = len(v, 1),
                   .scale = (real)call->number[attend_scale],
                   .ldq = step(q, 2),
                   .ldk = step(k, 2),
                   .ldv = step(v, 2),
                   .ldo = step(out, 2)};
    if (len(k, 1) != a.d) return wrong(call, "attend: q and k differ in their last axis");
    if (len(v, 2) != a.keys) return wrong(call, "attend: k and v differ in the number of keys");
    if (len(out, 2) != a.queries || len(out, 1) != a.e)
        return wrong(call, "attend: out has the wrong shape");
    Batch batch;
    batch_start(&batch, out, 2);
    if (batch_add(&batch, out, 2) < 0 || batch_add(&batch, q, 2) < 0 ||
        batch_add(&batch, k, 2) < 0 || batch_add(&batch, v, 2) < 0 ||
        !limits_batch(&limits, &batch, a.queries, a.keys))
        return wrong(call, "attend: leading axes or mask do not broadcast");
    int stats_operand = 0;
    if (given(stats)) {
        if (len(stats, 2) != a.queries || len(stats, 1) != 2 || !same_batch(stats, out))
            return wrong(call, "attend: stats has the wrong shape");
        stats_operand = batch_add(&batch, stats, 2);
        a.lds = step(stats, 2);
    }
    int few = a.queries <= FEW_QUERIES;
    real *workspace = 0;
    if (!few) {
        workspace = workspace_get((usize)attend_many_workspace(a.d, a.e) * sizeof(real));
        if (!workspace) return NO_MEMORY;
    }
    real bad = 0;
    void *state =
        work_begin((double)batch.count * (double)a.queries * (double)a.keys * (double)(a.d + a.e));
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        Visible visible = visible_now(&limits, &batch, a.keys);
        a.out = (real *)batch.at[0], a.q = (const real *)batch.at[1];
        a.K = (const real *)batch.at[2], a.V = (const real *)batch.at[3];
        a.stats = given(stats) ? (real *)batch.at[stats_operand] : 0;
        bad += few ? attend_few(&a, &visible) : attend_many(&a, &visible, workspace);
        if (visible.causal || visible.lengths) bad += note_unseen(&a, &visible);
    }
    work_end(state);
    workspace_free(workspace);
    return finished(bad);
}
