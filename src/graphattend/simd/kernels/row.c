/* One row: scaled, its maximum, and whether it is finite. */
#include "rows.h"

void scale_row(real *x, isize n, real factor) {
    isize i = 0;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {
        vw a = LOADW(x + i), b = LOADW(x + i + WIDE), c = LOADW(x + i + 2 * WIDE),
           d = LOADW(x + i + 3 * WIDE), f = splatw(factor);
        STOREW(x + i, a * f), STOREW(x + i + WIDE, b * f), STOREW(x + i + 2 * WIDE, c * f),
            STOREW(x + i + 3 * WIDE, d * f);
    }
    for (; i + LANES <= n; i += LANES) STOREV(x + i, LOADV(x + i) * splatv(factor));
    for (; i < n; i++) x[i] *= factor;
}

real row_max(const real *x, isize n) {
    vw p = splatw(MINUS_INFINITY), q = p, r = p, s = p;
    isize i = 0;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {
        p = vmaxw(p, LOADW(x + i)), q = vmaxw(q, LOADW(x + i + WIDE));
        r = vmaxw(r, LOADW(x + i + 2 * WIDE)), s = vmaxw(s, LOADW(x + i + 3 * WIDE));
    }
    p = vmaxw(vmaxw(p, q), vmaxw(r, s));
    vec top = narrow_max(p);
    for (; i + LANES <= n; i += LANES) top = vmaxv(top, LOADV(x + i));
    real m = top[0];
    for (int k = 1; k < LANES; k++)
        if (top[k] > m) m = top[k];
    for (; i < n; i++)
        if (x[i] > m) m = x[i];
    return m;
}

real note_row(const real *x, isize n) {
    vw wide = splatw(0), other = wide;
    vec last = splatv(0);
    real rest = 0;
    isize i = 0;
    for (; i + 2 * WIDE <= n; i += 2 * WIDE)
        wide = note_badw(wide, LOADW(x + i)), other = note_badw(other, LOADW(x + i + WIDE));
    for (; i + LANES <= n; i += LANES) last += LOADV(x + i) * splatv(0);
    for (; i < n; i++) rest += x[i] * 0;
    return hsum(fold(wide + other)) + vec_sum(last) + rest;
}
