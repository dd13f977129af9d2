/* Multi-head attention of a few queries without projecting the keys and values: q W_q (k W_k)' = (q
 * W_q W_k') k', so W_k is folded into the query; and the values are averaged first and projected
 * then. Cost 4 N D H per query instead of 4 N D^2. The bias of the keys adds the same to all scores
 * of a head and cancels in the softmax. */
#include "kernels.h"
#include "rows.h"
#include "softmax.h"
#include "tile.h"

enum { KEYS = 64, QUAD = 4 };

/* Four rows against two keys: S[key][0..3] = K[key] . U[0..3]. */
INL void quad_scores(const int keys, const real *K, isize ldk, const real *U, isize d, real *S) {
    vec c[2][QUAD];
    for (int i = 0; i < keys; i++)
        for (int r = 0; r < QUAD; r++) c[i][r] = splatv(0);
    isize k = 0;
    for (; k + LANES <= d; k += LANES) {
        vec x[2];
        for (int i = 0; i < keys; i++) x[i] = LOADV(K + i * ldk + k);
        for (int r = 0; r < QUAD; r++) {
            vec u = LOADV(U + r * d + k);
            for (int i = 0; i < keys; i++) c[i][r] = maddv(u, x[i], c[i][r]);
        }
    }
    for (int i = 0; i < keys; i++) {
        v4 s = vec_sum4(c[i][0], c[i][1], c[i][2], c[i][3]);
        for (isize j = k; j < d; j++)
            s += splat(K[i * ldk + j]) * (v4){U[j], U[d + j], U[2 * d + j], U[3 * d + j]};
        STORE(S + QUAD * i, s);
    }
}

/* out[r][j] = shrink[r] * out[r][j] + sum_key P[key][r] V[key][j] */
INL void quad_sum_tile(const int vectors, const real *P, isize keys, const real *V, isize ldv,
                       real *out, isize ldo, v4 shrink) {
    vw c[TILE_ROWS][2];
    tile_load(QUAD, vectors, out, ldo, c);
    for (int i = 0; i < QUAD; i++)
        for (int j = 0; j < vectors; j++) c[i][j] *= splatw(shrink[i]);
    tile_add(QUAD, vectors, keys, P, 1, QUAD, V, ldv, c);
    tile_store(QUAD, vectors, out, ldo, c);
}

static void quad_sum(const real *P, isize keys, const real *V, isize ldv, isize e, real *out,
                     v4 shrink) {
    isize j = 0;
    for (; j + 2 * WIDE <= e; j += 2 * WIDE)
        quad_sum_tile(2, P, keys, V + j, ldv, out + j, e, shrink);
    for (; j + WIDE <= e; j += WIDE) quad_sum_tile(1, P, keys, V + j, ldv, out + j, e, shrink);
    for (; j < e; j++) {
        v4 sum = shrink * (v4){out[j], out[e + j], out[2 * e + j], out[3 * e + j]};
        for (isize k = 0; k < keys; k++) sum = madd(LOAD(P + k * QUAD), splat(V[k * ldv + j]), sum);
        for (int r = 0; r < QUAD; r++) out[r * e + j] = sum[r];
    }
}

/* The scores of four rows (keys x 4) of the keys from `first` on, with the mask; returns the larger
 * ones of the maxima and `top`. */
NOINLINE v4 mask_quad(real *S, isize first, isize keys, Mask mask, v4 top) {
    for (isize i = 0; i < keys; i++) {
        isize at = (first + i) * mask.key_step;
        v4 s = LOAD(S + i * QUAD);
        if (mask.added) s += splat(mask.added[at]);
        else if (!mask.allowed[at]) s = splat(MINUS_INFINITY);
        STORE(S + i * QUAD, s);
        top = vmax(top, s);
    }
    return top;
}

/* Attention of four rows U (4 x d, scaled) over all keys, in one pass over K and V; out (4 x e).
 * The weights of the first `rows` rows are stored if an array for them is given. */
static real attend_quad(const real *U, const real *K, isize ldk, const real *V, isize ldv, isize n,
                        isize d, isize e, Mask mask, real *out, int rows, real *weights,
                        isize ldw) {
    const real *t = exp_table();
    real S[KEYS * QUAD] __attribute__((aligned(64)));
    v4 peak = splat(MINUS_INFINITY), total = splat(0), bad = splat(0);
    fill(out, QUAD * e, 0);
    for (isize first = 0; first < n; first += KEYS) {
        isize keys = min_size(KEYS, n - first), i = 0;
        const real *block = K + first * ldk;
        for (; i + 2 <= keys; i += 2) quad_scores(2, block + i * ldk, ldk, U, d, S + i * QUAD);
        for (; i < keys; i++) quad_scores(1, block + i * ldk, ldk, U, d, S + i * QUAD);
        v4 top = peak;
        for (i = 0; i < keys; i++) {
            v4 s = LOAD(S + i * QUAD);
            bad = note_bad(bad, s);
            top = vmax(top, s);
        }
        if (mask.allowed || mask.added) top = mask_quad(S, first, keys, mask, peak);
        for (int r = 0; weights && r < rows; r++)
            for (i = 0; i < keys; i++) weights[r * ldw + first + i] = S[i * QUAD + r];
        v4 base = select((m4)(top == splat(MINUS_INFINITY)), splat(0), top);
        v4 shrink = exp_small(t, peak - base);
        peak = top;
        total *= shrink;
        for (i = 0; i < keys; i++) {
            v4 w = exp_small(t, LOAD(S + i * QUAD) - base);
            STORE(S + i * QUAD, w);
            total += w;
        }
        quad_sum(S, keys, V + first * ldv, ldv, e, out, shrink);
    }
    for (int r = 0; r < QUAD; r++) {
        real share = total[r] > 0 ? 1 / total[r] : 0;
        scale_row(out + r * e, e, share);
        if (!weights || r >= rows) continue;
        exp_and_sum(weights + r * ldw, weights + r * ldw, n, safe_peak(peak[r]));
        scale_row(weights + r * ldw, n, share);
    }
    return hsum(bad) + note_row(out, QUAD * e);
}

typedef struct {
    const Array *a;                    /* the arrays of the call, by heads_q, ... */
    isize queries, keys, heads, width; /* width = D / H */
    int every;                         /* whether to compute heads whose gate is 0 */
    const real *gates;                 /* (M, H), or 0 */
    Visible seen;                      /* the keys that all queries see */
    int blind;                         /* whether they see none, so that all weights are 0 */
} Heads;

static const real *data(const Heads *h, int which) { return (const real *)h->a[which].data; }
static isize ld(const Heads *h, int which) { return step(&h->a[which], 2); }
/* The length of the last axis, 0 for an operand that is not given. */
static isize columns(const Array *a) { return given(a) ? len(a, 1) : 0; }

/* y = x W + b for one row, columns `from` to `to` of W */
NOINLINE void project(const Heads *h, const real *x, int weight, int bias, isize from, isize to,
                      real *y) {
    if (given(&h->a[bias])) copy_row(data(h, bias) + from, to - from, y + from);
    else fill(y + from, to - from, 0);
    add_weighted(data(h, weight) + from, ld(h, weight), len(&h->a[weight], 2), x, to - from,
                 y + from);
}

static int is_gated(const Heads *h) { return FULL && given(&h->a[heads_w_gate]); }

static real gate(const Heads *h, isize i, isize j) {
    return FULL && h->gates ? h->gates[i * h->heads + j] : 1;
}

/* Whether head j of query i is computed. A head with gate 0 is needed only for its weights. */
static int counts(const Heads *h, isize i, isize j) {
    return !FULL || h->every || gate(h, i, j) != 0;
}

/* Returns the test of finiteness of the queries, of which heads whose gate is 0 take no notice. */
static real fill_gates(const Heads *h, real sharpness, real threshold, real *gates) {
    real bad = 0;
    for (isize i = 0; i < h->queries; i++, gates += h->heads) {
        project(h, data(h, heads_q) + i * ld(h, heads_q), heads_w_gate, heads_b_gate, 0, h->heads,
                gates);
        real top = row_max(gates, h->heads);
        bad += note_row(gates, h->heads);
        for (isize j = 0; j < h->heads; j++) {
            real z = gates[j] * sharpness, small = exp_scalar(z > 0 ? -z : z);
            int highest = gates[j] == top;
            gates[j] = (z > 0 ? 1 : small) / (1 + small);
            if (gates[j] < threshold && !highest) gates[j] = 0;
        }
    }
    return bad;
}

/* The averages of the values for the `rows` heads that are computed, from their queries U, into
 * which W_k is folded. */
static real attend_heads(const Heads *h, const real *U, isize rows, real *average, real *rest) {
    int alone = !given(&h->a[heads_v]);
    isize ldk = ld(h, heads_k), ldv = alone ? 0 : ld(h, heads_v), dk = len(&h->a[heads_k], 1),
          dv = columns(&h->a[heads_v]);
    const real *k = data(h, heads_k),
               *v = alone ? k : data(h, heads_v); /* of which dv columns are read */
    real bad = 0, *weights = (real *)h->a[heads_weights].data;
    int some = FULL && given(&h->a[heads_weights]);
    if (FULL && !some && rows < QUAD - 1) {
        for (isize r = 0; r < rows; r++)
            bad += attend_one(U + r * dk, k, ldk, v, ldv, h->keys, dk, dv, 1, h->seen.mask,
                              average + r * dv, 0);
    } else if (some || rows <= QUAD) {
        isize ldw = some ? ld(h, heads_weights) : 0;
        for (isize r = 0; r < rows; r += QUAD)
            bad += attend_quad(U + r * dk, k, ldk, v, ldv, h->keys, dk, dv, h->seen.mask,
                               average + r * dv, (int)min_size(QUAD, rows - r),
                               some ? weights + r * ldw : 0, ldw);
    } else {
        Attention a = {.q = U,
                       .K = k,
                       .V = v,
                       .ldq = dk,
                       .ldk = ldk,
                       .ldv = ldv,
                       .ldo = dv,
                       .queries = rows,
                       .keys = h->keys,
                       .d = dk,
                       .e = dv,
                       .scale = 1,
                       .out = average,
                       .stats = 0};
        bad = attend_many(&a, &h->seen, rest);
    }
    return bad;
}

static real run(Heads *h, const Call *call, real *workspace) {
    real scale = (real)call->number[heads_scale], bad = 0;
    if (is_gated(h)) {
        bad = fill_gates(h, (real)call->number[heads_sharpness],
                         (real)call->number[heads_threshold], workspace);
        h->gates = workspace;
        workspace += h->queries * h->heads;
    }
    isize dk = len(&h->a[heads_k], 1), dv = columns(&h->a[heads_v]), d = h->heads * h->width,
          rows = 0;
    for (isize i = 0; FULL && i < h->queries; i++)
        for (isize j = 0; j < h->heads; j++) rows += counts(h, i, j);
    if (!rows) h->every = 1, rows = h->queries * h->heads; /* to test whether the input is finite */
    isize padded = round_up(rows, QUAD), r = 0;
    real *folded = workspace, *average = folded + padded * dk, *row = average + padded * dv;
    for (isize i = 0; i < h->queries; i++) {
        project(h, data(h, heads_q) + i * ld(h, heads_q), heads_w_q, heads_b_q, 0, d, row);
        scale_row(row, d, scale);
        for (isize j = 0; j < h->heads; j++)
            if (counts(h, i, j))
                row_dots(data(h, heads_w_k) + j * h->width, ld(h, heads_w_k), dk,
                         row + j * h->width, h->width, folded + r++ * dk);
    }
    fill(folded + rows * dk, (padded - rows) * dk, 0);
    bad += attend_heads(h, folded, rows, average, row + d);
    if (!given(&h->a[heads_v])) return bad;
    for (isize i = 0; i < h->queries; i++) {
        for (isize j = 0; j < h->heads; j++) {
            real *part = row + j * h->width;
            if (h->blind || !counts(h, i, j)) {
                fill(part, h->width, 0);
                continue;
            }
            project(h, average, heads_w_v, heads_b_v, j * h->width, (j + 1) * h->width, row);
            if (FULL) scale_row(part, h->width, gate(h, i, j));
            average += dv;
        }
        real *out = (real *)h->a[heads_out].data + i * ld(h, heads_out);
        isize width = len(&h->a[heads_w_o], 1);
        project(h, row, heads_w_o, heads_b_o, 0, width, out);
        bad += note_row(out, width);
    }
    return bad;
}

static int sees_nothing(const Visible *seen) {
    const Mask *mask = &seen->mask;
    if (!mask->allowed && !mask->added) return 0;
    for (isize i = 0; i < seen->keys; i++)
        if (mask->added ? mask->added[i * mask->key_step] != MINUS_INFINITY
                        : mask->allowed[i * mask->key_step] != 0)
            return 0;
    return 1;
}

static int is_matrix(const Array *a, isize rows, isize columns) {
    return len(a, 2) == rows && len(a, 1) == columns;
}
static int is_bias(const Array *a, isize length) { return !given(a) || len(a, 1) == length; }

Status KERNEL(heads)(Call *call) {
    const Array *a = call->array;
    isize d = len(&a[heads_w_q], 1), dk = len(&a[heads_k], 1), dv = columns(&a[heads_v]),
          out = columns(&a[heads_w_o]);
    Heads h = {a,
               len(&a[heads_q], 2),
               len(&a[heads_k], 2),
               call->size[heads_heads],
               0,
               !FULL || given(&a[heads_weights]) || !given(&a[heads_w_gate]),
               0,
               {{0, 0, 0, 0}, 0, 0, 0, 0},
               0};
    if (h.heads < 1 || d % h.heads) return wrong(call, "heads: shapes differ");
    h.width = d / h.heads;
    if (!is_matrix(&a[heads_w_q], len(&a[heads_q], 1), d) || !is_matrix(&a[heads_w_k], dk, d) ||
        !is_bias(&a[heads_b_q], d))
        return wrong(call, "heads: shapes differ");
    if (!given(&a[heads_v])) { /* the weights alone */
        if (!FULL || !given(&a[heads_weights]) || given(&a[heads_out]))
            return wrong(call, "heads: without values only weights can be given");
    } else if (!given(&a[heads_w_v]) || !given(&a[heads_w_o]) || !given(&a[heads_out]) ||
               !is_matrix(&a[heads_w_v], dv, d) || !is_matrix(&a[heads_w_o], d, out) ||
               !is_matrix(&a[heads_v], h.keys, dv) || !is_matrix(&a[heads_out], h.queries, out) ||
               !is_bias(&a[heads_b_v], d) || !is_bias(&a[heads_b_o], out))
        return wrong(call, "heads: shapes differ");
    isize rows = h.queries * h.heads;
    if (!FULL && (given(&a[heads_weights]) || given(&a[heads_w_gate]))) return DECLINED;
    if (FULL &&
        ((given(&a[heads_weights]) && !is_matrix(&a[heads_weights], rows, h.keys)) ||
         (is_gated(&h) &&
          (!is_matrix(&a[heads_w_gate], len(&a[heads_q], 1), h.heads) ||
           !is_bias(&a[heads_b_gate], h.heads)))))
        return wrong(call, "heads: the weights or the gates do not fit");
    Array none = {.kind = ABSENT};
    Limits limits = {&a[heads_mask], &none, 0, 0, 0};
    Batch batch;
    batch_start(&batch, &a[heads_q], 2);
    if (!limits_batch(&limits, &batch, 1, h.keys))
        return wrong(call, "heads: the mask does not fit");
    h.seen = visible_now(&limits, &batch, h.keys);
    h.blind = sees_nothing(&h.seen);
    isize size = round_up(rows, QUAD) * (dk + dv) + d + (is_gated(&h) ? rows : 0) +
        (rows <= QUAD ? 0 : attend_many_workspace(dk, dv));
    real *workspace = workspace_get((usize)size * sizeof(real));
    if (!workspace) return NO_MEMORY;
    void *state = work_begin((double)rows * (double)h.keys * (double)(dk + dv));
    real bad = run(&h, call, workspace);
    work_end(state);
    workspace_free(workspace);
    return finished(bad);
}
