/* The loop around an element-wise binary operation op_f32 / op_f64 on vectors. */
#ifndef UFUNC_BINARY_H
#define UFUNC_BINARY_H

#include "ufunc_layout.h"

#define UNROLL _Pragma("clang loop unroll_count(4)")

/* REDUCE(accumulator, values, n, step) reduces and returns 1, or returns 0 to leave it to NumPy. */
#define BINARY_LOOP(NAME, T, OP, REDUCE) \
    void loop_##NAME##_##T(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data) \
    { \
        const T *a = (const T *)args[0], *b = (const T *)args[1]; \
        T *out = (T *)args[2]; \
        npy_intp n = dimensions[0], i = 0, a_step = 1, b_step = 1; \
        if (is_reduction(args, steps) && REDUCE(out, b, n, steps[1])) \
            return; \
        switch (binary_layout(args, steps, n, sizeof(T), sizeof(T))) { \
        case CONTIGUOUS: \
            UNROLL for (; i + LANES_##T <= n; i += LANES_##T) \
                store_##T(out + i, OP##_##T(load_##T(a + i), load_##T(b + i))); \
            break; \
        case FIRST_IS_SCALAR: \
            a_step = 0; \
            UNROLL for (; i + LANES_##T <= n; i += LANES_##T) \
                store_##T(out + i, OP##_##T(splat_##T(*a), load_##T(b + i))); \
            break; \
        case SECOND_IS_SCALAR: \
            b_step = 0; \
            UNROLL for (; i + LANES_##T <= n; i += LANES_##T) \
                store_##T(out + i, OP##_##T(load_##T(a + i), splat_##T(*b))); \
            break; \
        case OTHER: \
            ORIGINAL(NAME, T)(args, dimensions, steps, data); \
            return; \
        } \
        for (; i < n; i++) \
            out[i] = OP##_##T(splat_##T(a[i * a_step]), splat_##T(b[i * b_step]))[0]; \
    }

#define NOT_REDUCED(accumulator, values, n, step) 0

#endif
