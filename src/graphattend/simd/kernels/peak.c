/* The ceiling for everything else: multiply-adds on registers only, with as many independent sums as hide their latency. */
#include "args.h"
#include "kernels.h"

/* peak(iterations) -> number of floating-point operations done */
PyObject *kernel_peak(PyObject *self, PyObject *const *args, isize count) {
    (void)self;
    if (count != 1) return wrong_count();
    int ok = 1;
    isize iterations = get_size(args[0], &ok);
    if (!ok) return 0;
    f4 a = splat(0.999f), b = splat(1e-3f), c[12];
    for (int i = 0; i < 12; i++) c[i] = splat((float)i);
    for (isize k = 0; k < iterations; k++)
        for (int i = 0; i < 12; i++) c[i] = madd(c[i], a, b);
    f4 sum = splat(0.f);
    for (int i = 0; i < 12; i++) sum += c[i];
    /* The sum takes part in the answer so that nothing is optimised away. */
    return PyFloat_FromDouble((double)iterations * 12 * 4 * 2 + (hsum(sum) == 12345.f));
}
