/* From Python's arguments to a kernel's call and back. */
#ifndef GA_ARGUMENTS_H
#define GA_ARGUMENTS_H

#include "../host/call.h"
#include "pyabi.h"

/* Remembers numpy.ndarray and proves that its objects are laid out as we read them; 0 with an
 * exception otherwise. */
int arguments_setup(PyObject *probe, PyObject *address, PyObject *shape0, PyObject *stride0);

typedef struct {
    Kernel function;
    Call call;
} Bound;

/* Checks the arguments as declared, calls the kernel of their dtype, and says how it went: True;
 * False where something was not finite; None where it does not apply (dtype, layout, alignment,
 * overlap, emptiness); or an exception (wrong number of arguments, shapes that contradict each
 * other).
 *
 * With one argument more, (n,) of int8, the kernel is not called: the checked call is written there
 * as a `Bound`. It can be repeated as long as the arrays stay where they are, and answers with a
 * `Status`. */
PyObject *call_kernel(const Declaration *kernel, PyObject *const *args, isize count);

#endif
