/* A whole graph attention layer in one call: projection, scores, LeakyReLU, softmax per neighbour list, weighted sum.
 * Velickovic, Cucurull, Casanova, Romero, Lio, Bengio: Graph Attention Networks, arXiv:1710.10903, equations 1 to 5.
 *
 * With h = x W: score(i, j, head) = LeakyReLU(a_query . h_i + a_key . h_j + what the edge adds); the heads of an edge lie side by
 * side, so they fill the lanes. */
#include "graph.h"
#include "kernels.h"
#include "rows.h"
#include "softmax.h"



typedef struct {
    Array x, w, a_query, a_key, hidden;
    ByHead out;
    ByEdge added, weights;
    Neighbors n;
    isize nodes, d, heads, width;
    float slope;
} Layer;

/* (H, D, E) as one matrix (D, H E), so that all heads are one product. */
static void join_heads(const Layer *l, float *joined) {
    isize columns = l->heads * l->width;
    for (isize h = 0; h < l->heads; h++)
        for (isize k = 0; k < l->d; k++) {
            const float *from = (const float *)(l->w.data + h * l->w.strides[0] + k * l->w.strides[1]);
            float *to = joined + k * columns + h * l->width;
            for (isize j = 0; j < l->width; j++) to[j] = from[j];
        }
}

/* to[node * lanes + h] = a[h] . hidden[node][h] for every node; the lanes beyond the last head stay 0. */
static void node_scores(const Layer *l, const Array *a, isize lanes, float *to) {
    isize columns = l->heads * l->width;
    const float *hidden = (const float *)l->hidden.data;
    for (isize i = 0; i < l->nodes; i++) {
        fill(to + i * lanes, lanes, 0.f);
        for (isize h = 0; h < l->heads; h++)
            to[i * lanes + h] = dot(hidden + i * columns + h * l->width, (const float *)(a->data + h * a->strides[0]), l->width);
    }
}

/* Unnormalised weights of one node's edges, heads side by side, and their inverse sums. */
static void edge_weights(const Layer *l, isize first, isize degree, isize lanes, const float *query, const float *key,
                         float *weights, float *inverse) {
    const float *t = exp_table();
    f4 slope = splat(l->slope), zero = splat(0.f);
    for (isize h = 0; h < lanes; h += 4) {
        f4 own = LOAD(query + h), peak = splat(MINUS_INFINITY), sum = zero;
        for (isize e = 0; e < degree; e++) {
            f4 s = own + LOAD(key + neighbor(&l->n, first + e) * lanes + h);
            if (l->added.data)
                for (isize r = 0; r < 4 && h + r < l->heads; r++) s[r] += l->added.data[(first + e) * l->added.edge_step + h + r];
            s = select((i4)(s < zero), s * slope, s);
            STORE(weights + e * lanes + h, s);
            peak = vmax(peak, s);
        }
        peak = select((i4)(peak == splat(MINUS_INFINITY)), zero, peak);
        for (isize e = 0; e < degree; e++) {
            f4 w = exp_small(t, LOAD(weights + e * lanes + h) - peak);
            STORE(weights + e * lanes + h, w);
            sum += w;
        }
        STORE(inverse + h, select((i4)(sum == zero), zero, splat(1.f) / sum));
    }
}

/* `vectors` groups of four columns from `column` on, all within whole heads of a width divisible by four. */
INL void sum_columns(const int vectors, const Layer *l, isize first, isize degree, isize lanes, const float *weights,
                     const float *inverse, isize column, float *out) {
    isize columns = l->heads * l->width, head[4];
    const float *hidden = (const float *)l->hidden.data + column;
    f4 sum[4];
    for (int v = 0; v < vectors; v++) sum[v] = splat(0.f), head[v] = (column + 4 * v) / l->width;
    for (isize e = 0; e < degree; e++) {
        const float *row = hidden + neighbor(&l->n, first + e) * columns;
        for (int v = 0; v < vectors; v++) sum[v] = madd(splat(weights[e * lanes + head[v]]), LOAD(row + 4 * v), sum[v]);
    }
    for (int v = 0; v < vectors; v++)
        STORE(out + (column + 4 * v - head[v] * l->width) + head[v] * l->out.head_step, sum[v] * splat(inverse[head[v]]));
}

static void weighted_sum(const Layer *l, isize first, isize degree, isize lanes, const float *weights, const float *inverse,
                         float *out) {
    isize columns = l->heads * l->width, column = 0;
    if (l->width % 4 == 0) {
        for (; column + 16 <= columns; column += 16) sum_columns(4, l, first, degree, lanes, weights, inverse, column, out);
        for (; column < columns; column += 4) sum_columns(1, l, first, degree, lanes, weights, inverse, column, out);
        return;
    }
    const float *hidden = (const float *)l->hidden.data;
    for (isize h = 0; h < l->heads; h++) {
        float *to = out + h * l->out.head_step;
        fill(to, l->width, 0.f);
        for (isize e = 0; e < degree; e++) {
            const float *row = hidden + neighbor(&l->n, first + e) * columns + h * l->width;
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

static f4 run(const Layer *l, isize lanes, float *workspace) {
    isize columns = l->heads * l->width;
    join_heads(l, workspace);
    multiply(l->nodes, columns, l->d, (const float *)l->x.data, step(&l->x, 2), workspace, columns, (float *)l->hidden.data, columns,
             PLAIN, workspace + l->d * columns);
    f4 bad = note_row(splat(0.f), (const float *)l->hidden.data, l->nodes * columns);
    float *query = workspace, *key = query + l->nodes * lanes, *weights = key + l->nodes * lanes;
    float *inverse = weights + l->n.longest * lanes;
    node_scores(l, &l->a_query, lanes, query);
    node_scores(l, &l->a_key, lanes, key);
    for (isize i = 0; i < l->nodes; i++) {
        isize first = (isize)l->n.start[i], degree = (isize)l->n.start[i + 1] - first;
        edge_weights(l, first, degree, lanes, query + i * lanes, key, weights, inverse);
        weighted_sum(l, first, degree, lanes, weights, inverse, l->out.data + i * l->out.node_step);
        if (!l->weights.data) continue;
        for (isize e = 0; e < degree; e++)
            for (isize h = 0; h < l->heads; h++)
                l->weights.data[(first + e) * l->weights.edge_step + h] = weights[e * lanes + h] * inverse[h];
    }
    return bad;
}

/* gat(x (V, D), w (H, D, E), a_query (H, E), a_key (H, E), indptr (V+1,), indices (K,), added (K, [H]) or None, hidden (V, H E),
 * out (V, H, E), weights (K, [H]) or None, negative_slope) -> True if x W is finite, else False; or None. `hidden` receives x W. */
PyObject *kernel_gat(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 11) return wrong_count();
    int ok = 1, valid, added_valid, weights_valid;
    Layer l;
    l.slope = get_float(args[10], &ok);
    if (!ok) return 0;
    if (!get_array(args[0], FLOAT32, 2, &l.x) || l.x.ndim != 2 || !get_array(args[1], FLOAT32, 3, &l.w) || l.w.ndim != 3 ||
        !get_array(args[2], FLOAT32, 2, &l.a_query) || l.a_query.ndim != 2 || !get_array(args[3], FLOAT32, 2, &l.a_key) ||
        l.a_key.ndim != 2 || !get_output(args[7], FLOAT32, 2, &l.hidden) || l.hidden.ndim != 2 || !l.hidden.contiguous ||
        !get_by_head(args[8], 1, &l.out) || l.out.array.ndim != 3)
        return declined();
    l.nodes = l.x.shape[0], l.d = l.x.shape[1], l.heads = l.w.shape[0], l.width = l.w.shape[2];
    if (!get_neighbors(args[4], args[5], l.nodes, l.nodes, &l.n, &valid) ||
        !get_by_edge(args[6], 0, l.n.edges, l.heads, &l.added, &added_valid) ||
        !get_by_edge(args[9], 1, l.n.edges, l.heads, &l.weights, &weights_valid))
        return declined();
    if (!valid) return wrong_value("gat: indptr or indices do not fit");
    if (!added_valid || !weights_valid || l.w.shape[1] != l.d || l.a_query.shape[0] != l.heads || l.a_query.shape[1] != l.width ||
        l.a_key.shape[0] != l.heads || l.a_key.shape[1] != l.width || l.hidden.shape[0] != l.nodes ||
        l.hidden.shape[1] != l.heads * l.width || l.out.nodes != l.nodes || l.out.heads != l.heads || l.out.width != l.width)
        return wrong_value("gat: shapes differ");
    const Array *arrays[] = {&l.x, &l.w, &l.a_query, &l.a_key, &l.n.indptr, &l.n.indices, l.added.data ? &l.added.array : 0,
                             &l.hidden, &l.out.array, l.weights.data ? &l.weights.array : 0};
    for (int i = 7; i < 10; i++)
        for (int j = 0; j < i; j++)
            if (arrays[i] && arrays[j] && !disjoint(arrays[i], arrays[j])) return declined();
    isize lanes = round_up(l.heads, 4);
    Workspace workspace;
    if (!workspace_get(&workspace, layer_workspace(&l, lanes))) return 0;
    void *python = release_python(((double)l.nodes * (double)l.d + (double)l.n.edges) * (double)(l.heads * l.width));
    f4 bad = run(&l, lanes, workspace.floats);
    regain_python(python);
    workspace_free(&workspace);
    return boolean(!is_bad(bad));
}
