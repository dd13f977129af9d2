/* y = exp(x - peak) and its sum, the core of every softmax here. */
#ifndef GA_SOFTMAX_H
#define GA_SOFTMAX_H

#include "expo.h"

float exp_and_sum(const float *x, float *y, isize n, float peak);

/* What to subtract before exp: a row without anything finite has the maximum -inf, and must not become NaN. */
INL float safe_peak(float m) { return m == MINUS_INFINITY ? 0.f : m; }

#endif
