/* y = exp(x - peak) and its sum, the core of every softmax here. */
#ifndef GA_SOFTMAX_H
#define GA_SOFTMAX_H

#include "expo.h"

/* The same for n a multiple of sixteen; the sum is in four parts. */
f4 exp_sixteens(const float *x, float *y, isize n, float peak);

static inline float exp_and_sum(const float *x, float *y, isize n, float peak) {
    const float *t = exp_table();
    isize i = n & ~(isize)15;
    f4 sums = i ? exp_sixteens(x, y, i, peak) : splat(0.f);
    for (; i + 4 <= n; i += 4) {
        f4 e = exp_small(t, LOAD(x + i) - splat(peak));
        STORE(y + i, e);
        sums += e;
    }
    float sum = hsum(sums);
    for (; i < n; i++) {
        y[i] = exp_small(t, splat(x[i] - peak))[0];
        sum += y[i];
    }
    return sum;
}

/* What to subtract before exp: a row without anything finite has the maximum -inf, and must not become NaN. */
INL float safe_peak(float m) { return m == MINUS_INFINITY ? 0.f : m; }

#endif
