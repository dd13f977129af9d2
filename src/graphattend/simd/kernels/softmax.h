/* y = exp(x - peak) and its sum, the core of every softmax here. */
#ifndef GA_SOFTMAX_H
#define GA_SOFTMAX_H

#include "expo.h"

static inline float exp_and_sum(const float *x, float *y, isize n, float peak) {
    const float *t = exp_table();
    f4 sum0 = splat(0.f), sum1 = sum0, top = splat(peak);
    isize i = 0;
    for (; i + 16 <= n; i += 16) { /* four at a time share the loads of the coefficients */
        f4 a = exp_small(t, LOAD(x + i) - top), b = exp_small(t, LOAD(x + i + 4) - top);
        f4 c = exp_small(t, LOAD(x + i + 8) - top), d = exp_small(t, LOAD(x + i + 12) - top);
        STORE(y + i, a), STORE(y + i + 4, b), STORE(y + i + 8, c), STORE(y + i + 12, d);
        sum0 += a + c, sum1 += b + d;
    }
    for (; i + 4 <= n; i += 4) {
        f4 a = exp_small(t, LOAD(x + i) - top);
        STORE(y + i, a);
        sum0 += a;
    }
    float sum = hsum(sum0 + sum1);
    for (; i < n; i++) {
        y[i] = exp_small(t, splat(x[i]) - top)[0];
        sum += y[i];
    }
    return sum;
}

/* What to subtract before exp: a row without anything finite has the maximum -inf, and must not become NaN. */
INL float safe_peak(float m) { return m == MINUS_INFINITY ? 0.f : m; }

#endif
