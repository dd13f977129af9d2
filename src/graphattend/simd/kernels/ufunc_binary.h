/* The loop around an element-wise binary operation op_f32 / op_f64 on vectors. */
#ifndef UFUNC_BINARY_H
#define UFUNC_BINARY_H

#include "ufunc_layout.h"

#define FOUR_AT_ONCE(T, A, B, OP) \
    for (; i + 4 * LANES_##T <= n; i += 4 * LANES_##T) { \
        const Four_##T *p = (const Four_##T *)(a + i * a_step), *q = (const Four_##T *)(b + i * b_step); \
        Four_##T *r = (Four_##T *)(out + i); \
        OPAQUE(p); \
        OPAQUE(q); \
        OPAQUE(r); \
        r->v0 = OP##_##T(A(v0), B(v0)); \
        r->v1 = OP##_##T(A(v1), B(v1)); \
        r->v2 = OP##_##T(A(v2), B(v2)); \
        r->v3 = OP##_##T(A(v3), B(v3)); \
    }
#define FROM_A(member) p->member
#define FROM_B(member) q->member
#define SCALAR(member) scalar

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
            FOUR_AT_ONCE(T, FROM_A, FROM_B, OP) \
            break; \
        case FIRST_IS_SCALAR: { \
            __typeof__(splat_##T(*a)) scalar = splat_##T(*a); \
            a_step = 0; \
            FOUR_AT_ONCE(T, SCALAR, FROM_B, OP) \
            break; \
        } \
        case SECOND_IS_SCALAR: { \
            __typeof__(splat_##T(*b)) scalar = splat_##T(*b); \
            b_step = 0; \
            FOUR_AT_ONCE(T, FROM_A, SCALAR, OP) \
            break; \
        } \
        case OTHER: \
            ORIGINAL(NAME, T)(args, dimensions, steps, data); \
            return; \
        } \
        for (; i < n; i++) \
            out[i] = OP##_##T(splat_##T(a[i * a_step]), splat_##T(b[i * b_step]))[0]; \
    }

#define NOT_REDUCED(accumulator, values, n, step) 0

#endif
