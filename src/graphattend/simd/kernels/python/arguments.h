/* Conversion of Python's arguments to a kernel call, and of its answer to a Python object. */
#ifndef GA_ARGUMENTS_H
#define GA_ARGUMENTS_H

#include "../host/call.h"
#include "pyabi.h"

/* Stores numpy.ndarray and verifies that its objects have the expected layout. Otherwise returns 0
 * and sets an exception. */
int arguments_setup(PyObject *probe, PyObject *address, PyObject *shape0, PyObject *stride0);

typedef struct {
    Kernel function;
    Call call;
} Bound;

/* Checks the arguments as declared and calls the kernel of their dtype. Returns True; False if the
 * data are not finite; None if the kernel does not apply (dtype, layout, alignment, overlap, empty
 * arrays); or sets an exception (wrong number of arguments, inconsistent shapes).
 *
 * With an additional argument, (n,) of int8, the kernel is not called. The checked call is written
 * there as a `Bound`. It can be repeated while the arrays stay at their addresses, and it returns a
 * `Status`. */
PyObject *call_kernel(const Declaration *kernel, PyObject *const *args, isize count);

#endif
