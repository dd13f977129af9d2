/* Attention of a few queries that share their keys (few.c). */
#ifndef GA_FEW_H
#define GA_FEW_H

#include "mask.h"
#include "rotate.h"

typedef struct {
    const real *q, *K, *V, *bias; /* V and bias may be 0 */
    isize ldq, ldk, ldv, ldw, ldo, bias_query, bias_key, queries, keys, d, e;
    real scale, slope;
    int squares;
    const double *positions; /* or 0 */
    isize position_step;
    Mask mask;
    real *out, *weights;
} Few;

/* `turns` is set if there are positions. Returns the test of finiteness of all input but the bias.
 */
#define attend_few K(attend_few)
real attend_few(const Few *few, Turns *turns);

#endif
