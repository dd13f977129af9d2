/* y = exp(x - peak) and its sum, the core of every softmax. */
#ifndef GA_SOFTMAX_H
#define GA_SOFTMAX_H

#include "expo.h"

/* The same for n a multiple of 4 LANES. */
#define exp_blocks K(exp_blocks)
real exp_blocks(const real *x, real *y, isize n, real peak);

SHARED real exp_and_sum(const real *x, real *y, isize n, real peak) {
    const real *t = exp_table();
    isize i = n & ~(isize)(4 * LANES - 1);
    real sum = i ? exp_blocks(x, y, i, peak) : 0;
    vec sums = splatv(0);
    for (; i + LANES <= n; i += LANES) {
        vec e = LOADV(x + i) - splatv(peak);
        exp_vectors(1, t, &e);
        STOREV(y + i, e);
        sums += e;
    }
    if (i < n) { /* the rest in one vector */
        vec e = splatv(MINUS_INFINITY);
        for (isize r = i; r < n; r++) e[r - i] = x[r] - peak;
        exp_vectors(1, t, &e);
        for (isize r = i; r < n; r++) y[r] = e[r - i];
        sums += e;
    }
    return sum + vec_sum(sums);
}

/* The number to subtract before exp. A row of -inf has the maximum -inf and must not become NaN. */
INL real safe_peak(real m) { return m == MINUS_INFINITY ? 0 : m; }

#endif
