/* The ceiling for everything else: multiply-adds on registers only, with as many independent sums as hide their latency. */
#include "../vec.h"
#include "arguments.h"

PyObject *peak(PyObject *self, PyObject *const *args, isize count);
PyObject *peak(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    isize iterations = count == 1 ? PyLong_AsSsize_t(args[0]) : -1;
    if (PyErr_Occurred()) return 0;
    vw a = splatw((real)0.999), b = splatw((real)1e-3), c[12];
    for (int i = 0; i < 12; i++) c[i] = splatw((real)i);
    for (isize k = 0; k < iterations; k++)
        for (int i = 0; i < 12; i++) c[i] = maddw(c[i], a, b);
    vw sum = splatw(0);
    for (int i = 0; i < 12; i++) sum += c[i];
    /* The sum takes part in the answer so that nothing is optimised away. */
    return PyFloat_FromDouble((double)iterations * 12 * WIDE * 2 + (hsum(fold(sum)) == 12345));
}
