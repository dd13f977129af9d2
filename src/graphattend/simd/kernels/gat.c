/* The pass of a graph attention layer over its neighbour lists: scores, LeakyReLU, softmax per
 * list, weighted sum. Velickovic, Cucurull, Casanova, Romero, Lio, Bengio: Graph Attention
 * Networks, arXiv:1710.10903, equations 1 to 5.
 *
 * score(i, j, head) = LeakyReLU(query_i + key_j + edge_ij). The heads of an edge are adjacent, so
 * they fill the lanes. */
#include "graph.h"
#include "kernels.h"
#include "rows.h"

typedef struct {
    ByHead hidden, out;
    ByEdge query, key, added, weights, gain, mixture;
    Neighbors n;
    isize lanes; /* heads, up to a multiple of four */
    real slope;
} Layer;

/* Unnormalised weights of one node's edges, with adjacent heads, and their inverse sums. */
static void edge_weights(const Layer *l, isize node, isize first, isize degree, real *weights,
                         real *inverse) {
    v4 slope = splat(l->slope);
    isize heads = l->hidden.heads, lanes = l->lanes;
    for (isize h = 0; h < lanes; h += 4) {
        isize some = heads - h;
        v4 own = load_heads(l->query.data + node * l->query.edge_step + h, some);
        const real *keys = l->key.data + h;
        for (isize e = 0; e < degree; e++) {
            v4 s = own + load_heads(keys + neighbor(&l->n, first + e) * l->key.edge_step, some);
            if (l->added.data)
                s += load_heads(l->added.data + (first + e) * l->added.edge_step + h, some);
            STORE(weights + e * lanes + h, select((m4)(s < splat(0)), s * slope, s));
        }
    }
    softmax_heads(weights, degree, lanes, inverse);
}

/* out = factor[head] times the sums of the neighbours' rows; with a gain, out += instead. */
static void weighted_sum(const Layer *l, isize first, isize degree, const real *weights,
                         const real *factor, real *out) {
    const ByHead *rows = &l->hidden;
    int add = FULL && l->gain.data;
    if (side_by_side(rows)) {
        edge_sum_heads(&l->n, rows, first, degree, weights, l->lanes, factor, add, out,
                       l->out.head_step);
        return;
    }
    for (isize h = 0; h < rows->heads; h++) {
        real *to = out + h * l->out.head_step;
        if (!add) fill(to, rows->width, 0);
        for (isize e = 0; e < degree; e++) {
            const real *row = row_at(rows, neighbor(&l->n, first + e), h);
            real w = weights[e * l->lanes + h] * factor[h];
            add_rows(1, &row, &w, rows->width, to);
        }
    }
}

/* Adds the weights, averaged over the heads, to the mixture; factor[head] is 0 beyond the last. */
static void mix(const Layer *l, isize first, isize degree, const real *weights,
                const real *factor) {
    real share = 1 / (real)l->hidden.heads;
    for (isize e = 0; e < degree; e++) {
        v4 sum = splat(0);
        for (isize h = 0; h < l->lanes; h += 4)
            sum = madd(LOAD(weights + e * l->lanes + h), LOAD(factor + h), sum);
        l->mixture.data[first + e] += share * hsum(sum);
    }
}

static real run(const Layer *l, real *weights) {
    isize lanes = l->lanes, heads = l->hidden.heads;
    real *inverse = weights + l->n.longest * lanes, bad = 0;
    for (isize i = 0; i < l->out.nodes; i++) {
        isize first = (isize)l->n.start[i], degree = (isize)l->n.start[i + 1] - first;
        real share = FULL && l->gain.data ? l->gain.data[i * l->gain.edge_step] : 1;
        if (share == 0 && !l->weights.data) continue;
        edge_weights(l, i, first, degree, weights, inverse);
        if (l->weights.data)
            for (isize e = 0; e < degree; e++)
                for (isize h = 0; h < heads; h += 4)
                    store_heads(LOAD(weights + e * lanes + h) * LOAD(inverse + h), heads - h,
                                l->weights.data + (first + e) * l->weights.edge_step + h);
        if (FULL && l->gain.data) scale_row(inverse, lanes, share);
        if (FULL && l->mixture.data) {
            for (isize h = heads; h < lanes; h++) inverse[h] = 0;
            mix(l, first, degree, weights, inverse);
        }
        weighted_sum(l, first, degree, weights, inverse, row_at(&l->out, i, 0));
        isize joined =
            l->out.head_step == l->out.width ? heads : 1; /* heads that are joined to one row */
        for (isize h = 0; h < heads; h += joined)
            bad += note_row(row_at(&l->out, i, h), joined * l->out.width);
    }
    return bad;
}

Status KERNEL(gat)(Call *call) {
    const Array *a = call->array;
    if (!FULL && given(&a[gat_gain])) return DECLINED;
    if (given(&a[gat_mixture]) && !given(&a[gat_gain])) return DECLINED;
    Layer l = {.hidden = by_head(&a[gat_hidden]),
               .out = by_head(&a[gat_out]),
               .query = by_edge(&a[gat_query]),
               .key = by_edge(&a[gat_key]),
               .added = by_edge(&a[gat_added]),
               .weights = by_edge(&a[gat_weights]),
               .gain = by_edge(&a[gat_gain]),
               .mixture = by_edge(&a[gat_mixture]),
               .slope = (real)call->number[gat_slope]};
    isize nodes = l.out.nodes, heads = l.hidden.heads;
    if (!get_neighbors(&a[gat_indptr], &a[gat_indices], nodes, l.hidden.nodes, &l.n))
        return wrong(call, "gat: indptr or indices do not fit");
    if (!edges_fit(&l.added, l.n.edges, heads) || !edges_fit(&l.weights, l.n.edges, heads) ||
        (FULL && (!edges_fit(&l.gain, nodes, 1) || !edges_fit(&l.mixture, l.n.edges, 1))) ||
        !edges_fit(&l.query, nodes, heads) || !edges_fit(&l.key, l.hidden.nodes, heads) ||
        !is_like(&l.out, nodes, heads, l.hidden.width))
        return wrong(call, "gat: shapes differ");
    l.lanes = round_up(heads, 4);
    real *workspace = workspace_get((usize)((l.n.longest + 1) * l.lanes) * sizeof(real));
    if (!workspace) return NO_MEMORY;
    void *state = work_begin((double)l.n.edges * (double)(heads * l.hidden.width));
    real bad = run(&l, workspace);
    work_end(state);
    workspace_free(workspace);
    return finished(bad);
}
