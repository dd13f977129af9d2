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
KERNEL(peak);
#undef KERNEL

/* Attention of one query over n keys, one pass over K and V. Returns a running test (note_bad) over all scores and the output,
 * which is bad if anything in q, K or V was infinite or NaN: their products cannot hide it. */
f4 attend_one(const float *q, const float *K, isize ldk, const float *V, isize ldv, isize n, isize d, isize e, float scale,
              Mask mask, float *out, float *lse);

/* 1 if start[0..segments] rises from 0 to `edges`. */
int segments_valid(const long long *start, isize segments, isize edges);

#endif
