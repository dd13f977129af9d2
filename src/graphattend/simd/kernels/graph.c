/* Neighbour lists (CSR): row i of (indptr, indices) lists the nodes that i attends to. Rows of
 * neighbours are read where they lie, nothing is gathered into a copy. */
#include "graph.h"
#include "kernels.h"

int segments_valid(const long long *start, isize segments, isize edges) {
    if (segments < 0 || start[0] != 0 || start[segments] != (long long)edges) return 0;
    for (isize i = 0; i < segments; i++)
        if (start[i + 1] < start[i]) return 0;
    return 1;
}

int index_within(const Index *index, isize count, isize limit) {
    int outside = 0; /* negative numbers become large ones */
    if (index->wide)
        for (isize e = 0; e < count; e++)
            outside |= (unsigned long long)index->wide[e] >= (unsigned long long)limit;
    else
        for (isize e = 0; e < count; e++) outside |= (usize)(isize)index->narrow[e] >= (usize)limit;
    return !outside;
}

int get_neighbors(const Array *indptr, const Array *indices, isize nodes, isize targets,
                  Neighbors *n) {
    n->start = (const long long *)indptr->data;
    n->index = index_of(indices);
    n->edges = indices->shape[0];
    n->longest = 0;
    if (indptr->shape[0] != nodes + 1) return 0;
    void *state =
        work_begin((double)n->edges); /* these checks are what threads would else wait for */
    int fit =
        segments_valid(n->start, nodes, n->edges) && index_within(&n->index, n->edges, targets);
    for (isize i = 0; fit && i < nodes; i++)
        n->longest = max_size(n->longest, (isize)(n->start[i + 1] - n->start[i]));
    work_end(state);
    return fit;
}

enum { TOGETHER = 4 };

void edge_dots(const Neighbors *n, const ByHead *by, isize head, isize first, isize count,
               const real *x, real *out) {
    const real *rows[TOGETHER], *base = by->data + head * by->head_step;
    for (isize i = 0; i < count; i += TOGETHER) {
        for (int r = 0; r < TOGETHER; r++) {
            isize edge = first + min_size(i + r, count - 1); /* the last one again beyond the end */
            fetch_row(n, base, by->node_step, by->width, edge);
            rows[r] = base + neighbor(n, edge) * by->node_step;
        }
        dots(TOGETHER, rows, x, by->width, out + i);
    }
    if (count) STOREW(out + count, splatw(out[count - 1]));
}

/* `vectors` groups of columns: their sums stay in registers. */
#define SUM_COLUMNS(name, v, lanes, all, load, store, multiply_add)                                \
    INL void name(const int vectors, const Neighbors *n, const real *base, isize node_step,        \
                  isize first, isize count, const real *weights, real factor, int add,             \
                  real *out) {                                                                     \
        v sum[8];                                                                                  \
        for (int i = 0; i < vectors; i++) sum[i] = all(0);                                         \
        for (isize e = 0; e < count; e++) {                                                        \
            fetch_row(n, base, node_step, vectors * lanes, first + e);                             \
            const real *row = base + neighbor(n, first + e) * node_step;                           \
            v w = all(weights[e]);                                                                 \
            for (int i = 0; i < vectors; i++)                                                      \
                sum[i] = multiply_add(w, load(row + lanes * i), sum[i]);                           \
        }                                                                                          \
        for (int i = 0; i < vectors; i++) {                                                        \
            v whole = sum[i] * all(factor);                                                        \
            if (add) whole += load(out + lanes * i);                                               \
            store(out + lanes * i, whole);                                                         \
        }                                                                                          \
    }
SUM_COLUMNS(sum_wides, vw, WIDE, splatw, LOADW, STOREW, maddw)
#if WIDE > 4
SUM_COLUMNS(sum_fours, v4, 4, splat, LOAD, STORE, madd)
#endif

void edge_sum(const Neighbors *n, const ByHead *by, isize head, isize first, isize count,
              const real *weights, real factor, int add, real *out) {
    const real *base = by->data + head * by->head_step;
    isize j = 0, step = by->node_step;
#define SUM(some, vectors, lanes)                                                                  \
    for (; j + vectors * lanes <= by->width; j += vectors * lanes)                                 \
        some(vectors, n, base + j, step, first, count, weights, factor, add, out + j);
    SUM(sum_wides, 8, WIDE)
    SUM(sum_wides, 4, WIDE)
    SUM(sum_wides, 1, WIDE)
#if WIDE > 4
    SUM(sum_fours, 2, 4)
    SUM(sum_fours, 1, 4)
#endif
#undef SUM
    for (; j < by->width; j++) {
        real sum = 0;
        for (isize e = 0; e < count; e++)
            sum += weights[e] * base[neighbor(n, first + e) * step + j];
        out[j] = factor * sum + (add ? out[j] : 0);
    }
}

INL void sum_heads(const int vectors, const Neighbors *n, const ByHead *by, isize first,
                   isize count, const real *weights, isize lanes, const real *factor, int add,
                   isize column, real *out, isize head_step) {
    const real *base = by->data + column;
    v4 sum[4];
    isize head[4];
    for (int v = 0; v < vectors; v++) sum[v] = splat(0), head[v] = (column + 4 * v) / by->width;
    for (isize e = 0; e < count; e++) {
        fetch_row(n, base, by->node_step, 4 * vectors, first + e);
        const real *row = base + neighbor(n, first + e) * by->node_step;
        for (int v = 0; v < vectors; v++)
            sum[v] = madd(splat(weights[e * lanes + head[v]]), LOAD(row + 4 * v), sum[v]);
    }
    for (int v = 0; v < vectors; v++) {
        real *to = out + (column + 4 * v - head[v] * by->width) + head[v] * head_step;
        v4 whole = sum[v] * splat(factor[head[v]]);
        if (add) whole += LOAD(to);
        STORE(to, whole);
    }
}

void edge_sum_heads(const Neighbors *n, const ByHead *by, isize first, isize count,
                    const real *weights, isize lanes, const real *factor, int add, real *out,
                    isize head_step) {
    isize columns = by->heads * by->width, column = 0;
    for (; column + 16 <= columns; column += 16)
        sum_heads(4, n, by, first, count, weights, lanes, factor, add, column, out, head_step);
    for (; column < columns; column += 4)
        sum_heads(1, n, by, first, count, weights, lanes, factor, add, column, out, head_step);
}

void softmax_gradient(const real *weights, isize step, isize count, int plain, real *w, real *ds) {
    vw sums = splatw(0);
    for (isize e = 0; e < count; e++) w[e] = weights[e * step];
    STOREW(w + count, splatw(0));
    for (isize e = 0; e < count; e += WIDE) sums = maddw(LOADW(w + e), LOADW(ds + e), sums);
    vw mean = splatw(hsum(fold(sums)));
    for (isize e = 0; e < count; e += WIDE) {
        vw g = LOADW(ds + e) - mean;
        if (plain) STOREW(ds + e, g);
        else STOREW(ds + e, LOADW(w + e) * g);
    }
}
