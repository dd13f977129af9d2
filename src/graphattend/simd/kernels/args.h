/* Reading and checking the arrays a caller hands in. Nothing is dereferenced before it has been checked.
 *
 * A kernel answers in one of three ways: it does the work; it returns None, meaning "does not apply here, use NumPy" (dtype,
 * layout, alignment, overlap, emptiness: nothing wrong with the data); or it raises (wrong number of arguments, shapes that
 * contradict each other). */
#ifndef GA_ARGS_H
#define GA_ARGS_H

#include "pyabi.h"

#define MAX_AXES 8
#define MAX_OPERANDS 12

typedef enum { BOOL, INT8, INT32, INT64, FLOAT32, FLOAT64, OTHER } Kind;

typedef struct {
    char *data;
    int ndim;
    int item;     /* bytes per element */
    int writable;
    int contiguous;
    isize shape[MAX_AXES], strides[MAX_AXES]; /* copies, strides in bytes: another thread may reshape the array */
} Array;

/* Remembers numpy.ndarray and proves that its objects are laid out as we read them; 0 with an exception otherwise. */
int args_setup(PyObject *probe, PyObject *address, PyObject *shape0, PyObject *stride0);

Kind array_kind(PyObject *object);

/* 1 if `object` is exactly a numpy.ndarray of this kind: native byte order, aligned, not empty, between `least` and MAX_AXES
 * axes, whose last axis is contiguous. */
int get_array(PyObject *object, Kind kind, int least, Array *array);

/* The same without the condition on the last axis: any strides, 0 included. */
int get_strided(PyObject *object, Kind kind, int least, Array *array);

/* The same as get_array for an array to write to, which also must not overlap itself. */
int get_output(PyObject *object, Kind kind, int least, Array *array);

/* 1 if the two share no byte. */
int disjoint(const Array *a, const Array *b);

static inline int is_none(PyObject *object) { return object == Py_None; }

/* Length of axis `i` counted from the end (1 = last), and its stride in elements. */
static inline isize len(const Array *a, int i) { return a->shape[a->ndim - i]; }
static inline isize step(const Array *a, int i) { return a->strides[a->ndim - i] / a->item; }

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
/* Adds an operand, whose data is then at batch->at[result]; -1 if its leading axes do not broadcast. */
int batch_add(Batch *batch, const Array *array, int core);
void batch_next(Batch *batch);

PyObject *declined(void);               /* None */
PyObject *wrong_count(void);            /* TypeError */
PyObject *wrong_value(const char *why); /* ValueError */
PyObject *boolean(int value);

/* A float argument; on failure an exception is set and *ok becomes 0. */
float get_float(PyObject *object, int *ok);
isize get_size(PyObject *object, int *ok);

/* Between these two, other threads of Python run, if `work` (multiply-adds, about) is worth the change; nothing of Python may be
 * touched. As with NumPy's functions, nobody may change the arrays meanwhile. */
void *release_python(double work);
void regain_python(void *state);

/* Working memory aligned to a cache line, from Python's allocator. */
typedef struct {
    void *raw;
    float *floats;
} Workspace;
int workspace_get(Workspace *workspace, isize floats); /* 0 with MemoryError set */
void workspace_free(Workspace *workspace);

#endif
