/* The part of CPython's stable ABI (abi3, 3.11 and later) that the kernels need, declared by hand: no Python headers are
 * required to compile, and one binary serves every Pyodide release. Not for free-threaded builds (other object layout). */
#ifndef GA_PYABI_H
#define GA_PYABI_H

typedef __PTRDIFF_TYPE__ isize; /* Py_ssize_t, npy_intp */
typedef __SIZE_TYPE__ usize;

typedef struct {
    isize refcount;
    void *type;
} PyObject;

typedef PyObject *(*FastMethod)(PyObject *self, PyObject *const *args, isize count);

typedef struct {
    const char *name;
    FastMethod method;
    int flags;
    const char *doc;
} PyMethodDef;

typedef struct {
    PyObject base;
    void *init;
    isize index;
    PyObject *copy;
    const char *name;
    const char *doc;
    isize size;
    PyMethodDef *methods;
    void *slots, *traverse, *clear, *free;
} PyModuleDef;

#define METH_FASTCALL 0x80
#define PYTHON_ABI_VERSION 3
#define EXPORT __attribute__((visibility("default"), used))

extern PyObject *PyModule_Create2(PyModuleDef *definition, int abi_version);
extern int PyModule_AddStringConstant(PyObject *module, const char *name, const char *value);
extern long PyLong_AsLong(PyObject *);
extern isize PyLong_AsSsize_t(PyObject *);
extern void *PyLong_AsVoidPtr(PyObject *);
extern PyObject *PyLong_FromLong(long);
extern PyObject *PyLong_FromSsize_t(isize);
extern double PyFloat_AsDouble(PyObject *);
extern PyObject *PyFloat_FromDouble(double);
extern PyObject *PyErr_Occurred(void);
extern void PyErr_SetString(PyObject *exception, const char *message);
extern PyObject *PyErr_NoMemory(void);
extern void *PyMem_Malloc(usize);
extern void PyMem_Free(void *);
extern void Py_IncRef(PyObject *);
extern PyObject _Py_NoneStruct, _Py_TrueStruct, _Py_FalseStruct;
extern PyObject *PyExc_ValueError, *PyExc_TypeError, *PyExc_ImportError;

#define Py_None (&_Py_NoneStruct)

static inline PyObject *new_ref(PyObject *object) {
    Py_IncRef(object);
    return object;
}

#endif
