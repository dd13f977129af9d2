/* The list of NumPy ufunc loops with a SIMD version, from which all else is generated. No Python or
 * NumPy header is needed: the types are NumPy's stable C ABI. */
#ifndef GA_UFUNC_LOOPS_H
#define GA_UFUNC_LOOPS_H

#include "host/array.h"

/* PyUFuncGenericFunction: operands, lengths, byte steps, and data that belongs to the loop. */
typedef void UFuncLoop(char **args, const isize *dimensions, const isize *steps, void *data);

/* X(ufunc, dtype, kind): kind says which operands have the dtype (a comparison gives bool). */
#define IN_BOTH(X, ufunc, kind) X(ufunc, f32, kind) X(ufunc, f64, kind)
#define UFUNC_LOOPS(X)                                                                             \
    IN_BOTH(X, matmul, BINARY)                                                                     \
    IN_BOTH(X, add, BINARY)                                                                        \
    IN_BOTH(X, subtract, BINARY)                                                                   \
    IN_BOTH(X, multiply, BINARY)                                                                   \
    IN_BOTH(X, divide, BINARY)                                                                     \
    IN_BOTH(X, maximum, BINARY)                                                                    \
    IN_BOTH(X, minimum, BINARY)                                                                    \
    IN_BOTH(X, less, COMPARISON)                                                                   \
    IN_BOTH(X, less_equal, COMPARISON)                                                             \
    IN_BOTH(X, greater, COMPARISON)                                                                \
    IN_BOTH(X, greater_equal, COMPARISON)                                                          \
    IN_BOTH(X, equal, COMPARISON)                                                                  \
    IN_BOTH(X, not_equal, COMPARISON)                                                              \
    IN_BOTH(X, sqrt, UNARY)                                                                        \
    IN_BOTH(X, exp, UNARY)                                                                         \
    X(log, f32, UNARY)                                                                             \
    X(tanh, f32, UNARY)                                                                            \
    X(sin, f32, UNARY)                                                                             \
    X(cos, f32, UNARY)

#define UFUNC_INDEX(ufunc, dtype, kind) INDEX_##ufunc##_##dtype,
enum { UFUNC_LOOPS(UFUNC_INDEX) LOOP_COUNT };

#define UFUNC_DECLARE(ufunc, dtype, kind) UFuncLoop loop_##ufunc##_##dtype;
UFUNC_LOOPS(UFUNC_DECLARE)

/* NumPy's own loops, stored when they are replaced. A loop calls the original in cases that it does
 * not accelerate (odd strides, overlap, large angles). */
extern UFuncLoop *original_loops[LOOP_COUNT];

#endif
