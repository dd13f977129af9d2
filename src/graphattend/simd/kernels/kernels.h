/* Functions that several kernels share. All of them take plain pointers. */
#ifndef GA_KERNELS_H
#define GA_KERNELS_H

#include "mask.h"

/* The kernels of kernels.def, in this dtype. */
#define KERNEL_BEGIN(name) Status KERNEL(name)(Call * call);
#define OPERAND(kernel, name, type, least, most, use)
#define KERNEL_END(name)
#include "kernels.def"
#undef KERNEL_BEGIN
#undef OPERAND
#undef KERNEL_END

/* Options that the npm package does not offer are left out of its build, to keep it small. */
#ifdef FOR_PAGES
enum { FULL = 0 };
#else
enum { FULL = 1 };
#endif

/* Attention of one query over n keys, in one pass over K and V. Returns a running test (is_bad) of
 * all scores and the output, which is bad if q, K or V contain infinity or NaN. `stats`, if not 0,
 * receives the maximum of the scores (-inf if nothing was visible) and the sum of exp(score -
 * maximum). */
#define attend_one K(attend_one)
real attend_one(const real *q, const real *K, isize ldk, const real *V, isize ldv, isize n, isize d,
                isize e, real scale, Mask mask, real *out, real *stats);

/* Attention of many queries (flash.c). Rows of each matrix lie ld* elements apart; stats may be 0.
 */
typedef struct {
    const real *q, *K, *V;
    isize ldq, ldk, ldv, ldo, lds, queries, keys, d, e;
    real scale;
    real *out, *stats; /* per query the maximum of its scores and the sum of exp(score - maximum) */
} Attention;
enum { FEW_QUERIES = WIDE / 2 }; /* computed one by one, because most lanes of a panel would idle */
#define attend_many_workspace K(attend_many_workspace)
isize attend_many_workspace(isize d, isize e); /* elements */
#define attend_many K(attend_many)
real attend_many(const Attention *attention, const Visible *visible, real *workspace);

/* out = x (d,) with its pairs rotated by position * frequency (rotate.c), for positions that
 * `rotates` accepts. */
#define rotates K(rotates)
int rotates(double position);
#define rotate_row K(rotate_row)
void rotate_row(const real *x, double position, const double *frequency, isize pairs, isize d,
                int interleaved, real *out);

/* 1 if start[0..segments] rises from 0 to `edges`. */
#define segments_valid K(segments_valid)
int segments_valid(const long long *start, isize segments, isize edges);

#endif
