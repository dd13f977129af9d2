/* The extension module `_kernels`: a table of entry points. Every one checks its arguments itself (args.h). */
#include "args.h"
#include "kernels.h"

/* setup(probe, address, rows, stride): a float32 array and where NumPy says its data lie */
static PyObject *setup(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 4) return wrong_count();
    return args_setup(args[0], args[1], args[2], args[3]) ? new_ref(Py_None) : 0;
}

#define ENTRY(name) {#name, kernel_##name, METH_FASTCALL, 0}
static PyMethodDef methods[] = {
    {"setup", setup, METH_FASTCALL, 0},
    ENTRY(exp),
    ENTRY(softmax),
    ENTRY(segment_softmax),
    ENTRY(matmul),
    ENTRY(attend_one),
    ENTRY(attend),
    ENTRY(attend_vjp),
    ENTRY(heads),
    ENTRY(graph_attend),
    ENTRY(graph_attend_vjp),
    ENTRY(gat),
    ENTRY(poincare),
    ENTRY(int8_scores),
    ENTRY(int8_combine),
    ENTRY(favor),
    ENTRY(rotate),
    ENTRY(finite),
    ENTRY(peak),
    {0, 0, 0, 0},
};

static PyModuleDef definition = {
    .base = {.refcount = 1}, .name = "_kernels", .doc = "Fused attention kernels.", .size = -1, .methods = methods};

PyObject *kernels_module(void);
PyObject *kernels_module(void) { return PyModule_Create2(&definition, PYTHON_ABI_VERSION); }
