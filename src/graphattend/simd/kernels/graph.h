/* Neighbour lists and arrays by node, edge and head, as the graph kernels take them. */
#ifndef GA_GRAPH_H
#define GA_GRAPH_H

#include "vec.h"

typedef struct {
    const long long *start; /* (M+1,) */
    const long long *wide;  /* one of these two is set */
    const int *narrow;
    isize edges, longest; /* longest list */
} Neighbors;

static inline isize neighbor(const Neighbors *n, isize edge) { return n->wide ? (isize)n->wide[edge] : (isize)n->narrow[edge]; }

/* 0 if the lists contradict themselves, `nodes` or `targets`. */
#define get_neighbors K(get_neighbors)
int get_neighbors(const Array *indptr, const Array *indices, isize nodes, isize targets, Neighbors *neighbors);

/* An array (nodes, width) or (nodes, heads, width). */
typedef struct {
    real *data;
    isize nodes, heads, width, node_step, head_step;
} ByHead;
static inline ByHead by_head(const Array *a) {
    int axes = a->ndim;
    return (ByHead){(real *)a->data, a->shape[0], axes == 3 ? a->shape[1] : 1, len(a, 1), a->strides[0] / a->item,
                    axes == 3 ? a->strides[1] / a->item : 0};
}

/* An array (edges,) or (edges, heads), or none (data = 0). */
typedef struct {
    real *data;
    isize edges, heads, edge_step;
} ByEdge;
static inline ByEdge by_edge(const Array *a) {
    if (!given(a)) return (ByEdge){0, 0, 0, 0};
    return (ByEdge){(real *)a->data, a->shape[0], a->ndim == 2 ? a->shape[1] : 1, a->strides[0] / a->item};
}
static inline int edges_fit(const ByEdge *by, isize edges, isize heads) {
    return !by->data || (by->edges == edges && by->heads == heads);
}

#endif
