/* Whether an array holds neither NaN nor infinity, as fast as it can be read. */
#include "args.h"
#include "kernels.h"
#include "rows.h"

/* A finite sum has only finite terms. It may overflow, so that another one is looked at term by term. */
static f4 note_long_row(f4 bad, const float *x, isize n) {
    f4 s[8];
    for (int j = 0; j < 8; j++) s[j] = splat(0.f);
    isize i = 0;
#pragma GCC unroll 1
    for (; i + 32 <= n; i += 32) {
        const float *at = x + i;
        for (int j = 0; j < 4; j++) s[j] += LOAD(at + 4 * j);
        __asm__ volatile("" ::: "memory"); /* not all eight loads before the sums: there are too few registers */
        for (int j = 4; j < 8; j++) s[j] += LOAD(at + 4 * j);
    }
    f4 sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    if (is_bad(note_bad(splat(0.f), sum))) i = 0;
    return note_row(bad, x + i, n - i);
}

static f4 note_row64(f4 sum, const double *x, isize n) {
    d2 a = splatd(0.0), b = a;
    isize i = 0;
    for (; i + 4 <= n; i += 4) a = maddd(LOADD(x + i), splatd(0.0), a), b = maddd(LOADD(x + i + 2), splatd(0.0), b);
    a += b;
    double rest = a[0] + a[1];
    for (; i < n; i++) rest += x[i] * 0.0;
    return sum + splat((float)rest);
}

/* finite(x) -> True or False; or None. x float32 or float64 with at least one axis. */
PyObject *kernel_finite(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 1) return wrong_count();
    Kind kind = array_kind(args[0]);
    Array x;
    if ((kind != FLOAT32 && kind != FLOAT64) || !get_array(args[0], kind, 1, &x)) return declined();
    isize n = len(&x, 1);
    Batch batch;
    batch_start(&batch, &x, 1);
    if (batch_add(&batch, &x, 1) < 0) return declined();
    if (x.contiguous) { /* one long row */
        n *= batch.count;
        batch.count = 1;
    }
    f4 bad = splat(0.f);
    void *python = release_python((double)batch.count * (double)n);
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        bad = kind == FLOAT32 ? note_long_row(bad, (const float *)batch.at[0], n) : note_row64(bad, (const double *)batch.at[0], n);
    regain_python(python);
    return boolean(!is_bad(bad));
}
