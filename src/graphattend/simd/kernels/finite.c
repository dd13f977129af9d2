/* Whether an array holds neither NaN nor infinity, as fast as it can be read. */
#include "kernels.h"
#include "rows.h"

/* A finite sum has only finite terms. A sum that is not finite may have overflowed; its terms are
 * then tested one by one. */
static real note_long_row(const real *x, isize n) {
    vec s[8];
    for (int j = 0; j < 8; j++) s[j] = splatv(0);
    isize i = 0;
#pragma GCC unroll 1
    for (; i + 8 * LANES <= n; i += 8 * LANES) {
        const real *at = x + i;
        for (int j = 0; j < 4; j++) s[j] += LOADV(at + LANES * j);
        __asm__ volatile(
            "" ::
                : "memory"); /* too few registers for all eight loads before the sums */
        for (int j = 4; j < 8; j++) s[j] += LOADV(at + LANES * j);
    }
    vec sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    if (is_bad(vec_sum(sum * splatv(0)))) i = 0;
    return note_row(x + i, n - i);
}

Status KERNEL(finite)(Call *call) {
    const Array *x = &call->array[finite_x];
    isize n = len(x, 1);
    Batch batch;
    batch_start(&batch, x, 1);
    batch_add(&batch, x, 1);
    if (x->contiguous) { /* one long row */
        n *= batch.count;
        batch.count = 1;
    }
    real bad = 0;
    void *state = work_begin((double)batch.count * (double)n);
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        bad += note_long_row((const real *)batch.at[0], n);
    work_end(state);
    return finished(bad);
}
