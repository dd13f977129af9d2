/* y = exp(x - peak) and its sum, the core of every softmax. */
#ifndef GA_SOFTMAX_H
#define GA_SOFTMAX_H

#include "expo.h"

/* The same for n a multiple of 4 LANES. */
#define exp_blocks K(exp_blocks)
real exp_blocks(const real *x, real *y, isize n, real peak);

#define exp_and_sum K(exp_and_sum)
real exp_and_sum(const real *x, real *y, isize n, real peak);

/* The number to subtract before exp. A row of -inf has the maximum -inf and must not become NaN. */
INL real safe_peak(real m) { return m == MINUS_INFINITY ? 0 : m; }

#endif
