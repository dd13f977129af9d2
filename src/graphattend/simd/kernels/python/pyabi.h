/* The part of CPython's stable ABI (abi3, 3.11 and later) that the kernels need, declared by hand:
 * no Python headers are required to compile, and one binary serves every release. Not for
 * free-threaded builds (other object layout). The build reads the names after PYTHON and
 * PYTHON_DATA, one declaration a line, for Windows' import library. */
#ifndef GA_PYABI_H
#define GA_PYABI_H

#include "../host/array.h"

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
#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#define PYTHON_DATA __declspec(dllimport) extern
#else
#define EXPORT __attribute__((visibility("default"), used))
#define PYTHON_DATA extern
#endif
#define PYTHON extern

PYTHON PyObject *PyModule_Create2(PyModuleDef *definition, int abi_version);
PYTHON int PyModule_AddStringConstant(PyObject *module, const char *name, const char *value);
PYTHON long PyLong_AsLong(PyObject *);
PYTHON isize PyLong_AsSsize_t(PyObject *);
PYTHON void *PyLong_AsVoidPtr(PyObject *);
PYTHON double PyFloat_AsDouble(PyObject *);
PYTHON PyObject *PyErr_Occurred(void);
PYTHON void PyErr_SetString(PyObject *exception, const char *message);
PYTHON PyObject *PyErr_NoMemory(void);
PYTHON void *PyMem_Malloc(usize);
PYTHON void PyMem_Free(void *);
PYTHON void Py_IncRef(PyObject *);
PYTHON void *PyEval_SaveThread(void);
PYTHON void PyEval_RestoreThread(void *);
PYTHON_DATA PyObject _Py_NoneStruct;
PYTHON_DATA PyObject _Py_TrueStruct;
PYTHON_DATA PyObject _Py_FalseStruct;
PYTHON_DATA PyObject *PyExc_ValueError;
PYTHON_DATA PyObject *PyExc_TypeError;
PYTHON_DATA PyObject *PyExc_ImportError;

#define Py_None (&_Py_NoneStruct)

static inline PyObject *new_ref(PyObject *object) {
    Py_IncRef(object);
    return object;
}

#endif
