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
    isize i = 0;
    for (; i + TOGETHER <= count; i += TOGETHER) {
        for (int r = 0; r < TOGETHER; r++) {
            fetch_row(n, base, by->node_step, by->width, first + i + r);
            rows[r] = base + neighbor(n, first + i + r) * by->node_step;
        }
        dots(TOGETHER, rows, x, by->width, out + i);
    }
    for (; i < count; i++) {
        fetch_row(n, base, by->node_step, by->width, first + i);
        rows[0] = base + neighbor(n, first + i) * by->node_step;
        dots(1, rows, x, by->width, out + i);
    }
}

/* `vectors` groups of WIDE columns: their sums stay in registers. */
INL void sum_columns(const int vectors, const Neighbors *n, const real *base, isize node_step, isize first, isize count,
                     const real *weights, int add, real *out) {
    vw sum[8];
    for (int v = 0; v < vectors; v++) sum[v] = add ? LOADW(out + WIDE * v) : splatw(0);
    for (isize e = 0; e < count; e++) {
        fetch_row(n, base, node_step, vectors * WIDE, first + e);
        const real *row = base + neighbor(n, first + e) * node_step;
        vw w = splatw(weights[e]);
        for (int v = 0; v < vectors; v++) sum[v] = maddw(w, LOADW(row + WIDE * v), sum[v]);
    }
    for (int v = 0; v < vectors; v++) STOREW(out + WIDE * v, sum[v]);
}

void edge_sum(const Neighbors *n, const ByHead *by, isize head, isize first, isize count, const real *weights, int add,
              real *out) {
    const real *base = by->data + head * by->head_step;
    isize j = 0, step = by->node_step;
    for (; j + 8 * WIDE <= by->width; j += 8 * WIDE) sum_columns(8, n, base + j, step, first, count, weights, add, out + j);
    for (; j + 4 * WIDE <= by->width; j += 4 * WIDE) sum_columns(4, n, base + j, step, first, count, weights, add, out + j);
    for (; j + WIDE <= by->width; j += WIDE) sum_columns(1, n, base + j, step, first, count, weights, add, out + j);
    if (j == by->width) return;
    if (!add) fill(out + j, by->width - j, 0);
    for (isize e = 0; e < count; e++) {
        const real *row = base + neighbor(n, first + e) * step + j;
        add_rows(1, &row, weights + e, by->width - j, out + j);
    }
}
