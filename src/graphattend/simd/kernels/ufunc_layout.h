/* Which memory layouts the vector loops take; everything else goes to NumPy's own loop. */
#ifndef UFUNC_LAYOUT_H
#define UFUNC_LAYOUT_H

#include "ufunc_vector.h"

typedef struct {
    const char *start, *end; /* bytes touched, end exclusive */
} Extent;

INLINE Extent extent(const char *start, npy_intp step, npy_intp length, npy_intp itemsize)
{
    npy_intp last = step * (length - 1);
    Extent e = {last < 0 ? start + last : start, (last < 0 ? start : start + last) + itemsize};
    return e;
}

INLINE int disjoint(Extent a, Extent b) { return a.end <= b.start || b.end <= a.start; }

/* An operand may be the output itself (in place) or lie clear of it; a shifted overlap carries values from one
   element to the next and must be worked through one by one. */
INLINE int independent(const char *in, npy_intp in_step, npy_intp in_size, const char *out, npy_intp out_step,
                       npy_intp out_size, npy_intp length)
{
    if (in == out && in_step == out_step && in_size == out_size)
        return 1;
    return disjoint(extent(in, in_step, length, in_size), extent(out, out_step, length, out_size));
}

enum Layout { OTHER, CONTIGUOUS, FIRST_IS_SCALAR, SECOND_IS_SCALAR };

INLINE enum Layout binary_layout(char **args, const npy_intp *steps, npy_intp n, npy_intp in_size, npy_intp out_size)
{
    if (steps[2] != out_size || n < 4 || !independent(args[0], steps[0], in_size, args[2], out_size, out_size, n) ||
        !independent(args[1], steps[1], in_size, args[2], out_size, out_size, n))
        return OTHER;
    if (steps[0] == in_size && steps[1] == in_size)
        return CONTIGUOUS;
    if (steps[0] == 0 && steps[1] == in_size)
        return FIRST_IS_SCALAR;
    if (steps[0] == in_size && steps[1] == 0)
        return SECOND_IS_SCALAR;
    return OTHER;
}

/* ufunc.reduce calls the binary loop with one accumulator as first operand and result. */
INLINE int is_reduction(char **args, const npy_intp *steps)
{
    return args[0] == args[2] && steps[0] == 0 && steps[2] == 0;
}

#endif
