/* Batched products of matrices, each optionally transposed. */
#include "gemm.h"
#include "kernels.h"

Status KERNEL(matmul)(Call *call) {
    const Array *a = &call->array[matmul_a], *b = &call->array[matmul_b],
                *out = &call->array[matmul_out];
    int ta = (int)call->size[matmul_transposes] & 1,
        tb = ((int)call->size[matmul_transposes] >> 1) & 1;
    isize m = len(a, ta ? 1 : 2), k = len(a, ta ? 2 : 1), n = len(b, tb ? 2 : 1);
    if (len(b, tb ? 1 : 2) != k) return wrong(call, "matmul: the inner lengths of a and b differ");
    if (len(out, 2) != m || len(out, 1) != n) return wrong(call, "matmul: out has the wrong shape");
    Batch batch;
    batch_start(&batch, out, 2);
    if (batch_add(&batch, out, 2) < 0 || batch_add(&batch, a, 2) < 0 || batch_add(&batch, b, 2) < 0)
        return wrong(call, "matmul: leading axes do not broadcast");

    isize lda = step(a, 2), ldb = step(b, 2), ldc = step(out, 2);
    Matrix left = {0, ta ? 1 : lda, ta ? lda : 1}, right = {0, tb ? 1 : ldb, tb ? ldb : 1};
    real *workspace = 0;
    if (m > FEW_ROWS || ta) {
        workspace = workspace_get((usize)multiply_workspace(n, k) * sizeof(real));
        if (!workspace) return NO_MEMORY;
    }
    void *state = work_begin((double)batch.count * (double)m * (double)n * (double)k);
    for (isize i = 0; i < batch.count; i++, batch_next(&batch)) {
        left.data = (const real *)batch.at[1];
        right.data = (const real *)batch.at[2];
        multiply_matrices(m, n, k, left, right, (real *)batch.at[0], ldc, 0, workspace);
    }
    work_end(state);
    workspace_free(workspace);
    return DONE;
}
