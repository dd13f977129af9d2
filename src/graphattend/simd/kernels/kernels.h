/* What the files share: the entry points listed in module.c, and the few functions that one kernel borrows from another. */
#ifndef GA_KERNELS_H
#define GA_KERNELS_H

#include "mask.h"

#define KERNEL(name) PyObject *kernel_##name(PyObject *self, PyObject *const *args, isize count)
KERNEL(exp);
KERNEL(softmax);
KERNEL(segment_softmax);
KERNEL(matmul);
KERNEL(attend_one);
KERNEL(attend);
KERNEL(attend_vjp);
KERNEL(heads);
KERNEL(graph_attend);
KERNEL(graph_attend_vjp);
KERNEL(gat);
KERNEL(poincare);
KERNEL(int8_scores);
KERNEL(int8_combine);
KERNEL(favor);
KERNEL(rotate);
KERNEL(finite);
KERNEL(peak);
#undef KERNEL

/* Attention of one query over n keys, one pass over K and V. Returns a running test (note_bad) over all scores and the output,
 * which is bad if anything in q, K or V was infinite or NaN: their products cannot hide it. `stats`, or 0, receives the maximum of
 * the scores (-inf if nothing was visible) and the sum of exp(score - maximum). */
f4 attend_one(const float *q, const float *K, isize ldk, const float *V, isize ldv, isize n, isize d, isize e, float scale,
              Mask mask, float *out, float *stats);

/* Attention of many queries (flash.c). Rows of each matrix lie ld* floats apart; stats may be 0. */
typedef struct {
    const float *q, *K, *V;
    isize ldq, ldk, ldv, ldo, lds, queries, keys, d, e;
    float scale;
    float *out, *stats; /* per query the maximum of its scores and the sum of exp(score - maximum) */
} Attention;
enum { FEW_QUERIES = 2 }; /* one by one up to this: most lanes of a panel would idle */
isize attend_many_workspace(isize d, isize e); /* floats */
f4 attend_many(const Attention *attention, const Visible *visible, float *workspace);

/* C (m x n) = A (m x k) B (k x n), or with B given as (n x k), or added to C; multiply_workspace(n, k) floats to work in. */
typedef enum { PLAIN, B_TRANSPOSED, ADD_TO_C } Form;
isize multiply_workspace(isize n, isize k);
void multiply(isize m, isize n, isize k, const float *a, isize lda, const float *b, isize ldb, float *c, isize ldc, Form form,
              float *workspace);

/* 1 if start[0..segments] rises from 0 to `edges`. */
int segments_valid(const long long *start, isize segments, isize edges);

#endif
