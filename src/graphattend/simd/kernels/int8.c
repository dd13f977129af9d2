/* Products with a matrix of int8 codes, y[n][d] = (codes[n][d] - zero) * scale, decoded a few rows at a time. */
#include "kernels.h"
#include "rows.h"

enum { ROWS = 64 }; /* rows that are held decoded */

typedef signed char c4 __attribute__((vector_size(4)));
typedef signed char c4u __attribute__((vector_size(4), aligned(1), may_alias));

enum { X, CODES, SCALE, ZERO, OUT };

typedef struct {
    Array a[OUT + 1];
    isize group, queries, keys, d;
    int combine;
} Product;

/* A factor or zero point per row and group; steps in elements, 0 = shared. */
typedef struct {
    isize row, group;
} Steps;

static int core_axes(const Product *p, int which) { return p->a[which].ndim == 0 ? 0 : p->group ? 2 : 1; }

static Steps steps_of(const Product *p, int which) {
    Steps steps = {0, 0};
    if (core_axes(p, which)) steps.row = step(&p->a[which], core_axes(p, which));
    if (core_axes(p, which) == 2) steps.group = step(&p->a[which], 1);
    return steps;
}

static void decode_row(const Product *p, const Batch *batch, Steps scales, Steps zeros, isize row, float *out) {
    const signed char *codes = (const signed char *)batch->at[CODES] + row * step(&p->a[CODES], 2);
    const float *scale = (const float *)batch->at[SCALE] + row * scales.row;
    const signed char *zero = (const signed char *)batch->at[ZERO] + row * zeros.row;
    isize width = p->group ? p->group : p->d, k = 0;
    for (isize g = 0; k < p->d; g++) {
        isize end = min_size(p->d, k + width);
        f4 s = splat(scale[g * scales.group]), z = splat((float)zero[g * zeros.group]);
        for (; k + 4 <= end; k += 4) {
            c4 c = *(const c4u *)(codes + k);
            STORE(out + k, (__builtin_convertvector(c, f4) - z) * s);
        }
        for (; k < end; k++) out[k] = ((float)codes[k] - z[0]) * s[0];
    }
}

static void run(const Product *p, const Batch *batch, float *decoded, float *workspace) {
    const float *x = (const float *)batch->at[X];
    float *out = (float *)batch->at[OUT];
    isize ldx = step(&p->a[X], 2), ldo = step(&p->a[OUT], 2);
    Steps scales = steps_of(p, SCALE), zeros = steps_of(p, ZERO);
    for (isize first = 0; first < p->keys; first += ROWS) {
        isize rows = min_size(ROWS, p->keys - first);
        for (isize r = 0; r < rows; r++) decode_row(p, batch, scales, zeros, first + r, decoded + r * p->d);
        if (p->combine)
            multiply(p->queries, p->d, rows, x + first, ldx, decoded, p->d, out, ldo, first ? ADD_TO_C : PLAIN, workspace);
        else multiply(p->queries, rows, p->d, x, ldx, decoded, p->d, out + first, ldo, B_TRANSPOSED, workspace);
    }
}

static int per_row_fits(const Product *p, int which) {
    const Array *a = &p->a[which];
    int core = core_axes(p, which);
    if (core == 0) return 1;
    if (a->ndim < core || len(a, core) != p->keys) return 0;
    return core == 1 || len(a, 1) == (p->d + p->group - 1) / p->group;
}

static PyObject *product(PyObject *const *args, isize count, int combine) {
    if (count != 6) return wrong_count();
    int ok = 1;
    Product p;
    p.combine = combine;
    p.group = is_none(args[4]) ? 0 : get_size(args[4], &ok);
    if (!ok) return 0;
    if (!get_array(args[X], FLOAT32, 2, &p.a[X]) || !get_array(args[CODES], INT8, 2, &p.a[CODES]) ||
        !get_strided(args[SCALE], FLOAT32, 0, &p.a[SCALE]) || !get_strided(args[ZERO], INT8, 0, &p.a[ZERO]) ||
        !get_output(args[5], FLOAT32, 2, &p.a[OUT]))
        return declined();
    for (int i = 0; i < OUT; i++)
        if (!disjoint(&p.a[i], &p.a[OUT])) return declined();
    p.queries = len(&p.a[X], 2), p.keys = len(&p.a[CODES], 2), p.d = len(&p.a[CODES], 1);
    if (p.group < 0 || (!is_none(args[4]) && p.group == 0) || len(&p.a[X], 1) != (combine ? p.keys : p.d) ||
        len(&p.a[OUT], 2) != p.queries || len(&p.a[OUT], 1) != (combine ? p.d : p.keys))
        return wrong_value("int8: shapes differ");
    if (p.group > p.d) p.group = p.d;
    if (!per_row_fits(&p, SCALE) || !per_row_fits(&p, ZERO)) return wrong_value("int8: scale or zero point does not fit");
    Batch batch;
    batch_start(&batch, &p.a[OUT], 2);
    for (int i = 0; i <= OUT; i++)
        if (batch_add(&batch, &p.a[i], i == SCALE || i == ZERO ? core_axes(&p, i) : 2) != i)
            return wrong_value("int8: leading axes do not broadcast");
    Workspace workspace;
    isize largest = combine ? multiply_workspace(p.d, ROWS) : multiply_workspace(ROWS, p.d);
    if (!workspace_get(&workspace, ROWS * p.d + largest)) return 0;
    for (isize b = 0; b < batch.count; b++, batch_next(&batch)) run(&p, &batch, workspace.floats, workspace.floats + ROWS * p.d);
    workspace_free(&workspace);
    return boolean(1);
}

/* int8_scores(x (..., M, D), codes (..., N, D), scale, zero, group or None, out (..., M, N)) -> True, or None: out = x y'.
 * scale float32 and zero int8: (), (..., N), or with groups of columns (..., N, G). */
PyObject *kernel_int8_scores(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    return product(args, count, 0);
}

/* int8_combine(x (..., M, N), codes (..., N, D), scale, zero, group or None, out (..., M, D)) -> True, or None: out = x y. */
PyObject *kernel_int8_combine(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    return product(args, count, 1);
}
