/* Neighbour lists and arrays by node, edge and head, as the graph kernels take them. */
#ifndef GA_GRAPH_H
#define GA_GRAPH_H

#include "args.h"

typedef struct {
    Array indptr, indices;
    const long long *start; /* (M+1,) */
    const long long *wide;  /* one of these two is set */
    const int *narrow;
    isize edges, longest; /* longest list */
} Neighbors;

static inline isize neighbor(const Neighbors *n, isize edge) { return n->wide ? (isize)n->wide[edge] : (isize)n->narrow[edge]; }

/* 0 if the kernel does not apply; *valid = 0 if the lists contradict themselves, `nodes` or `targets`. */
int get_neighbors(PyObject *indptr, PyObject *indices, isize nodes, isize targets, Neighbors *neighbors, int *valid);

/* An array (nodes, width) or (nodes, heads, width). */
typedef struct {
    Array array;
    float *data;
    isize nodes, heads, width, node_step, head_step;
} ByHead;
int get_by_head(PyObject *object, int output, ByHead *by);

/* An array (edges,) or (edges, heads), or None (data = 0). */
typedef struct {
    Array array;
    float *data;
    isize edge_step;
} ByEdge;
int get_by_edge(PyObject *object, int output, isize edges, isize heads, ByEdge *by, int *valid);

#endif
