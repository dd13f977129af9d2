/* exp of a contiguous array. */
#include "expo.h"
#include "kernels.h"

static void exp_array(const real *x, real *y, isize n) {
    const real *t = exp_table();
    isize i = 0;
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {
        vw v[4], e[4];
        for (int k = 0; k < 4; k++) v[k] = e[k] = LOADW(x + i + WIDE * k);
        exp_wides(4, t, e);
        for (int k = 0; k < 4; k++) {
            vw ended = selectw((mw)(v[k] > splatw(t[EXP_HIGH])), splatw(INFINITY), e[k]);
            STOREW(y + i + WIDE * k, selectw((mw)(v[k] == v[k]), ended, v[k]));
        }
    }
    for (; i < n; i++) {
        v4 v = splat(x[i]);
        y[i] = exp_ends(t, v, exp_small(t, v))[0];
    }
}

Status KERNEL(exp)(Call *call) {
    const Array *x = &call->array[exp_x], *out = &call->array[exp_out];
    if (!x->contiguous || !out->contiguous) return DECLINED;
    isize n = 1, m = 1;
    for (int i = 0; i < x->ndim; i++) n *= x->shape[i];
    for (int i = 0; i < out->ndim; i++) m *= out->shape[i];
    if (n != m) return wrong(call, "exp: x and out differ in size");
    void *state = work_begin((double)n);
    exp_array((const real *)x->data, (real *)out->data, n);
    work_end(state);
    return DONE;
}
