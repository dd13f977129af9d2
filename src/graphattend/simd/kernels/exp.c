/* exp of a contiguous array, float32 or float64. */
#include "args.h"
#include "expo.h"
#include "kernels.h"

static void exp_float(const float *x, float *y, isize n) {
    const float *t = exp_table();
    isize i = 0;
#if WIDE > 4
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {
        fw v[4], e[4];
        for (int k = 0; k < 4; k++) v[k] = e[k] = LOADW(x + i + WIDE * k);
        exp_wides(4, t, e);
        for (int k = 0; k < 4; k++) {
            fw y4 = selectw((iw)(v[k] > splatw(t[11])), splatw(__builtin_inff()), e[k]);
            STOREW(y + i + WIDE * k, selectw((iw)(v[k] == v[k]), y4, v[k]));
        }
    }
#endif
    for (; i + 16 <= n; i += 16) {
        f4 v[4], e[4];
        for (int k = 0; k < 4; k++) v[k] = e[k] = LOAD(x + i + 4 * k);
        exp_vectors(4, t, e);
        for (int k = 0; k < 4; k++) STORE(y + i + 4 * k, exp_ends(t, v[k], e[k]));
    }
    for (; i < n; i++) y[i] = exp_any(t, splat(x[i]))[0];
}

static void exp_float64(const double *x, double *y, isize n) {
    isize i = 0;
    for (; i + 2 <= n; i += 2) STORED(y + i, exp_double(LOADD(x + i)));
    for (; i < n; i++) y[i] = exp_double(splatd(x[i]))[0];
}

/* exp(x, out) -> True, or None */
PyObject *kernel_exp(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 2) return wrong_count();
    Kind kind = array_kind(args[0]);
    Array x, out;
    if (kind != FLOAT32 && kind != FLOAT64) return declined();
    if (!get_array(args[0], kind, 1, &x) || !get_output(args[1], kind, 1, &out)) return declined();
    if (!x.contiguous || !out.contiguous || !disjoint(&x, &out)) return declined();
    isize n = 1, m = 1;
    for (int i = 0; i < x.ndim; i++) n *= x.shape[i];
    for (int i = 0; i < out.ndim; i++) m *= out.shape[i];
    if (n != m) return wrong_value("exp: x and out differ in size");
    void *python = release_python((double)n);
    if (kind == FLOAT32) exp_float((const float *)x.data, (float *)out.data, n);
    else exp_float64((const double *)x.data, (double *)out.data, n);
    regain_python(python);
    return boolean(1);
}
