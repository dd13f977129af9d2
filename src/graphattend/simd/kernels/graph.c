/* Neighbour lists (CSR): row i of (indptr, indices) lists the nodes that i attends to. Rows of neighbours are read where they lie,
 * nothing is gathered into a copy. */
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
        for (isize e = 0; e < count; e++) outside |= (unsigned long long)index->wide[e] >= (unsigned long long)limit;
    else
        for (isize e = 0; e < count; e++) outside |= (usize)(isize)index->narrow[e] >= (usize)limit;
    return !outside;
}

int get_neighbors(const Array *indptr, const Array *indices, isize nodes, isize targets, Neighbors *n) {
    n->start = (const long long *)indptr->data;
    n->index = index_of(indices);
    n->edges = indices->shape[0];
    n->longest = 0;
    if (indptr->shape[0] != nodes + 1 || !segments_valid(n->start, nodes, n->edges)) return 0;
    for (isize i = 0; i < nodes; i++) n->longest = max_size(n->longest, (isize)(n->start[i + 1] - n->start[i]));
    return index_within(&n->index, n->edges, targets);
}

enum { TOGETHER = 4 };

void edge_dots(const Neighbors *n, const ByHead *by, isize head, isize first, isize count, const real *x, real *out) {
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

/* `vectors` groups of WIDE columns: their sums stay in registers. */
INL void sum_columns(const int vectors, const Neighbors *n, const real *base, isize node_step, isize first, isize count,
                     const real *weights, real factor, int add, real *out) {
    vw sum[8];
    for (int v = 0; v < vectors; v++) sum[v] = splatw(0);
    for (isize e = 0; e < count; e++) {
        fetch_row(n, base, node_step, vectors * WIDE, first + e);
        const real *row = base + neighbor(n, first + e) * node_step;
        vw w = splatw(weights[e]);
        for (int v = 0; v < vectors; v++) sum[v] = maddw(w, LOADW(row + WIDE * v), sum[v]);
    }
    for (int v = 0; v < vectors; v++) {
        vw whole = sum[v] * splatw(factor);
        STOREW(out + WIDE * v, add ? whole + LOADW(out + WIDE * v) : whole);
    }
}

void edge_sum(const Neighbors *n, const ByHead *by, isize head, isize first, isize count, const real *weights, real factor, int add,
              real *out) {
    const real *base = by->data + head * by->head_step;
    isize j = 0, step = by->node_step;
#define SUM(vectors)                                     \
    for (; j + vectors * WIDE <= by->width; j += vectors * WIDE) \
        sum_columns(vectors, n, base + j, step, first, count, weights, factor, add, out + j);
    SUM(8)
    SUM(4)
    SUM(1)
#undef SUM
    for (; j < by->width; j++) {
        real sum = 0;
        for (isize e = 0; e < count; e++) sum += weights[e] * base[neighbor(n, first + e) * step + j];
        out[j] = factor * sum + (add ? out[j] : 0);
    }
}
