/* Neighbour lists, and arrays per node, edge and head: the operands of the graph kernels. */
#ifndef GA_GRAPH_H
#define GA_GRAPH_H

#include "rows.h"

/* Integers of 32 or 64 bits, one for each edge. */
typedef struct {
    const long long *wide; /* one of these two is set, or neither */
    const int *narrow;
} Index;
static inline Index index_of(const Array *a) {
    return (Index){a->kind == INT64 ? (const long long *)a->data : 0,
                   a->kind == INT32 ? (const int *)a->data : 0};
}
static inline isize index_at(const Index *index, isize edge) {
    return index->wide ? (isize)index->wide[edge] : (isize)index->narrow[edge];
}
/* 0 unless all of them lie in [0, limit). */
#define index_within K(index_within)
int index_within(const Index *index, isize count, isize limit);

typedef struct {
    const long long *start; /* (M+1,) */
    Index index;
    isize edges, longest; /* longest list */
} Neighbors;

static inline isize neighbor(const Neighbors *n, isize edge) { return index_at(&n->index, edge); }

/* 0 if the lists are invalid or do not fit `nodes` or `targets`. */
#define get_neighbors K(get_neighbors)
int get_neighbors(const Array *indptr, const Array *indices, isize nodes, isize targets,
                  Neighbors *neighbors);

/* An array (nodes, width) or (nodes, heads, width), or none (data = 0). */
typedef struct {
    real *data;
    isize nodes, heads, width, node_step, head_step;
} ByHead;
static inline ByHead by_head(const Array *a) {
    if (!given(a)) return (ByHead){0, 0, 0, 0, 0, 0};
    int axes = a->ndim;
    return (ByHead){(real *)a->data,
                    a->shape[0],
                    axes == 3 ? a->shape[1] : 1,
                    len(a, 1),
                    a->strides[0] / a->item,
                    axes == 3 ? a->strides[1] / a->item : 0};
}
static inline real *row_at(const ByHead *by, isize node, isize head) {
    return by->data + node * by->node_step + head * by->head_step;
}
static inline int is_like(const ByHead *by, isize nodes, isize heads, isize width) {
    return by->nodes == nodes && by->heads == heads && by->width == width;
}

/* An array (edges,) or (edges, heads), or none (data = 0). */
typedef struct {
    real *data;
    isize edges, heads, edge_step;
} ByEdge;
static inline ByEdge by_edge(const Array *a) {
    if (!given(a)) return (ByEdge){0, 0, 0, 0};
    return (ByEdge){(real *)a->data, a->shape[0], a->ndim == 2 ? a->shape[1] : 1,
                    a->strides[0] / a->item};
}
static inline int edges_fit(const ByEdge *by, isize edges, isize heads) {
    return !by->data || (by->edges == edges && by->heads == heads);
}

/* Rows of neighbours are scattered in memory, so the processor cannot predict them. Those of the
 * edges AHEAD are prefetched, which includes the list of the next node. */
enum { AHEAD = 12 };
INL void fetch_row(const Neighbors *n, const real *base, isize node_step, isize width, isize edge) {
#ifndef __wasm__
    if (edge + AHEAD >= n->edges) return;
    const real *row = base + neighbor(n, edge + AHEAD) * node_step;
    for (isize k = 0; k < width; k += 64 / (isize)sizeof(real)) __builtin_prefetch(row + k);
    __builtin_prefetch(row + width - 1); /* rows may not be aligned to cache lines */
#else
    (void)n, (void)base, (void)node_step, (void)width, (void)edge;
#endif
}

/* The same for numbers by edge, which a transposed list reads at `order`. */
INL void fetch_edge(const Index *order, isize edges, const real *base, isize step, isize entry) {
#ifndef __wasm__
    if (entry + 2 * AHEAD < edges)
        __builtin_prefetch(base + index_at(order, entry + 2 * AHEAD) * step);
#else
    (void)order, (void)edges, (void)base, (void)step, (void)entry;
#endif
}

/* Number of elements for one number per edge of a list, in whole vectors. Some functions write
 * beyond the last edge, up to this size. */
INL isize edge_room(isize count) { return round_up(count, 4) + 2 * WIDE; }

/* out[e] = x . rows[neighbor(first + e)] of one head. The rest of the last vector repeats the last
 * number. */
#define edge_dots K(edge_dots)
void edge_dots(const Neighbors *n, const ByHead *rows, isize head, isize first, isize count,
               const real *x, real *out);

/* out = (or +=, if `add`) factor times the sum over e of weights[e] rows[neighbor(first + e)] of
 * one head. */
#define edge_sum K(edge_sum)
void edge_sum(const Neighbors *n, const ByHead *rows, isize head, isize first, isize count,
              const real *weights, real factor, int add, real *out);

/* out += the sum over e of pull[e * step] (scale[e] rows[neighbor(first + e)] - from); without
 * `scale` as if that were 1. */
#define edge_pull K(edge_pull)
void edge_pull(const Neighbors *n, const ByHead *rows, isize first, isize count, const real *pull,
               isize step, const real *scale, const real *from, real *out);

/* edge_sum for all heads in one pass over the list, for narrow adjacent heads (see side_by_side)
 * whose width is divisible by four: weights[e * lanes + head], factor[head]; the heads of `out` are
 * `head_step` apart. */
#define edge_sum_heads K(edge_sum_heads)
void edge_sum_heads(const Neighbors *n, const ByHead *rows, isize first, isize count,
                    const real *weights, isize lanes, const real *factor, int add, real *out,
                    isize head_step);
static inline int side_by_side(const ByHead *by) {
    return by->width % 4 == 0 && (by->heads == 1 || by->head_step == by->width);
}

/* `edge_dots` of all heads of a node's row of x: out[e * lanes + head], up to a multiple of four
 * heads. */
#define edge_dots_heads K(edge_dots_heads)
void edge_dots_heads(const Neighbors *n, const ByHead *rows, isize first, isize count,
                     const ByHead *x, isize node, isize lanes, real *out);

/* Converts scores with adjacent heads to exp(score - peak of the head), and sets `inverse` to one
 * over the heads' sums, 0 for a sum of 0. */
#define softmax_heads K(softmax_heads)
void softmax_heads(real *scores, isize count, isize lanes, real *inverse);

/* Four heads, or as many as there are; 0 in the others. */
INL v4 load_heads(const real *from, isize count) {
    if (count >= 4) return LOAD(from);
    v4 x = splat(0);
    for (isize r = 0; r < count; r++) x[r] = from[r];
    return x;
}
INL void store_heads(v4 x, isize count, real *to) {
    if (count >= 4) STORE(to, x);
    else
        for (isize r = 0; r < count; r++) to[r] = x[r];
}

/* Converts ds from the gradients of a list's weights (`step` apart) to those of its scores:
 * w (ds - sum of w ds), or with `plain` ds - sum of w ds. `w` and ds have edge_room(count)
 * elements, all of which are filled. */
#define softmax_gradient K(softmax_gradient)
void softmax_gradient(const real *weights, isize step, isize count, int plain, real *w, real *ds);

#endif
