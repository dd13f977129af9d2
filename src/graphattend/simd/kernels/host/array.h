/* Arrays from any host: plain memory with shape and strides. The code is independent of Python and
 * JavaScript. */
#ifndef GA_ARRAY_H
#define GA_ARRAY_H

typedef __PTRDIFF_TYPE__ isize; /* Py_ssize_t, npy_intp */
typedef __SIZE_TYPE__ usize;

#define MAX_AXES 8
#define MAX_OPERANDS 19

typedef enum { ABSENT, BOOL, INT8, INT32, INT64, FLOAT32, FLOAT64, OTHER } Kind;

typedef struct {
    char *data;
    Kind kind; /* ABSENT: an optional array that was not given */
    int ndim;
    int item; /* bytes per element */
    int contiguous;
    isize shape[MAX_AXES], strides[MAX_AXES]; /* strides in bytes */
} Array;

static inline int given(const Array *a) { return a->kind != ABSENT; }

/* Length of axis `i` counted from the end (1 = last), and its stride in elements. */
static inline isize len(const Array *a, int i) { return a->shape[a->ndim - i]; }
static inline isize step(const Array *a, int i) { return a->strides[a->ndim - i] / a->item; }

/* Whether outputs (..., rows, width) have the same batch. A broadcast output would be written
 * several times. */
static inline int same_batch(const Array *a, const Array *b) {
    if (a->ndim != b->ndim) return 0;
    for (int i = 0; i < a->ndim - 2; i++)
        if (a->shape[i] != b->shape[i]) return 0;
    return 1;
}

/* Bytes from `low` up to `high`. */
typedef struct {
    const char *low, *high;
} Extent;

/* Extends one element's extent to that of a row, whose last element is `reach` bytes away. */
static inline Extent stretched(Extent e, isize reach) {
    if (reach < 0) e.low += reach;
    else e.high += reach;
    return e;
}
static inline int apart(Extent a, Extent b) { return a.high <= b.low || b.high <= a.low; }

/* 1 if the two share no byte. */
int disjoint(const Array *a, const Array *b);

/* 1 if two elements of the array share a byte. */
int overlaps_itself(const Array *a);

/* The leading axes over which a kernel loops, broadcast as NumPy does. */
typedef struct {
    int ndim, operands;
    isize count;
    isize shape[MAX_AXES], index[MAX_AXES];
    isize stride[MAX_OPERANDS][MAX_AXES]; /* bytes */
    char *at[MAX_OPERANDS];
} Batch;

/* `core` trailing axes belong to the kernel; the others of the output are the batch. */
void batch_start(Batch *batch, const Array *output, int core);
/* Adds an operand, whose data is then at batch->at[result]; -1 if its leading axes do not
 * broadcast. */
int batch_add(Batch *batch, const Array *array, int core);
void batch_next(Batch *batch);

#endif
