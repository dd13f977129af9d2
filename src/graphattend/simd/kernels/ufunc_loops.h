/* The NumPy ufunc loops that have a SIMD version here: one list, from which everything else is made.
   No Python or NumPy header is needed: the types below are NumPy's stable C ABI. */
#ifndef UFUNC_LOOPS_H
#define UFUNC_LOOPS_H

typedef __INTPTR_TYPE__ npy_intp;

/* PyUFuncGenericFunction: operands, lengths, byte steps, and data that belongs to the loop. */
typedef void UFuncLoop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data);

/* X(ufunc, dtype, kind): kind says which operands have the dtype (the result of a comparison is bool). */
#define UFUNC_LOOPS(X) \
    X(matmul, f32, BINARY) X(matmul, f64, BINARY) \
    X(add, f32, BINARY) X(add, f64, BINARY) \
    X(subtract, f32, BINARY) X(subtract, f64, BINARY) \
    X(multiply, f32, BINARY) X(multiply, f64, BINARY) \
    X(divide, f32, BINARY) X(divide, f64, BINARY) \
    X(maximum, f32, BINARY) X(maximum, f64, BINARY) \
    X(minimum, f32, BINARY) X(minimum, f64, BINARY) \
    X(less, f32, COMPARISON) X(less, f64, COMPARISON) \
    X(less_equal, f32, COMPARISON) X(less_equal, f64, COMPARISON) \
    X(greater, f32, COMPARISON) X(greater, f64, COMPARISON) \
    X(greater_equal, f32, COMPARISON) X(greater_equal, f64, COMPARISON) \
    X(equal, f32, COMPARISON) X(equal, f64, COMPARISON) \
    X(not_equal, f32, COMPARISON) X(not_equal, f64, COMPARISON) \
    X(sqrt, f32, UNARY) X(sqrt, f64, UNARY) \
    X(exp, f32, UNARY) X(exp, f64, UNARY) \
    X(log, f32, UNARY) X(tanh, f32, UNARY) X(sin, f32, UNARY) X(cos, f32, UNARY)

#define UFUNC_INDEX(ufunc, dtype, kind) INDEX_##ufunc##_##dtype,
enum { UFUNC_LOOPS(UFUNC_INDEX) LOOP_COUNT };

#define UFUNC_DECLARE(ufunc, dtype, kind) UFuncLoop loop_##ufunc##_##dtype;
UFUNC_LOOPS(UFUNC_DECLARE)

/* NumPy's own loops, filled when ours are put in their place: whatever a loop here does not do faster
   (odd strides, overlap, large angles), it hands to the original. */
extern UFuncLoop *original_loops[LOOP_COUNT];
#define ORIGINAL(ufunc, dtype) original_loops[INDEX_##ufunc##_##dtype]

#endif
