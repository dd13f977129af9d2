/* What the kernels ask of CPython and NumPy, for a host that has neither: numbers, arrays, errors and working memory in the
 * module's own memory. The caller (js/src/kernels/memory.ts) lays arguments out here and calls the same entry points. */
#include "args.h"

#define FROM_HOST __attribute__((visibility("default"), used))

/* Everything that is no array: the caller writes the value. */
typedef struct {
    PyObject base;
    double value;
} Number;

/* numpy.ndarray as args.c reads it, with room for the axes: the shape, then the strides in bytes. */
typedef struct {
    PyObject base;
    char *data;
    int ndim;
    isize *shape, *strides;
    PyObject *owner, *descr;
    int flags;
    isize axes[2][MAX_AXES];
} ArrayObject;

typedef struct {
    PyObject base;
    PyObject *scalar_type;
    char kind, letter, byteorder, flags;
    int type_num;
} Descr;

static PyObject types[1];
static Descr descrs[] = { /* in the order of Kind */
    [BOOL] = {.kind = 'b', .letter = '?', .byteorder = '|', .type_num = 0},
    [INT8] = {.kind = 'i', .letter = 'b', .byteorder = '|', .type_num = 1},
    [INT32] = {.kind = 'i', .letter = 'i', .byteorder = '=', .type_num = 5},
    [INT64] = {.kind = 'i', .letter = 'q', .byteorder = '=', .type_num = 9},
    [FLOAT32] = {.kind = 'f', .letter = 'f', .byteorder = '=', .type_num = 11},
    [FLOAT64] = {.kind = 'f', .letter = 'd', .byteorder = '=', .type_num = 12},
};
static const int items[] = {[BOOL] = 1, [INT8] = 1, [INT32] = 4, [INT64] = 8, [FLOAT32] = 4, [FLOAT64] = 8};

PyObject _Py_NoneStruct, _Py_TrueStruct, _Py_FalseStruct;
static PyObject value_error, type_error, import_error, memory_error;
PyObject *PyExc_ValueError = &value_error, *PyExc_TypeError = &type_error, *PyExc_ImportError = &import_error;

static PyObject *error;
static const char *error_text;
static char *top; /* of the memory in use */

FROM_HOST int array_bytes(void) { return sizeof(ArrayObject); }
FROM_HOST int array_axes(void) { return __builtin_offsetof(ArrayObject, axes); }
FROM_HOST int number_bytes(void) { return sizeof(Number); }
FROM_HOST int number_value(void) { return __builtin_offsetof(Number, value); }
FROM_HOST int most_axes(void) { return MAX_AXES; }
/* The number of a dtype, by NumPy's letter for it. */
FROM_HOST int kind_of(int letter) {
    for (int kind = 0; kind < OTHER; kind++)
        if (descrs[kind].letter == letter) return kind;
    return OTHER;
}
FROM_HOST PyObject *none(void) { return &_Py_NoneStruct; }
FROM_HOST PyObject *truth(int value) { return value ? &_Py_TrueStruct : &_Py_FalseStruct; }

/* Makes an array of what lies at `data`; the axes are written already. */
FROM_HOST void describe(ArrayObject *array, int kind, char *data, int ndim) {
    isize whole = items[kind];
    int contiguous = 1;
    for (int i = ndim - 1; i >= 0; i--) {
        contiguous &= array->axes[0][i] == 1 || array->axes[1][i] == whole;
        whole *= array->axes[0][i];
    }
    array->base = (PyObject){1, types};
    array->data = data;
    array->ndim = ndim;
    array->shape = array->axes[0], array->strides = array->axes[1];
    array->owner = 0, array->descr = &descrs[kind].base;
    array->flags = contiguous | 0x100 | 0x400; /* C_CONTIGUOUS, ALIGNED, WRITEABLE */
}

/* Before each call: what lies beyond `end` is free to work in. */
FROM_HOST void begin(char *end) { top = end, error = 0; }

FROM_HOST const char *failure(void) { return error_text; }
FROM_HOST int out_of_memory(void) { return error == &memory_error; }

/* Once: has args.c prove that arrays lie as it reads them. */
FROM_HOST int setup(void) {
    static float data[15];
    static ArrayObject probe;
    probe.axes[0][0] = 3, probe.axes[0][1] = 5, probe.axes[1][0] = 20, probe.axes[1][1] = 4;
    describe(&probe, FLOAT32, (char *)data, 2);
    Number address = {.value = (double)(usize)data}, rows = {.value = 3.0}, stride = {.value = 20.0};
    error = 0;
    return args_setup(&probe.base, &address.base, &rows.base, &stride.base);
}

void PyErr_SetString(PyObject *kind, const char *message) { error = kind, error_text = message; }
PyObject *PyErr_Occurred(void) { return error; }
PyObject *PyErr_NoMemory(void) { return PyErr_SetString(&memory_error, "out of memory"), (void *)0; }
double PyFloat_AsDouble(PyObject *object) { return ((const Number *)object)->value; }
isize PyLong_AsSsize_t(PyObject *object) { return (isize)((const Number *)object)->value; }
void *PyLong_AsVoidPtr(PyObject *object) { return (void *)(usize)((const Number *)object)->value; }
void Py_IncRef(PyObject *object) { (void)object; }

PyObject *PyFloat_FromDouble(double value) {
    static Number number;
    number.value = value;
    return &number.base;
}

/* Working memory ends with the call. */
void *PyMem_Malloc(usize bytes) {
    enum { PAGE = 65536 };
    usize start = ((usize)top + 63) & ~(usize)63, end = start + bytes, have = __builtin_wasm_memory_size(0) * PAGE;
    if (end < start) return 0;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (usize)-1) return 0;
    top = (char *)end;
    return (void *)start;
}
void PyMem_Free(void *memory) { (void)memory; }

/* What a compiler may ask of libc for structs. */
void *memcpy(void *to, const void *from, usize n) { return __builtin_memcpy(to, from, n); }
void *memset(void *to, int value, usize n) { return __builtin_memset(to, value, n); }
