/* The extension module `_kernels`: one method for every declaration of kernels.def. */
#include "arguments.h"

/* The kernels, once for each dtype. */
#define KERNEL_BEGIN(kernel)                                                                       \
    extern Status IN_SET(kernel_##kernel##_f32)(Call *), IN_SET(kernel_##kernel##_f64)(Call *);
#define OPERAND(kernel, name, type, least, most, use)
#define KERNEL_END(kernel)
#include "../kernels.def"
#undef KERNEL_BEGIN
#undef OPERAND
#undef KERNEL_END

#define KERNEL_BEGIN(kernel) static const Operand operands_##kernel[] = {
#define OPERAND(kernel, name, type, least, most, use) {type, least, most, use},
#define KERNEL_END(kernel)                                                                         \
    }                                                                                              \
    ;                                                                                              \
    static PyObject *method_##kernel(PyObject *self, PyObject *const *args, isize count) {         \
        static const Declaration declaration = {operands_##kernel, kernel##_operands,              \
                                                IN_SET(kernel_##kernel##_f32),                     \
                                                IN_SET(kernel_##kernel##_f64)};                    \
        (void)self;                                                                                \
        return call_kernel(&declaration, args, count);                                             \
    }
#include "../kernels.def"
#undef KERNEL_BEGIN
#undef OPERAND
#undef KERNEL_END

/* setup(probe, address, rows, stride): a float32 array, and the layout that NumPy reports for it */
static PyObject *setup(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
        return 0;
    }
    return arguments_setup(args[0], args[1], args[2], args[3]) ? new_ref(Py_None) : 0;
}

/* The declaration is the method's documentation: "q:REAL:2:8:READ, ...", which the tests read. */
#define KERNEL_BEGIN(kernel)                                                                       \
    {                                                                                              \
        #kernel, method_##kernel, METH_FASTCALL,
#define OPERAND(kernel, name, type, least, most, use)                                              \
    #name " " #type " " #least " " #most " " #use "\n"
#define KERNEL_END(kernel)                                                                         \
    }                                                                                              \
    ,
static PyMethodDef methods[] = {
    {"setup", setup, METH_FASTCALL, 0},
#include "../kernels.def"
    {0, 0, 0, 0},
};

static PyModuleDef definition = {.base = {.refcount = 1},
                                 .name = "_kernels",
                                 .doc = "Fused attention kernels.",
                                 .size = -1,
                                 .methods = methods};

PyObject *IN_SET(kernels_module)(void);
PyObject *IN_SET(kernels_module)(void) { return PyModule_Create2(&definition, PYTHON_ABI_VERSION); }
