/* Exact attention of many queries without the score matrix: tiles of keys, online softmax per query.
 * Dao, Fu, Ermon, Rudra, Ré: FlashAttention, arXiv:2205.14135, algorithm 1. */
#include "kernels.h"
#include "panel.h"
#include "rows.h"
#include "softmax.h"

enum {
    KEYS = 64,      /* keys per tile */
    PANELS = 8      /* panels that use a tile of K and V while it is in cache */
};

typedef struct {
    float *packed, *sums, *scores;
    isize sum_stride;
    float peak[PANELS * PANEL], total[PANELS * PANEL];
    int limits[PANELS][PANEL];
    isize high[PANELS];
} Group;

isize attend_many_workspace(isize d, isize e) { return PANELS * PANEL * (d + round_up(e, 4)) + KEYS * PANEL; }

/* One tile of keys against one panel: scores, softmax update, weighted sum. */
static f4 panel_step(const Attention *a, const Visible *visible, Group *g, isize p, isize query, isize first, isize keys,
                     f4 bad) {
    const float *t = exp_table();
    float *S = g->scores, *peak = g->peak + p * PANEL, *total = g->total + p * PANEL;
    panel_scores(a->K + first * a->ldk, a->ldk, keys, a->d, g->packed + p * PANEL * a->d, S, PANEL);
    f4 old0 = LOAD(peak), old1 = LOAD(peak + 4), top0 = old0, top1 = old1;
    for (isize k = 0; k < keys; k++) {
        f4 s0 = LOAD(S + k * PANEL), s1 = LOAD(S + k * PANEL + 4);
        bad = note_bad(note_bad(bad, s0), s1);
        top0 = vmax(top0, s0), top1 = vmax(top1, s1);
    }
    if (panel_mask(S, PANEL, keys, first, g->limits[p], &visible->mask, query, a->queries)) {
        top0 = old0, top1 = old1;
        for (isize k = 0; k < keys; k++) {
            top0 = vmax(top0, LOAD(S + k * PANEL));
            top1 = vmax(top1, LOAD(S + k * PANEL + 4));
        }
    }
    STORE(peak, top0), STORE(peak + 4, top1);
    f4 nothing = splat(MINUS_INFINITY);
    top0 = select((i4)(top0 == nothing), splat(0.f), top0);
    top1 = select((i4)(top1 == nothing), splat(0.f), top1);
    f4 shrink0 = exp_small(t, old0 - top0), shrink1 = exp_small(t, old1 - top1);
    f4 sum0 = LOAD(total) * shrink0, sum1 = LOAD(total + 4) * shrink1;
    for (isize k = 0; k < keys; k++) {
        f4 e[2] = {LOAD(S + k * PANEL) - top0, LOAD(S + k * PANEL + 4) - top1};
        exp_vectors(2, t, e);
        STORE(S + k * PANEL, e[0]), STORE(S + k * PANEL + 4, e[1]);
        sum0 += e[0], sum1 += e[1];
    }
    STORE(total, sum0), STORE(total + 4, sum1);
    float shrink[PANEL];
    STORE(shrink, shrink0), STORE(shrink + 4, shrink1);
    panel_sum(S, PANEL, keys, a->V + first * a->ldv, a->ldv, a->e, g->sums + p * PANEL * g->sum_stride, g->sum_stride, shrink);
    return bad;
}

/* Up to PANELS * PANEL queries from `query` on. */
static f4 attend_group(const Attention *a, const Visible *visible, Group *g, isize query, f4 bad) {
    isize count = min_size(PANELS * PANEL, a->queries - query), panels = (count + PANEL - 1) / PANEL, end = 0;
    for (isize p = 0; p < panels; p++) {
        isize at = query + p * PANEL;
        pack_panel(a->q + at * a->ldq, a->ldq, a->queries - at, a->d, a->scale, g->packed + p * PANEL * a->d);
        g->high[p] = panel_limits(visible, at, a->queries, g->limits[p]);
        end = max_size(end, g->high[p]);
    }
    fill(g->peak, panels * PANEL, MINUS_INFINITY);
    fill(g->total, panels * PANEL, 0.f);
    fill(g->sums, panels * PANEL * g->sum_stride, 0.f);
    for (isize first = 0; first < end; first += KEYS)
        for (isize p = 0; p < panels; p++)
            if (first < g->high[p])
                bad = panel_step(a, visible, g, p, query + p * PANEL, first, min_size(KEYS, end - first), bad);
    for (isize i = 0; i < count; i++) {
        float total = g->total[i], *row = g->sums + i * g->sum_stride, *out = a->out + (query + i) * a->ldo;
        scale_row(row, a->e, total == 0.f ? 0.f : 1.f / total);
        for (isize j = 0; j < a->e; j++) out[j] = row[j];
        bad = note_row(bad, out, a->e);
        if (a->stats) a->stats[(query + i) * a->lds] = g->peak[i], a->stats[(query + i) * a->lds + 1] = total;
    }
    return bad;
}

f4 attend_many(const Attention *a, const Visible *visible, float *workspace) {
    Group g;
    g.sum_stride = round_up(a->e, 4);
    g.packed = workspace;
    g.sums = g.packed + PANELS * PANEL * a->d;
    g.scores = g.sums + PANELS * PANEL * g.sum_stride;
    f4 bad = splat(0.f);
    for (isize query = 0; query < a->queries; query += PANELS * PANEL) bad = attend_group(a, visible, &g, query, bad);
    return bad;
}

static f4 attend_few(const Attention *a, const Visible *visible) {
    f4 bad = splat(0.f);
    for (isize i = 0; i < a->queries; i++) {
        Mask mask = visible->mask;
        if (mask.allowed) mask.allowed += i * mask.query_step;
        if (mask.added) mask.added += i * mask.query_step;
        bad += attend_one(a->q + i * a->ldq, a->K, a->ldk, a->V, a->ldv, visible_limit(visible, i), a->d, a->e, a->scale, mask,
                          a->out + i * a->ldo, a->stats ? a->stats + i * a->lds : 0);
    }
    return bad;
}

/* Keys that no query may see, and queries that may see no key, are still data. */
static f4 note_unseen(const Attention *a, const Visible *visible, f4 bad) {
    isize seen = 0;
    for (isize i = 0; i < a->queries; i++) {
        isize limit = visible_limit(visible, i);
        seen = max_size(seen, limit);
        if (limit == 0) bad = note_row(bad, a->q + i * a->ldq, a->d);
    }
    for (isize i = seen; i < a->keys; i++)
        bad = note_row(note_row(bad, a->K + i * a->ldk, a->d), a->V + i * a->ldv, a->e);
    return bad;
}

/* attend(q (..., M, D), k (..., N, D), v (..., N, E), out (..., M, E), stats (..., M, 2) or None, scale, mask, causal,
 * lengths) -> True if all data were finite, else False; or None. */
PyObject *kernel_attend(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 9) return wrong_count();
    int ok = 1;
    Attention a;
    a.scale = get_float(args[5], &ok);
    if (!ok) return 0;
    Array q, k, v, out, stats;
    VisibleArgs limits;
    int with_stats = !is_none(args[4]);
    if (!get_array(args[0], FLOAT32, 2, &q) || !get_array(args[1], FLOAT32, 2, &k) || !get_array(args[2], FLOAT32, 2, &v) ||
        !get_output(args[3], FLOAT32, 2, &out) || !disjoint(&q, &out) || !disjoint(&k, &out) || !disjoint(&v, &out) ||
        !get_visible(args[6], args[7], args[8], &limits) || !visible_disjoint(&limits, &out))
        return declined();
    if (with_stats && (!get_output(args[4], FLOAT32, 2, &stats) || !disjoint(&q, &stats) || !disjoint(&k, &stats) ||
                       !disjoint(&v, &stats) || !disjoint(&out, &stats) || !visible_disjoint(&limits, &stats)))
        return declined();
    a.queries = len(&q, 2), a.d = len(&q, 1), a.keys = len(&k, 2), a.e = len(&v, 1);
    if (len(&k, 1) != a.d) return wrong_value("attend: q and k differ in their last axis");
    if (len(&v, 2) != a.keys) return wrong_value("attend: k and v differ in the number of keys");
    if (len(&out, 2) != a.queries || len(&out, 1) != a.e) return wrong_value("attend: out has the wrong shape");
    Batch batch;
    batch_start(&batch, &out, 2);
    if (batch_add(&batch, &out, 2) < 0 || batch_add(&batch, &q, 2) < 0 || batch_add(&batch, &k, 2) < 0 ||
        batch_add(&batch, &v, 2) < 0 || !visible_batch(&limits, &batch, a.queries, a.keys))
        return wrong_value("attend: leading axes or mask do not broadcast");
    int stats_operand = 0;
    if (with_stats) {
        if (stats.ndim != out.ndim || len(&stats, 2) != a.queries || len(&stats, 1) != 2)
            return wrong_value("attend: stats has the wrong shape");
        for (int i = 0; i < batch.ndim; i++)
            if (stats.shape[i] != out.shape[i]) return wrong_value("attend: stats has the wrong shape");
        stats_operand = batch_add(&batch, &stats, 2);
        if (stats_operand < 0) return declined();
        a.lds = step(&stats, 2);
    }
    a.ldq = step(&q, 2), a.ldk = step(&k, 2), a.ldv = step(&v, 2), a.ldo = step(&out, 2);
    int few = a.queries <= FEW_QUERIES;
    Workspace workspace = {0, 0};
    if (!few && !workspace_get(&workspace, attend_many_workspace(a.d, a.e))) return 0;
    f4 bad = splat(0.f);
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        Visible visible = visible_now(&limits, &batch, a.keys);
        a.out = (float *)batch.at[0], a.q = (const float *)batch.at[1];
        a.K = (const float *)batch.at[2], a.V = (const float *)batch.at[3];
        a.stats = with_stats ? (float *)batch.at[stats_operand] : 0;
        bad += few ? attend_few(&a, &visible) : attend_many(&a, &visible, workspace.floats);
        if (visible.causal || visible.lengths) bad = note_unseen(&a, &visible, bad);
    }
    if (!few) workspace_free(&workspace);
    return boolean(!is_bad(bad));
}
