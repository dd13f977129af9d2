/* The exponential of FAVOR+ features. Choromanski et al., Rethinking Attention with Performers,
 * arXiv:2009.14794, lemma 1: exp(root x.w - root^2 |x|^2 / 2 - stabiliser). */
#include "kernels.h"
#include "rows.h"
#include "softmax.h"

/* Converts products z = x.w of n rows to exponentials, in place. The stabiliser is the maximum of
 * the whole exponent with `shift`, else of root z; per row for queries, over all rows for keys. */
static void features(real *z, isize ldz, const real *x, isize ldx, isize n, isize m, isize d,
                     real root, int query, int shift) {
    real top = MINUS_INFINITY;
    for (isize pass = query; pass < 2; pass++)
        for (isize i = 0; i < n; i++) {
            real *row = z + i * ldz;
            const real *xi = x + i * ldx;
            real half = dot(xi, xi, d) * ((real)0.5 * root * root);
            if (query || pass == 0) {
                real peak = row_max(row, m) * root - (shift ? half : 0);
                if (query || peak > top) top = peak;
            }
            if (pass == 0) continue;
            scale_row(row, m, root);
            exp_and_sum(row, row, m, half + top);
        }
}

Status KERNEL(favor)(Call *call) {
    const Array *z = &call->array[favor_z], *x = &call->array[favor_x];
    real root = (real)call->number[favor_root];
    int query = call->size[favor_query] != 0, shift = call->size[favor_shift] != 0;
    if (!(root > 0 && root <= 1)) return DECLINED;
    if (len(x, 2) != len(z, 2)) return wrong(call, "favor: z and x differ in the number of rows");
    Batch batch;
    batch_start(&batch, z, 2);
    if (batch_add(&batch, z, 2) < 0 || batch_add(&batch, x, 2) < 0)
        return wrong(call, "favor: leading axes do not broadcast");
    void *state = work_begin((double)batch.count * (double)len(z, 2) * (double)len(z, 1) * 8.0);
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        features((real *)batch.at[0], step(z, 2), (const real *)batch.at[1], step(x, 2), len(z, 2),
                 len(z, 1), len(x, 1), root, query, shift);
    work_end(state);
    return DONE;
}
