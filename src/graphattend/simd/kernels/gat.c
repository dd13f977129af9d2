/* A whole graph attention layer in one call: projection, scores, LeakyReLU, softmax per neighbour
 * list, weighted sum. Velickovic, Cucurull, Casanova, Romero, Lio, Bengio: Graph Attention
 * Networks, arXiv:1710.10903, equations 1 to 5.
 *
 * With h = x W: score(i, j, head) = LeakyReLU(a_query . h_i + a_key . h_j + what the edge adds);
 * the heads of an edge lie side by side, so they fill the lanes. */
#include "gemm.h"
#include "graph.h"
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

typedef struct {
    const Array *x, *w, *a_query, *a_key;
    real *hidden;
    ByHead out;
    ByEdge added, weights;
    Neighbors n;
    isize nodes, d, heads, width;
    real slope;
} Layer;

/* (H, D, E) as one matrix (D, H E), so that all heads are one product. */
static void join_heads(const Layer *l, real *joined) {
    isize columns = l->heads * l->width;
    for (isize h = 0; h < l->heads; h++)
        for (isize k = 0; k < l->d; k++) {
            const real *from =
                (const real *)(l->w->data + h * l->w->strides[0] + k * l->w->strides[1]);
            real *to = joined + k * columns + h * l->width;
            for (isize j = 0; j < l->width; j++) to[j] = from[j];
        }
}

/* to[node * lanes + h] = a[h] . hidden[node][h] for every node; the lanes beyond the last head stay
 * 0. */
static void node_scores(const Layer *l, const Array *a, isize lanes, real *to) {
    isize columns = l->heads * l->width;
    const real *hidden = l->hidden;
    for (isize i = 0; i < l->nodes; i++) {
        fill(to + i * lanes, lanes, 0);
        for (isize h = 0; h < l->heads; h++)
            to[i * lanes + h] = dot(hidden + i * columns + h * l->width,
                                    (const real *)(a->data + h * a->strides[0]), l->width);
    }
}

/* Unnormalised weights of one node's edges, heads side by side, and their inverse sums. */
static void edge_weights(const Layer *l, isize first, isize degree, isize lanes, const real *query,
                         const real *key, real *weights, real *inverse) {
    const real *t = exp_table();
    v4 slope = splat(l->slope), zero = splat(0);
    for (isize h = 0; h < lanes; h += 4) {
        v4 own = LOAD(query + h), peak = splat(MINUS_INFINITY), sum = zero;
        for (isize e = 0; e < degree; e++) {
            v4 s = own + LOAD(key + neighbor(&l->n, first + e) * lanes + h);
            if (l->added.data)
                for (isize r = 0; r < 4 && h + r < l->heads; r++)
                    s[r] += l->added.data[(first + e) * l->added.edge_step + h + r];
            s = select((m4)(s < zero), s * slope, s);
            STORE(weights + e * lanes + h, s);
            peak = vmax(peak, s);
        }
        peak = select((m4)(peak == splat(MINUS_INFINITY)), zero, peak);
        for (isize e = 0; e < degree; e++) {
            v4 w = exp_small(t, LOAD(weights + e * lanes + h) - peak);
            STORE(weights + e * lanes + h, w);
            sum += w;
        }
        STORE(inverse + h, select((m4)(sum == zero), zero, splat(1) / sum));
    }
}

static void weighted_sum(const Layer *l, isize first, isize degree, isize lanes,
                         const real *weights, const real *inverse, real *out) {
    isize columns = l->heads * l->width;
    if (l->width % 4 == 0) {
        ByHead rows = {l->hidden, l->nodes, l->heads, l->width, columns, l->width};
        edge_sum_heads(&l->n, &rows, first, degree, weights, lanes, inverse, 0, out,
                       l->out.head_step);
        return;
    }
    const real *hidden = l->hidden;
    for (isize h = 0; h < l->heads; h++) {
        real *to = out + h * l->out.head_step;
        fill(to, l->width, 0);
        for (isize e = 0; e < degree; e++) {
            const real *row = hidden + neighbor(&l->n, first + e) * columns + h * l->width;
            add_rows(1, &row, weights + e * lanes + h, l->width, to);
        }
        scale_row(to, l->width, inverse[h]);
    }
}

static isize layer_workspace(const Layer *l, isize lanes) {
    isize columns = l->heads * l->width;
    isize product = l->d * columns + multiply_workspace(columns, l->d);
    return max_size(product, 2 * l->nodes * lanes + (l->n.longest + 1) * lanes);
}

static real run(const Layer *l, isize lanes, real *workspace) {
    isize columns = l->heads * l->width;
    join_heads(l, workspace);
    multiply(l->nodes, columns, l->d, (const real *)l->x->data, step(l->x, 2), workspace, columns,
             l->hidden, columns, PLAIN, workspace + l->d * columns);
    real bad = note_row(l->hidden, l->nodes * columns);
    real *query = workspace, *key = query + l->nodes * lanes, *weights = key + l->nodes * lanes;
    real *inverse = weights + l->n.longest * lanes;
    node_scores(l, l->a_query, lanes, query);
    node_scores(l, l->a_key, lanes, key);
    for (isize i = 0; i < l->nodes; i++) {
        isize first = (isize)l->n.start[i], degree = (isize)l->n.start[i + 1] - first;
        edge_weights(l, first, degree, lanes, query + i * lanes, key, weights, inverse);
        weighted_sum(l, first, degree, lanes, weights, inverse, l->out.data + i * l->out.node_step);
        if (!l->weights.data) continue;
        for (isize e = 0; e < degree; e++)
            for (isize h = 0; h < l->heads; h++)
                l->weights.data[(first + e) * l->weights.edge_step + h] =
                    weights[e * lanes + h] * inverse[h];
    }
    return bad;
}

static int is_matrix(const Array *a, isize rows, isize columns) {
    return a->shape[0] == rows && a->shape[1] == columns;
}

Status KERNEL(gat)(Call *call) {
    const Array *a = call->array, *x = &a[gat_x], *w = &a[gat_w], *hidden = &a[gat_hidden];
    if (!hidden->contiguous) return DECLINED;
    Layer l = {.x = x,
               .w = w,
               .a_query = &a[gat_a_query],
               .a_key = &a[gat_a_key],
               .hidden = (real *)hidden->data,
               .out = by_head(&a[gat_out]),
               .added = by_edge(&a[gat_added]),
               .weights = by_edge(&a[gat_weights]),
               .nodes = x->shape[0],
               .d = x->shape[1],
               .heads = w->shape[0],
               .width = w->shape[2],
               .slope = (real)call->number[gat_slope]};
    if (!get_neighbors(&a[gat_indptr], &a[gat_indices], l.nodes, l.nodes, &l.n))
        return wrong(call, "gat: indptr or indices do not fit");
    if (!edges_fit(&l.added, l.n.edges, l.heads) || !edges_fit(&l.weights, l.n.edges, l.heads) ||
        w->shape[1] != l.d || !is_matrix(l.a_query, l.heads, l.width) ||
        !is_matrix(l.a_key, l.heads, l.width) || !is_matrix(hidden, l.nodes, l.heads * l.width) ||
        l.out.nodes != l.nodes || l.out.heads != l.heads || l.out.width != l.width)
        return wrong(call, "gat: shapes differ");
    isize lanes = round_up(l.heads, 4);
    real *workspace = workspace_get((usize)layer_workspace(&l, lanes) * sizeof(real));
    if (!workspace) return NO_MEMORY;
    void *state = work_begin(((double)l.nodes * (double)l.d + (double)l.n.edges) *
                             (double)(l.heads * l.width));
    real bad = run(&l, lanes, workspace);
    work_end(state);
    workspace_free(workspace);
    return finished(bad);
}
