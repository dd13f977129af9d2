/* Multi-head attention of a few queries without projecting the keys and values: q W_q (k W_k)' = (q W_q W_k') k', so W_k is folded
 * into the query; and the values are averaged first and projected then. Cost 4 N D H per query instead of 4 N D^2. The bias of
 * the keys adds the same to all scores of a head and cancels in the softmax. */
#include "kernels.h"
#include "rows.h"
#include "softmax.h"
#include "tile.h"

enum { KEYS = 64, QUAD = 4 };

/* Four rows against two keys: S[key][0..3] = K[key] . U[0..3]. */
INL void quad_scores(const int keys, const float *K, isize ldk, const float *U, isize d, float *S) {
    f4 c[2][QUAD];
    for (int i = 0; i < keys; i++)
        for (int r = 0; r < QUAD; r++) c[i][r] = splat(0.f);
    isize k = 0;
    for (; k + 4 <= d; k += 4) {
        f4 x[2];
        for (int i = 0; i < keys; i++) x[i] = LOAD(K + i * ldk + k);
        for (int r = 0; r < QUAD; r++) {
            f4 u = LOAD(U + r * d + k);
            for (int i = 0; i < keys; i++) c[i][r] = madd(u, x[i], c[i][r]);
        }
    }
    for (int i = 0; i < keys; i++) {
        f4 s = hsum4(c[i][0], c[i][1], c[i][2], c[i][3]);
        for (isize j = k; j < d; j++) s += splat(K[i * ldk + j]) * (f4){U[j], U[d + j], U[2 * d + j], U[3 * d + j]};
        STORE(S + QUAD * i, s);
    }
}

/* out[r][j] = shrink[r] * out[r][j] + sum_key P[key][r] V[key][j] */
INL void quad_sum_tile(const int vectors, const float *P, isize keys, const float *V, isize ldv, float *out, isize ldo, f4 shrink) {
    f4 c[TILE_ROWS][2];
    tile_load(QUAD, vectors, out, ldo, c);
    for (int i = 0; i < QUAD; i++)
        for (int j = 0; j < vectors; j++) c[i][j] *= splat(shrink[i]);
    tile_add(QUAD, vectors, keys, P, 1, QUAD, V, ldv, c);
    tile_store(QUAD, vectors, out, ldo, c);
}

static void quad_sum(const float *P, isize keys, const float *V, isize ldv, isize e, float *out, f4 shrink) {
    isize j = 0;
    for (; j + 8 <= e; j += 8) quad_sum_tile(2, P, keys, V + j, ldv, out + j, e, shrink);
    for (; j + 4 <= e; j += 4) quad_sum_tile(1, P, keys, V + j, ldv, out + j, e, shrink);
    for (; j < e; j++) {
        f4 sum = shrink * (f4){out[j], out[e + j], out[2 * e + j], out[3 * e + j]};
        for (isize k = 0; k < keys; k++) sum = madd(LOAD(P + k * QUAD), splat(V[k * ldv + j]), sum);
        for (int r = 0; r < QUAD; r++) out[r * e + j] = sum[r];
    }
}

/* Attention of four rows U (4 x d, scaled) over all keys, with one pass over K and V. out (4 x e). */
static f4 attend_quad(const float *U, const float *K, isize ldk, const float *V, isize ldv, isize n, isize d, isize e, float *out) {
    const float *t = exp_table();
    float S[KEYS * QUAD] __attribute__((aligned(16)));
    f4 peak = splat(MINUS_INFINITY), total = splat(0.f), bad = splat(0.f);
    fill(out, QUAD * e, 0.f);
    for (isize first = 0; first < n; first += KEYS) {
        isize keys = min_size(KEYS, n - first), i = 0;
        const float *block = K + first * ldk;
        for (; i + 2 <= keys; i += 2) quad_scores(2, block + i * ldk, ldk, U, d, S + i * QUAD);
        for (; i < keys; i++) quad_scores(1, block + i * ldk, ldk, U, d, S + i * QUAD);
        f4 top = peak;
        for (i = 0; i < keys; i++) {
            f4 s = LOAD(S + i * QUAD);
            bad = note_bad(bad, s);
            top = vmax(top, s);
        }
        f4 shrink = exp_small(t, peak - top);
        peak = top;
        total *= shrink;
        for (i = 0; i < keys; i++) {
            f4 w = exp_small(t, LOAD(S + i * QUAD) - top);
            STORE(S + i * QUAD, w);
            total += w;
        }
        quad_sum(S, keys, V + first * ldv, ldv, e, out, shrink);
    }
    for (int r = 0; r < QUAD; r++) scale_row(out + r * e, e, 1.f / total[r]);
    return note_row(bad, out, QUAD * e);
}

enum { Q, K, V, W_Q, W_K, W_V, W_O, B_Q, B_V, B_O, OUT, ARRAYS };

typedef struct {
    Array a[ARRAYS];
    int present[ARRAYS];
    isize queries, keys, heads, width; /* width = D / H */
} Heads;

static const float *data(const Heads *h, int which) { return (const float *)h->a[which].data; }
static isize ld(const Heads *h, int which) { return step(&h->a[which], 2); }

/* y = x W + b for one row, columns `from` to `to` of W */
static void project(const Heads *h, const float *x, int weight, int bias, isize from, isize to, float *y) {
    if (h->present[bias])
        for (isize j = from; j < to; j++) y[j] = data(h, bias)[j];
    else fill(y + from, to - from, 0.f);
    add_weighted(data(h, weight) + from, ld(h, weight), len(&h->a[weight], 2), x, to - from, y + from);
}

static f4 run(const Heads *h, float scale, float *workspace) {
    isize dk = len(&h->a[K], 1), dv = len(&h->a[V], 1), d = h->heads * h->width, rows = h->queries * h->heads;
    isize padded = round_up(rows, QUAD);
    float *folded = workspace, *average = folded + padded * dk, *row = average + padded * dv, *rest = row + d;
    for (isize i = 0; i < h->queries; i++) {
        project(h, data(h, Q) + i * ld(h, Q), W_Q, B_Q, 0, d, row);
        scale_row(row, d, scale);
        for (isize j = 0; j < h->heads; j++)
            row_dots(data(h, W_K) + j * h->width, ld(h, W_K), dk, row + j * h->width, h->width, folded + (i * h->heads + j) * dk);
    }
    fill(folded + rows * dk, (padded - rows) * dk, 0.f);
    f4 bad = splat(0.f);
    if (rows <= QUAD) {
        bad = attend_quad(folded, data(h, K), ld(h, K), data(h, V), ld(h, V), h->keys, dk, dv, average);
    } else {
        Attention a = {.q = folded, .K = data(h, K), .V = data(h, V), .ldq = dk, .ldk = ld(h, K), .ldv = ld(h, V), .ldo = dv,
                       .queries = rows, .keys = h->keys, .d = dk, .e = dv, .scale = 1.f, .out = average, .stats = 0};
        Visible all = {{0, 0, 0, 0}, 0, 0, 0, h->keys};
        bad = attend_many(&a, &all, rest);
    }
    for (isize i = 0; i < h->queries; i++) {
        for (isize j = 0; j < h->heads; j++)
            project(h, average + (i * h->heads + j) * dv, W_V, B_V, j * h->width, (j + 1) * h->width, row);
        project(h, row, W_O, B_O, 0, len(&h->a[W_O], 1), (float *)h->a[OUT].data + i * ld(h, OUT));
    }
    return bad;
}

/* heads(q (M, Dq), k (N, Dk), v (N, Dv), w_q, w_k, w_v, w_o, b_q, b_v, b_o, out (M, Do), heads, scale) -> True if q, k and v were
 * finite, else False; or None. w_q (Dq, D), w_k (Dk, D), w_v (Dv, D), w_o (D, Do); biases may be None. */
PyObject *kernel_heads(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != ARRAYS + 2) return wrong_count();
    int ok = 1;
    Heads h;
    h.heads = get_size(args[ARRAYS], &ok);
    float scale = get_float(args[ARRAYS + 1], &ok);
    if (!ok) return 0;
    for (int i = 0; i < ARRAYS; i++) {
        int bias = i == B_Q || i == B_V || i == B_O, axes = bias ? 1 : 2;
        h.present[i] = !bias || !is_none(args[i]);
        if (!h.present[i]) continue;
        if (i == OUT ? !get_output(args[i], FLOAT32, axes, &h.a[i]) : !get_array(args[i], FLOAT32, axes, &h.a[i])) return declined();
        if (h.a[i].ndim != axes) return declined();
    }
    for (int i = 0; i < OUT; i++)
        if (h.present[i] && !disjoint(&h.a[i], &h.a[OUT])) return declined();
    h.queries = len(&h.a[Q], 2), h.keys = len(&h.a[K], 2);
    isize d = len(&h.a[W_Q], 1), dk = len(&h.a[K], 1), dv = len(&h.a[V], 1);
    if (h.heads < 1 || d % h.heads) return wrong_value("heads: the width is not divisible by the number of heads");
    h.width = d / h.heads;
    if (len(&h.a[W_Q], 2) != len(&h.a[Q], 1) || len(&h.a[W_K], 2) != dk || len(&h.a[W_K], 1) != d || len(&h.a[W_V], 2) != dv ||
        len(&h.a[W_V], 1) != d || len(&h.a[W_O], 2) != d || len(&h.a[V], 2) != h.keys || len(&h.a[OUT], 2) != h.queries ||
        len(&h.a[OUT], 1) != len(&h.a[W_O], 1) || (h.present[B_Q] && len(&h.a[B_Q], 1) != d) ||
        (h.present[B_V] && len(&h.a[B_V], 1) != d) || (h.present[B_O] && len(&h.a[B_O], 1) != len(&h.a[W_O], 1)))
        return wrong_value("heads: shapes differ");
    isize rows = h.queries * h.heads;
    isize size = round_up(rows, QUAD) * (dk + dv) + d + (rows <= QUAD ? 0 : attend_many_workspace(dk, dv));
    Workspace workspace;
    if (!workspace_get(&workspace, size)) return 0;
    f4 bad = run(&h, scale, workspace.floats);
    workspace_free(&workspace);
    return boolean(!is_bad(bad));
}
