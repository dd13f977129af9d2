/* Products with a matrix of int8 codes, y[n][d] = (codes[n][d] - zero) * scale, decoded a few rows
 * at a time. */
#include "gemm.h"
#include "kernels.h"
#include "rows.h"

enum { ROWS = 64 }; /* decoded rows in memory */

typedef signed char c4 __attribute__((vector_size(4)));
typedef signed char c4u __attribute__((vector_size(4), aligned(1), may_alias));

/* The operands of both kernels, as declared. */
enum {
    X = int8_scores_x,
    CODES = int8_scores_codes,
    SCALE = int8_scores_scale,
    ZERO = int8_scores_zero,
    GROUP = int8_scores_group,
    OUT = int8_scores_out
};

enum { BATCH_OUT = GROUP }; /* its index in the batch, which excludes the integer GROUP */

typedef struct {
    const Array *a;
    isize group, queries, keys, d;
    int combine;
} Product;

/* A factor or zero point per row and group; steps in elements, 0 = shared. */
typedef struct {
    isize row, group;
} Steps;

static int core_axes(const Product *p, int which) {
    return p->a[which].ndim == 0 ? 0 : p->group ? 2 : 1;
}

static Steps steps_of(const Product *p, int which) {
    Steps steps = {0, 0};
    if (core_axes(p, which)) steps.row = step(&p->a[which], core_axes(p, which));
    if (core_axes(p, which) == 2) steps.group = step(&p->a[which], 1);
    return steps;
}

static void decode_row(const Product *p, const Batch *batch, Steps scales, Steps zeros, isize row,
                       real *out) {
    const signed char *codes = (const signed char *)batch->at[CODES] + row * step(&p->a[CODES], 2);
    const real *scale = (const real *)batch->at[SCALE] + row * scales.row;
    const signed char *zero = (const signed char *)batch->at[ZERO] + row * zeros.row;
    isize width = p->group ? p->group : p->d, k = 0;
    for (isize g = 0; k < p->d; g++) {
        isize end = min_size(p->d, k + width);
        v4 s = splat(scale[g * scales.group]), z = splat((real)zero[g * zeros.group]);
        for (; k + 4 <= end; k += 4) {
            c4 c = *(const c4u *)(codes + k);
            STORE(out + k, (__builtin_convertvector(c, v4) - z) * s);
        }
        for (; k < end; k++) out[k] = ((real)codes[k] - z[0]) * s[0];
    }
}

static void run(const Product *p, const Batch *batch, real *decoded, real *workspace) {
    const real *x = (const real *)batch->at[X];
    real *out = (real *)batch->at[BATCH_OUT];
    isize ldx = step(&p->a[X], 2), ldo = step(&p->a[OUT], 2);
    Steps scales = steps_of(p, SCALE), zeros = steps_of(p, ZERO);
    for (isize first = 0; first < p->keys; first += ROWS) {
        isize rows = min_size(ROWS, p->keys - first);
        for (isize r = 0; r < rows; r++)
            decode_row(p, batch, scales, zeros, first + r, decoded + r * p->d);
        if (p->combine)
            multiply(p->queries, p->d, rows, x + first, ldx, decoded, p->d, out, ldo,
                     first ? ADD_TO_C : PLAIN, workspace);
        else
            multiply(p->queries, rows, p->d, x, ldx, decoded, p->d, out + first, ldo, B_TRANSPOSED,
                     workspace);
    }
}

static int per_row_fits(const Product *p, int which) {
    const Array *a = &p->a[which];
    int core = core_axes(p, which);
    if (core == 0) return 1;
    if (a->ndim < core || len(a, core) != p->keys) return 0;
    return core == 1 || len(a, 1) == (p->d + p->group - 1) / p->group;
}

static Status product(Call *call, int combine) {
    Product p = {.a = call->array, .group = call->size[GROUP], .combine = combine};
    int grouped = call->number[GROUP] != 0.0;
    p.queries = len(&p.a[X], 2), p.keys = len(&p.a[CODES], 2), p.d = len(&p.a[CODES], 1);
    if (p.group < 0 || (grouped && p.group == 0) || len(&p.a[X], 1) != (combine ? p.keys : p.d) ||
        len(&p.a[OUT], 2) != p.queries || len(&p.a[OUT], 1) != (combine ? p.d : p.keys))
        return wrong(call, "int8: shapes differ");
    if (p.group > p.d) p.group = p.d;
    if (!per_row_fits(&p, SCALE) || !per_row_fits(&p, ZERO))
        return wrong(call, "int8: scale or zero point does not fit");
    Batch batch;
    batch_start(&batch, &p.a[OUT], 2);
    const int cores[] = {[X] = 2,
                         [CODES] = 2,
                         [SCALE] = core_axes(&p, SCALE),
                         [ZERO] = core_axes(&p, ZERO),
                         [OUT] = 2};
    for (int i = 0; i <= OUT; i++)
        if (i != GROUP && batch_add(&batch, &p.a[i], cores[i]) < 0)
            return wrong(call, "int8: leading axes do not broadcast");
    isize largest = combine ? multiply_workspace(p.d, ROWS) : multiply_workspace(ROWS, p.d);
    real *workspace = workspace_get((usize)(ROWS * p.d + largest) * sizeof(real));
    if (!workspace) return NO_MEMORY;
    void *state =
        work_begin((double)batch.count * (double)p.queries * (double)p.keys * (double)p.d);
    for (isize b = 0; b < batch.count; b++, batch_next(&batch))
        run(&p, &batch, workspace, workspace + ROWS * p.d);
    work_end(state);
    workspace_free(workspace);
    return DONE;
}

Status KERNEL(int8_scores)(Call *call) { return product(call, 0); }
Status KERNEL(int8_combine)(Call *call) { return product(call, 1); }
