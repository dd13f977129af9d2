/* The exponential of FAVOR+ features. Choromanski et al., Rethinking Attention with Performers, arXiv:2009.14794, lemma 1:
 * exp(root x.w - root^2 |x|^2 / 2 - stabiliser). */
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

/* From products z = x.w of n rows to exponentials, in place. `shift`: the stabiliser is the maximum of the whole exponent, else that
 * of root z only; per row for queries, one for all rows of keys. */
static void features(float *z, isize ldz, const float *x, isize ldx, isize n, isize m, isize d, float root, int query, int shift) {
    float top = MINUS_INFINITY;
    for (isize pass = query; pass < 2; pass++)
        for (isize i = 0; i < n; i++) {
            float *row = z + i * ldz;
            const float *xi = x + i * ldx;
            float half = dot(xi, xi, d) * (0.5f * root * root);
            if (query || pass == 0) {
                float peak = row_max(row, m) * root - (shift ? half : 0.f);
                if (query || peak > top) top = peak;
            }
            if (pass == 0) continue;
            scale_row(row, m, root);
            exp_and_sum(row, row, m, half + top);
        }
}

/* favor(z (..., N, m), x (..., N, D), root, query, shift) -> True, or None. z is overwritten. */
PyObject *kernel_favor(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 5) return wrong_count();
    int ok = 1;
    float root = get_float(args[2], &ok);
    isize query = get_size(args[3], &ok), shift = get_size(args[4], &ok);
    if (!ok) return 0;
    Array z, x;
    if (!(root > 0.f && root <= 1.f) || !get_output(args[0], FLOAT32, 2, &z) || !get_array(args[1], FLOAT32, 2, &x) || !disjoint(&x, &z))
        return declined();
    if (len(&x, 2) != len(&z, 2)) return wrong_value("favor: z and x differ in the number of rows");
    Batch batch;
    batch_start(&batch, &z, 2);
    if (batch_add(&batch, &z, 2) < 0 || batch_add(&batch, &x, 2) < 0) return wrong_value("favor: leading axes do not broadcast");
    void *python = release_python((double)batch.count * (double)len(&z, 2) * (double)len(&z, 1) * 8.0);
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        features((float *)batch.at[0], step(&z, 2), (const float *)batch.at[1], step(&x, 2), len(&z, 2), len(&z, 1), len(&x, 1), root,
                 query != 0, shift != 0);
    regain_python(python);
    return boolean(1);
}
