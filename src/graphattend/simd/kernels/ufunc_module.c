/* The extension module graphattend.simd._ufuncs: installs the loops in NumPy and removes them.
 * Built without Python's or NumPy's headers, on the stable ABI. */
#include "python/pyabi.h"
#include "ufunc_loops.h"

extern void *PyCapsule_GetPointer(PyObject *, const char *);
extern int PyObject_IsInstance(PyObject *, PyObject *);
extern PyObject *PyTuple_New(isize);
extern int PyTuple_SetItem(PyObject *, isize, PyObject *);
extern PyObject *Py_BuildValue(const char *, ...);
extern PyObject *PyBool_FromLong(long);

/* NumPy's ufunc C-API: indices in the table of numpy.core._multiarray_umath._UFUNC_API.
 */
enum { API_UFUNC_TYPE = 0, API_REPLACE_LOOP = 30 };
typedef int ReplaceLoop(PyObject *ufunc, UFuncLoop *loop, const int *signature,
                        UFuncLoop **previous);

/* type numbers of NumPy */
enum { NPY_BOOL = 0, NPY_FLOAT = 11, NPY_DOUBLE = 12, T_f32 = NPY_FLOAT, T_f64 = NPY_DOUBLE };

typedef struct {
    const char *ufunc, *dtype;
    int signature[3];
    UFuncLoop *loop;
} Entry;

#define SIGNATURE_UNARY(T) {T, T}
#define SIGNATURE_BINARY(T) {T, T, T}
#define SIGNATURE_COMPARISON(T) {T, T, NPY_BOOL}
#define NAME_f32 "float32"
#define NAME_f64 "float64"
#define ENTRY(ufunc, dtype, kind)                                                                  \
    {#ufunc, NAME_##dtype, SIGNATURE_##kind(T_##dtype), loop_##ufunc##_##dtype},

static const Entry entries[LOOP_COUNT] = {UFUNC_LOOPS(ENTRY)};
UFuncLoop *original_loops[LOOP_COUNT];

static void **api_table(PyObject *capsule) { return PyCapsule_GetPointer(capsule, 0); }

/* Checks (capsule, ufunc, index) and returns the index, or -1 with an exception set. */
static long checked_index(PyObject *const *args, isize count) {
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "expected (_UFUNC_API, ufunc, index)");
        return -1;
    }
    void **api = api_table(args[0]);
    if (!api) return -1;
    int is_ufunc = PyObject_IsInstance(args[1], api[API_UFUNC_TYPE]);
    if (is_ufunc < 0) return -1;
    if (!is_ufunc) {
        PyErr_SetString(PyExc_TypeError, "expected a numpy.ufunc");
        return -1;
    }
    long index = PyLong_AsLong(args[2]);
    if (index == -1 && PyErr_Occurred()) return -1;
    if (index < 0 || index >= LOOP_COUNT) {
        PyErr_SetString(PyExc_ValueError, "index outside loops()");
        return -1;
    }
    return index;
}

/* Installs `loop` and returns the previous one, or NULL if the ufunc has no such loop. */
static UFuncLoop *swap(PyObject *capsule, PyObject *ufunc, long index, UFuncLoop *loop) {
    UFuncLoop *previous = 0;
    ReplaceLoop *replace = (ReplaceLoop *)api_table(capsule)[API_REPLACE_LOOP];
    return replace(ufunc, loop, entries[index].signature, &previous) == 0 ? previous : 0;
}

static PyObject *replace(PyObject *module, PyObject *const *args, isize count) {
    (void)module;
    long index = checked_index(args, count);
    if (index < 0) return 0;
    UFuncLoop *previous = swap(args[0], args[1], index, entries[index].loop);
    if (previous && previous != entries[index].loop) original_loops[index] = previous;
    return PyBool_FromLong(previous != 0);
}

static PyObject *restore(PyObject *module, PyObject *const *args, isize count) {
    (void)module;
    long index = checked_index(args, count);
    if (index < 0) return 0;
    if (!original_loops[index]) return PyBool_FromLong(0);
    UFuncLoop *previous = swap(args[0], args[1], index, original_loops[index]);
    if (previous && previous != entries[index].loop) {
        /* other code has replaced our loop: leave it */
        swap(args[0], args[1], index, previous);
        return PyBool_FromLong(0);
    }
    return PyBool_FromLong(previous != 0);
}

static PyObject *loops(PyObject *module, PyObject *const *args, isize count) {
    (void)module, (void)args;
    if (count != 0) {
        PyErr_SetString(PyExc_TypeError, "loops() takes no argument");
        return 0;
    }
    PyObject *all = PyTuple_New(LOOP_COUNT);
    for (int i = 0; all && i < LOOP_COUNT; i++) {
        PyObject *pair = Py_BuildValue("(ss)", entries[i].ufunc, entries[i].dtype);
        if (!pair) return 0;
        PyTuple_SetItem(all, i, pair);
    }
    return all;
}

static PyMethodDef methods[] = {
    {"loops", loops, METH_FASTCALL, "loops() -> ((ufunc name, dtype name), ...)"},
    {"replace", replace, METH_FASTCALL,
     "replace(_UFUNC_API, ufunc, index) -> whether the loop is now in place"},
    {"restore", restore, METH_FASTCALL,
     "restore(_UFUNC_API, ufunc, index) -> whether NumPy's own loop is back"},
    {0, 0, 0, 0},
};
static PyModuleDef definition = {
    {1, 0}, 0, 0, 0, "_ufuncs", "SIMD loops for NumPy's ufuncs", -1, methods, 0, 0, 0, 0,
};

EXPORT PyObject *PyInit__ufuncs(void) { return PyModule_Create2(&definition, PYTHON_ABI_VERSION); }
