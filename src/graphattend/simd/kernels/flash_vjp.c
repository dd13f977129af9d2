/* Gradients of exact attention, recomputing the weights tile by tile from the saved maximum and sum of each row. Their
 * log-sum-exp would not do: beside a large maximum it has no digits left for the sum.
 * Dao, Fu, Ermon, Rudra, Ré: FlashAttention, arXiv:2205.14135, algorithm 4. */
#include "kernels.h"
#include "panel.h"
#include "rows.h"
#include "softmax.h"

enum { KEYS = 64, PANELS = 8, GROUP = PANELS * PANEL };

typedef struct {
    const float *q, *K, *V, *out, *stats, *grad;
    isize ldq, ldk, ldv, ldo, lds, ldg, queries, keys, d, e;
    float scale;
    float *dq, *dk, *dv;
    isize lddq, lddk, lddv;
} Backward;

typedef struct {
    float *q_packed, *grad_packed; /* panels */
    float *weights, *dscores;      /* [key][query of the group] */
    float *dq;                     /* [query of the group][dq_stride] */
    isize dq_stride;
    float peak[GROUP], inverse[GROUP], delta[GROUP]; /* of the scores; 1 / sum; out . grad */
    int limits[PANELS][PANEL];
    isize high[PANELS];
} Group;

static isize workspace_size(isize d, isize e) { return GROUP * (d + e + round_up(d, 4)) + 2 * KEYS * GROUP; }

static const float ONES[PANEL] = {1.f, 1.f, 1.f, 1.f, 1.f, 1.f, 1.f, 1.f};

/* Weights and score gradients of one panel against one tile of keys. */
static void panel_gradient(const Backward *a, const Visible *visible, Group *g, isize p, isize query, isize first, isize keys) {
    const float *t = exp_table();
    float *P = g->weights + p * PANEL, *dS = g->dscores + p * PANEL;
    panel_scores(a->K + first * a->ldk, a->ldk, keys, a->d, g->q_packed + p * PANEL * a->d, P, GROUP);
    panel_mask(P, GROUP, keys, first, g->limits[p], &visible->mask, query, a->queries);
    panel_scores(a->V + first * a->ldv, a->ldv, keys, a->e, g->grad_packed + p * PANEL * a->e, dS, GROUP);
    f4 peak0 = LOAD(g->peak + p * PANEL), peak1 = LOAD(g->peak + p * PANEL + 4);
    f4 inverse0 = LOAD(g->inverse + p * PANEL), inverse1 = LOAD(g->inverse + p * PANEL + 4);
    f4 delta0 = LOAD(g->delta + p * PANEL), delta1 = LOAD(g->delta + p * PANEL + 4), scale = splat(a->scale);
    for (isize k = 0; k < keys; k++) {
        float *w = P + k * GROUP, *s = dS + k * GROUP;
        f4 e[2] = {LOAD(w) - peak0, LOAD(w + 4) - peak1};
        exp_vectors(2, t, e);
        e[0] *= inverse0, e[1] *= inverse1;
        STORE(w, e[0]), STORE(w + 4, e[1]);
        STORE(s, e[0] * scale * (LOAD(s) - delta0)), STORE(s + 4, e[1] * scale * (LOAD(s + 4) - delta1));
    }
}

/* out[key][j] += sum_query P[key][query] X[query][j] */
INL void key_sum_tile(const int rows, const int vectors, const float *P, isize queries, const float *X, isize ldx, float *out,
                      isize ldo) {
    f4 c[TILE_ROWS][2];
    tile_load(rows, vectors, out, ldo, c);
    tile_add(rows, vectors, queries, P, GROUP, 1, X, ldx, c);
    tile_store(rows, vectors, out, ldo, c);
}

INL void key_sum_rows(const int rows, const float *P, isize queries, const float *X, isize ldx, isize d, float *out, isize ldo) {
    isize j = 0;
    for (; j + 8 <= d; j += 8) key_sum_tile(rows, 2, P, queries, X + j, ldx, out + j, ldo);
    for (; j + 4 <= d; j += 4) key_sum_tile(rows, 1, P, queries, X + j, ldx, out + j, ldo);
    for (; j < d; j++)
        for (int i = 0; i < rows; i++)
            for (isize q = 0; q < queries; q++) out[i * ldo + j] += P[i * GROUP + q] * X[q * ldx + j];
}

NOINLINE void key_sum(const float *P, isize keys, isize queries, const float *X, isize ldx, isize d, float *out, isize ldo) {
    isize i = 0;
    for (; i + 4 <= keys; i += 4) key_sum_rows(4, P + i * GROUP, queries, X, ldx, d, out + i * ldo, ldo);
    for (; i < keys; i++) key_sum_rows(1, P + i * GROUP, queries, X, ldx, d, out + i * ldo, ldo);
}

static isize prepare_group(const Backward *a, const Visible *visible, Group *g, isize query, isize count) {
    isize end = 0;
    for (isize p = 0; p * PANEL < count; p++) {
        isize at = query + p * PANEL;
        pack_panel(a->q + at * a->ldq, a->ldq, a->queries - at, a->d, a->scale, g->q_packed + p * PANEL * a->d);
        pack_panel(a->grad + at * a->ldg, a->ldg, a->queries - at, a->e, 1.f, g->grad_packed + p * PANEL * a->e);
        g->high[p] = panel_limits(visible, at, a->queries, g->limits[p]);
        end = max_size(end, g->high[p]);
    }
    for (isize i = 0; i < GROUP; i++) {
        g->peak[i] = g->inverse[i] = g->delta[i] = 0.f;
        if (i >= count) continue;
        const float *stats = a->stats + (query + i) * a->lds;
        const float *grad = a->grad + (query + i) * a->ldg, *out = a->out + (query + i) * a->ldo;
        g->delta[i] = dot(out, grad, a->e);
        if (stats[1] != 0.f) g->peak[i] = stats[0], g->inverse[i] = 1.f / stats[1]; /* otherwise nothing was visible */
    }
    fill(g->dq, GROUP * g->dq_stride, 0.f);
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
                    fill(g->weights + k * GROUP + p * PANEL, PANEL, 0.f), fill(g->dscores + k * GROUP + p * PANEL, PANEL, 0.f);
                continue;
            }
            panel_gradient(a, visible, g, p, query + p * PANEL, first, keys);
            panel_sum(g->dscores + p * PANEL, GROUP, keys, a->K + first * a->ldk, a->ldk, a->d,
                      g->dq + p * PANEL * g->dq_stride, g->dq_stride, ONES);
        }
        key_sum(g->dscores, keys, count, a->q + query * a->ldq, a->ldq, a->d, a->dk + first * a->lddk, a->lddk);
        key_sum(g->weights, keys, count, a->grad + query * a->ldg, a->ldg, a->e, a->dv + first * a->lddv, a->lddv);
    }
    for (isize i = 0; i < count; i++)
        for (isize j = 0; j < a->d; j++) a->dq[(query + i) * a->lddq + j] = g->dq[i * g->dq_stride + j];
}

static void backward(const Backward *a, const Visible *visible, float *workspace) {
    Group g;
    g.dq_stride = round_up(a->d, 4);
    g.q_packed = workspace;
    g.grad_packed = g.q_packed + GROUP * a->d;
    g.dq = g.grad_packed + GROUP * a->e;
    g.weights = g.dq + GROUP * g.dq_stride;
    g.dscores = g.weights + KEYS * GROUP;
    for (isize i = 0; i < a->keys; i++) fill(a->dk + i * a->lddk, a->d, 0.f), fill(a->dv + i * a->lddv, a->e, 0.f);
    for (isize query = 0; query < a->queries; query += GROUP) group_gradient(a, visible, &g, query);
}

/* The output and the statistics anew, from scores rounded as the panels above round them: one query at a time they round
 * otherwise, and beside a large maximum the weights would no longer add up to 1. */
static void repeat_few(Backward *a, const Visible *visible, float *workspace) {
    float *out = workspace, *stats = out + FEW_QUERIES * a->e;
    Attention again = {.q = a->q, .K = a->K, .V = a->V, .ldq = a->ldq, .ldk = a->ldk, .ldv = a->ldv, .ldo = a->e, .lds = 2,
                       .queries = a->queries, .keys = a->keys, .d = a->d, .e = a->e, .scale = a->scale, .out = out, .stats = stats};
    attend_many(&again, visible, stats + FEW_QUERIES * 2);
    a->out = out, a->ldo = a->e, a->stats = stats, a->lds = 2;
}

enum { Q, K, V, OUT, STATS, GRAD, DQ, DK, DV, ARRAYS };

static int same_shape(const Array *a, const Array *lead, isize rows, isize columns) {
    if (a->ndim != lead->ndim || len(a, 2) != rows || len(a, 1) != columns) return 0;
    for (int i = 0; i < a->ndim - 2; i++)
        if (a->shape[i] != lead->shape[i]) return 0;
    return 1;
}

/* attend_vjp(q, k, v, out, stats (..., M, 2), grad_out, dq, dk, dv, scale, mask, causal, lengths) -> True, or None. The gradients
 * have the whole batch's leading axes; the caller sums over what was broadcast. */
PyObject *kernel_attend_vjp(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 13) return wrong_count();
    int ok = 1;
    Backward a;
    a.scale = get_float(args[9], &ok);
    if (!ok) return 0;
    Array arrays[ARRAYS];
    VisibleArgs limits;
    for (int i = 0; i < DQ; i++)
        if (!get_array(args[i], FLOAT32, 2, &arrays[i])) return declined();
    if (!get_visible(args[10], args[11], args[12], &limits)) return declined();
    for (int i = DQ; i < ARRAYS; i++) {
        if (!get_output(args[i], FLOAT32, 2, &arrays[i]) || !visible_disjoint(&limits, &arrays[i])) return declined();
        for (int j = 0; j < i; j++)
            if (!disjoint(&arrays[j], &arrays[i])) return declined();
    }
    a.queries = len(&arrays[Q], 2), a.d = len(&arrays[Q], 1), a.keys = len(&arrays[K], 2), a.e = len(&arrays[V], 1);
    const Array *whole = &arrays[DQ];
    if (len(&arrays[K], 1) != a.d || len(&arrays[V], 2) != a.keys || len(&arrays[STATS], 2) != a.queries ||
        len(&arrays[STATS], 1) != 2 || len(&arrays[OUT], 2) != a.queries || len(&arrays[OUT], 1) != a.e || len(&arrays[GRAD], 2) != a.queries ||
        len(&arrays[GRAD], 1) != a.e || !same_shape(whole, whole, a.queries, a.d) ||
        !same_shape(&arrays[DK], whole, a.keys, a.d) || !same_shape(&arrays[DV], whole, a.keys, a.e))
        return wrong_value("attend_vjp: shapes differ");
    Batch batch;
    batch_start(&batch, whole, 2);
    for (int i = 0; i < ARRAYS; i++)
        if (batch_add(&batch, &arrays[i], 2) != i) return wrong_value("attend_vjp: leading axes do not broadcast");
    if (!visible_batch(&limits, &batch, a.queries, a.keys)) return wrong_value("attend_vjp: mask does not broadcast");
    a.ldq = step(&arrays[Q], 2), a.ldk = step(&arrays[K], 2), a.ldv = step(&arrays[V], 2), a.ldo = step(&arrays[OUT], 2);
    a.lds = step(&arrays[STATS], 2);
    a.ldg = step(&arrays[GRAD], 2), a.lddq = step(&arrays[DQ], 2), a.lddk = step(&arrays[DK], 2), a.lddv = step(&arrays[DV], 2);
    int few = a.queries <= FEW_QUERIES;
    isize size = workspace_size(a.d, a.e), more = few ? FEW_QUERIES * (a.e + 2) + attend_many_workspace(a.d, a.e) : 0;
    Workspace workspace;
    if (!workspace_get(&workspace, size + more)) return 0;
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) {
        Visible visible = visible_now(&limits, &batch, a.keys);
        a.q = (const float *)batch.at[Q], a.K = (const float *)batch.at[K], a.V = (const float *)batch.at[V];
        a.out = (const float *)batch.at[OUT], a.stats = (const float *)batch.at[STATS], a.grad = (const float *)batch.at[GRAD];
        a.dq = (float *)batch.at[DQ], a.dk = (float *)batch.at[DK], a.dv = (float *)batch.at[DV];
        if (few) repeat_few(&a, &visible, workspace.floats + size);
        backward(&a, &visible, workspace.floats);
    }
    workspace_free(&workspace);
    return boolean(1);
}
