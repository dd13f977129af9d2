#include "arguments.h"

/* The public start of PyArrayObject and of PyArray_Descr: the same in NumPy 1 and 2
 * (ndarraytypes.h). */
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

int arguments_setup(PyObject *probe, PyObject *address, PyObject *shape0, PyObject *stride0) {
    const NumpyArray *array = (const NumpyArray *)probe;
    usize data = (usize)PyLong_AsVoidPtr(address);
    isize rows = PyLong_AsSsize_t(shape0), stride = PyLong_AsSsize_t(stride0);
    if (PyErr_Occurred()) return 0;
    /* Compare from the front, so that a pointer is followed only after all fields before it were
     * verified. */
    if ((usize)array->data != data || array->ndim != 2 || array->shape[0] != rows ||
        array->strides[0] != stride || ((const NumpyDescr *)array->descr)->type_num != 11 ||
        !(array->flags & ALIGNED)) {
        PyErr_SetString(PyExc_ImportError, "numpy.ndarray is not laid out as the kernels expect");
        return 0;
    }
    ndarray_type = probe->type;
    return 1;
}

static Kind integer_kind(int size) { return size == 4 ? INT32 : size == 8 ? INT64 : OTHER; }

static Kind kind_of(PyObject *object) {
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

/* 1 if `object` is None, or exactly a numpy.ndarray (native byte order, aligned, writable if it is
 * to be written). Shape and strides are copied, since another thread may reshape the array. */
static int get_array(PyObject *object, Use use, Array *array) {
    array->kind = ABSENT;
    if (object == Py_None) return 1;
    Kind kind = kind_of(object);
    if (kind == OTHER) return 0;
    const NumpyArray *source = (const NumpyArray *)object;
    int written = use == WRITE || use == MAYBE_WRITE;
    if (source->ndim > MAX_AXES || !(source->flags & ALIGNED) ||
        (written && !(source->flags & WRITEABLE)))
        return 0;
    array->kind = kind;
    array->data = source->data;
    array->ndim = source->ndim;
    array->item = item_size(kind);
    array->contiguous = (source->flags & C_CONTIGUOUS) != 0;
    for (int i = 0; i < source->ndim; i++)
        array->shape[i] = source->shape[i], array->strides[i] = source->strides[i];
    return 1;
}

/* 1: read; 0: does not apply; -1: an exception is set. */
static int get_number(PyObject *object, const Operand *operand, Kind real, double *number,
                      isize *size) {
    *number = 0.0, *size = 0;
    if (operand->type == FLAG) {
        *number = object == &_Py_TrueStruct;
        return object == &_Py_TrueStruct || object == &_Py_FalseStruct;
    }
    if (operand->type == SIZE) {
        if (operand->use == MAYBE && object == Py_None) return 1;
        *number = 1.0; /* given */
        *size = PyLong_AsSsize_t(object);
        return *size == -1 && PyErr_Occurred() ? -1 : 1;
    }
    *number = PyFloat_AsDouble(object);
    if (*number == -1.0 && PyErr_Occurred()) return -1;
    return __builtin_fabs(*number) <= (real == FLOAT32 ? 3.4e38 : 1.7e308);
}

static PyObject *answer(Status status, const Call *call) {
    switch (status) {
        case DONE: return new_ref(&_Py_TrueStruct);
        case NOT_FINITE: return new_ref(&_Py_FalseStruct);
        case DECLINED: return new_ref(Py_None);
        case NO_MEMORY: return PyErr_NoMemory();
        default: PyErr_SetString(PyExc_ValueError, call->problem); return 0;
    }
}

/* Writes a checked call into `memory`, (n,) of int8. Code with its address can repeat the call
 * without Python. */
static Status bind(PyObject *memory, Kernel function, const Call *call) {
    Array room;
    if (!get_array(memory, WRITE, &room) || room.kind != INT8 || room.ndim != 1 || !room.contiguous)
        return DECLINED;
    if (room.shape[0] < (isize)sizeof(Bound) || (usize)room.data % _Alignof(Bound)) return DECLINED;
    Bound *bound = (Bound *)(void *)room.data;
    bound->function = function, bound->call = *call;
    return DONE;
}

PyObject *call_kernel(const Declaration *kernel, PyObject *const *args, isize count) {
    int binds = count == kernel->count + 1;
    if (count != kernel->count && !binds) {
        PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
        return 0;
    }
    Call call;
    Kind real = kind_of(args[0]);
    int usable = real == FLOAT32 || real == FLOAT64;
    for (int i = 0; i < kernel->count && usable; i++) {
        const Operand *operand = &kernel->operands[i];
        if (operand->type < NUMBER)
            usable = get_array(args[i], operand->use, &call.array[i]) &&
                array_fits(&call.array[i], operand, real);
        else usable = get_number(args[i], operand, real, &call.number[i], &call.size[i]);
        if (usable < 0) return 0;
    }
    if (!usable || !outputs_apart(&call, kernel->operands, kernel->count))
        return answer(DECLINED, &call);
    Kernel function = real == FLOAT32 ? kernel->float32 : kernel->float64;
    return answer(binds ? bind(args[count - 1], function, &call) : function(&call), &call);
}

/* The address of the whole block is stored before the aligned part. */
void *workspace_get(usize bytes) {
    enum { LINE = 64 };
    char *whole = PyMem_Malloc(bytes + LINE + sizeof(void *));
    if (!whole) return 0;
    char *aligned = (char *)(((usize)whole + sizeof(void *) + LINE - 1) & ~(usize)(LINE - 1));
    ((void **)(void *)aligned)[-1] = whole;
    return aligned;
}

void workspace_free(void *workspace) {
    if (workspace) PyMem_Free(((void **)workspace)[-1]);
}

/* Other Python threads run during a kernel if its work is large enough. As with NumPy's functions,
 * the arrays must not be changed meanwhile. */
#ifdef __wasm__ /* one thread only */
void *work_begin(double work) { return (void)work, (void *)0; }
void work_end(void *state) { (void)state; }
#else
enum { WORTHWHILE = 1 << 16 };
void *work_begin(double work) { return work < WORTHWHILE ? 0 : PyEval_SaveThread(); }
void work_end(void *state) {
    if (state) PyEval_RestoreThread(state);
}
#endif
