#include "args.h"

/* The public start of PyArrayObject and of PyArray_Descr: the same in NumPy 1 and 2 (ndarraytypes.h). */
typedef struct {
    PyObject base;
    char *data;
    int ndim;
    isize *shape, *strides;
    PyObject *owner, *descr;
    int flags;
} NumpyArray;

typedef struct {
    PyObject base;
    PyObject *scalar_type;
    char kind, letter, byteorder, flags;
    int type_num;
} NumpyDescr;

enum { C_CONTIGUOUS = 1, ALIGNED = 0x100, WRITEABLE = 0x400 };

static void *ndarray_type;

int args_setup(PyObject *probe, PyObject *address, PyObject *shape0, PyObject *stride0) {
    const NumpyArray *array = (const NumpyArray *)probe;
    int ok = 1;
    usize data = (usize)PyLong_AsVoidPtr(address);
    isize rows = get_size(shape0, &ok), stride = get_size(stride0, &ok);
    if (!ok || PyErr_Occurred()) return 0;
    /* Compared from the front, so that nothing is followed before what precedes it was found to be in place. */
    if ((usize)array->data != data || array->ndim != 2 || array->shape[0] != rows || array->strides[0] != stride ||
        ((const NumpyDescr *)array->descr)->type_num != 11 || !(array->flags & ALIGNED)) {
        PyErr_SetString(PyExc_ImportError, "numpy.ndarray is not laid out as the kernels expect");
        return 0;
    }
    ndarray_type = probe->type;
    return 1;
}

static Kind integer_kind(int size) { return size == 4 ? INT32 : size == 8 ? INT64 : OTHER; }

Kind array_kind(PyObject *object) {
    if (object->type != ndarray_type) return OTHER;
    const NumpyDescr *descr = (const NumpyDescr *)((const NumpyArray *)object)->descr;
    if (descr->byteorder != '=' && descr->byteorder != '|') return OTHER;
    switch (descr->type_num) { /* NPY_TYPES */
        case 0: return BOOL;
        case 1: return INT8;
        case 5: return integer_kind(sizeof(int));
        case 7: return integer_kind(sizeof(long));
        case 9: return integer_kind(sizeof(long long));
        case 11: return FLOAT32;
        case 12: return FLOAT64;
        default: return OTHER;
    }
}

int get_strided(PyObject *object, Kind kind, int least, Array *array) {
    static const int sizes[] = {1, 1, 4, 8, 4, 8};
    if (array_kind(object) != kind || kind == OTHER) return 0;
    const NumpyArray *source = (const NumpyArray *)object;
    int ndim = source->ndim;
    if (ndim < least || ndim > MAX_AXES || !(source->flags & ALIGNED)) return 0;
    for (int i = 0; i < ndim; i++)
        if (source->shape[i] == 0) return 0;
    array->data = source->data;
    array->ndim = ndim;
    array->item = sizes[kind];
    array->writable = (source->flags & WRITEABLE) != 0;
    array->contiguous = (source->flags & C_CONTIGUOUS) != 0;
    for (int i = 0; i < ndim; i++) array->shape[i] = source->shape[i], array->strides[i] = source->strides[i];
    return 1;
}

int get_array(PyObject *object, Kind kind, int least, Array *array) {
    if (!get_strided(object, kind, least, array)) return 0;
    int last = array->ndim - 1;
    return last < 0 || array->shape[last] == 1 || array->strides[last] == array->item;
}

/* Sorted by stride, each axis must step over everything inside it. */
static int overlaps_itself(const Array *array) {
    isize strides[MAX_AXES], lengths[MAX_AXES];
    int n = 0;
    for (int i = 0; i < array->ndim; i++) {
        if (array->shape[i] == 1) continue;
        isize stride = array->strides[i] < 0 ? -array->strides[i] : array->strides[i];
        int j = n++;
        for (; j && strides[j - 1] > stride; j--) strides[j] = strides[j - 1], lengths[j] = lengths[j - 1];
        strides[j] = stride, lengths[j] = array->shape[i];
    }
    isize extent = array->item;
    for (int i = 0; i < n; i++) {
        if (strides[i] < extent) return 1;
        extent += strides[i] * (lengths[i] - 1);
    }
    return 0;
}

int get_output(PyObject *object, Kind kind, int least, Array *array) {
    return get_array(object, kind, least, array) && array->writable && (array->contiguous || !overlaps_itself(array));
}

static void extent(const Array *array, usize *low, usize *high) {
    usize first = (usize)array->data, last = first + (usize)array->item;
    for (int i = 0; i < array->ndim; i++) {
        isize reach = array->strides[i] * (array->shape[i] - 1);
        if (reach < 0) first += (usize)reach;
        else last += (usize)reach;
    }
    *low = first, *high = last;
}

int disjoint(const Array *a, const Array *b) {
    usize a_low, a_high, b_low, b_high;
    extent(a, &a_low, &a_high);
    extent(b, &b_low, &b_high);
    return a_high <= b_low || b_high <= a_low;
}

void batch_start(Batch *batch, const Array *output, int core) {
    batch->ndim = output->ndim - core;
    batch->operands = 0;
    batch->count = 1;
    for (int i = 0; i < batch->ndim; i++) {
        batch->shape[i] = output->shape[i];
        batch->index[i] = 0;
        batch->count *= output->shape[i];
    }
}

int batch_add(Batch *batch, const Array *array, int core) {
    int lead = array->ndim - core, missing = batch->ndim - lead, op = batch->operands;
    if (lead < 0 || missing < 0 || op == MAX_OPERANDS) return -1;
    for (int i = 0; i < batch->ndim; i++) {
        isize length = i < missing ? 1 : array->shape[i - missing];
        if (length != 1 && length != batch->shape[i]) return -1;
        batch->stride[op][i] = length == 1 ? 0 : array->strides[i - missing];
    }
    batch->at[op] = array->data;
    return batch->operands++;
}

void batch_next(Batch *batch) {
    for (int i = batch->ndim - 1; i >= 0; i--) {
        if (++batch->index[i] < batch->shape[i]) {
            for (int op = 0; op < batch->operands; op++) batch->at[op] += batch->stride[op][i];
            return;
        }
        batch->index[i] = 0;
        for (int op = 0; op < batch->operands; op++) batch->at[op] -= batch->stride[op][i] * (batch->shape[i] - 1);
    }
}

PyObject *declined(void) { return new_ref(Py_None); }

PyObject *wrong_count(void) {
    PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
    return 0;
}

PyObject *wrong_value(const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    return 0;
}

PyObject *boolean(int value) { return new_ref(value ? &_Py_TrueStruct : &_Py_FalseStruct); }

float get_float(PyObject *object, int *ok) {
    if (!*ok) return 0.f; /* an exception is set already */
    double value = PyFloat_AsDouble(object);
    if (value == -1.0 && PyErr_Occurred()) {
        *ok = 0;
    } else if (!(__builtin_fabs(value) <= 3.4e38)) {
        wrong_value("a number is not finite in float32");
        *ok = 0;
    }
    return *ok ? (float)value : 0.f;
}

isize get_size(PyObject *object, int *ok) {
    if (!*ok) return 0;
    isize value = PyLong_AsSsize_t(object);
    if (value == -1 && PyErr_Occurred()) *ok = 0;
    return value;
}

#ifdef __wasm__ /* one thread only */
void *release_python(double work) { return (void)work, (void *)0; }
void regain_python(void *state) { (void)state; }
#else
enum { WORTHWHILE = 1 << 16 };
void *release_python(double work) { return work < WORTHWHILE ? 0 : PyEval_SaveThread(); }
void regain_python(void *state) {
    if (state) PyEval_RestoreThread(state);
}
#endif

int workspace_get(Workspace *workspace, isize floats) {
    workspace->raw = PyMem_Malloc((usize)floats * sizeof(float) + 64);
    if (!workspace->raw) {
        PyErr_NoMemory();
        return 0;
    }
    workspace->floats = (float *)(((usize)workspace->raw + 63) & ~(usize)63);
    return 1;
}

void workspace_free(Workspace *workspace) { PyMem_Free(workspace->raw); }
