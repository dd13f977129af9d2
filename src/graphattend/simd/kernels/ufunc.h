/* Code that NumPy's loops share: the supported memory layouts, and the loops around an operation on
 * vectors. Like the kernels, every file is compiled twice (vec.h), but only for WebAssembly, where
 * `vw` is one register. */
#ifndef GA_UFUNC_H
#define GA_UFUNC_H

#include "ufunc_loops.h"
#include "vec.h"

#define LOOP(name)                                                                                 \
    void K(loop_##name)(char **args, const isize *dimensions, const isize *steps, void *data)
#define ORIGINAL(name) original_loops[K(INDEX_##name)]

INL int any(mw mask) {
    typedef signed char bytes __attribute__((vector_size(16)));
    return __builtin_wasm_any_true_v128((bytes)mask);
}

/* The smaller lane, or `a` if either is NaN. */
#ifdef F64
INL vw vminw(vw a, vw b) { return __builtin_wasm_pmin_f64x2(a, b); }
#else
INL vw vminw(vw a, vw b) { return __builtin_wasm_pmin_f32x4(a, b); }
#endif

/* An operand may be the output itself (in place) or must not overlap it. A shifted overlap carries
 * values from one element to the next and must be processed element by element. */
INL int independent(const char *in, isize in_step, isize in_size, const char *out, isize out_step,
                    isize out_size, isize length) {
    if (in == out && in_step == out_step && in_size == out_size) return 1;
    Extent read = {in, in + in_size}, written = {out, out + out_size};
    return apart(stretched(read, in_step * (length - 1)),
                 stretched(written, out_step * (length - 1)));
}

/* A function of `count` (at most 4) vectors, in place. */
typedef void Function(const int count, vw *x);

/* Every element goes through the same function, whatever the strides: a result must not depend on
 * them. */
INL void map(Function *function, char **args, const isize *dimensions, const isize *steps) {
    const char *in = args[0];
    char *out = args[1];
    isize n = dimensions[0], in_step = steps[0], out_step = steps[1], size = sizeof(real);
    vw x[4];
    if (independent(in, in_step, size, out, out_step, size, n)) {
        if (in_step == size && out_step == size)
            for (; n >= 4 * WIDE; n -= 4 * WIDE, in += sizeof(x), out += sizeof(x)) {
                for (int i = 0; i < 4; i++) x[i] = LOADW(in + i * VECTOR_BYTES);
                function(4, x);
                for (int i = 0; i < 4; i++) STOREW(out + i * VECTOR_BYTES, x[i]);
            }
        for (; n >= WIDE; n -= WIDE) {
            for (int lane = 0; lane < WIDE; lane++, in += in_step) x[0][lane] = *(const real *)in;
            function(1, x);
            for (int lane = 0; lane < WIDE; lane++, out += out_step) *(real *)out = x[0][lane];
        }
    }
    for (; n > 0; n--, in += in_step, out += out_step) {
        x[0] = splatw(*(const real *)in);
        function(1, x);
        *(real *)out = x[0][0];
    }
}

#define UNARY_LOOP(name, function)                                                                 \
    LOOP(name) {                                                                                   \
        (void)data;                                                                                \
        map(function, args, dimensions, steps);                                                    \
    }

enum Layout { AS_NUMPY, CONTIGUOUS, FIRST_IS_SCALAR, SECOND_IS_SCALAR };

INL enum Layout binary_layout(char **args, const isize *steps, isize n, isize out_size) {
    const isize size = sizeof(real);
    if (steps[2] != out_size || n < 4 ||
        !independent(args[0], steps[0], size, args[2], out_size, out_size, n) ||
        !independent(args[1], steps[1], size, args[2], out_size, out_size, n))
        return AS_NUMPY;
    if (steps[0] == size && steps[1] == size) return CONTIGUOUS;
    if (steps[0] == 0 && steps[1] == size) return FIRST_IS_SCALAR;
    if (steps[0] == size && steps[1] == 0) return SECOND_IS_SCALAR;
    return AS_NUMPY;
}

/* ufunc.reduce calls the binary loop with one accumulator as first operand and result. */
INL int is_reduction(char **args, const isize *steps) {
    return args[0] == args[2] && steps[0] == 0 && steps[2] == 0;
}

/* The three layouts by MANY(op, A, B), which works on many elements from the i-th on, and the
 * remainder by ONE(op, x, y). A and B say where it finds its j-th vector: OF_A(j), OF_B(j), or
 * SCALAR(j). */
#define BINARY_LOOP_BODY(name, MANY, ONE, op)                                                      \
    isize n = dimensions[0], i = 0, a_step = 1, b_step = 1;                                        \
    vw scalar;                                                                                     \
    switch (binary_layout(args, steps, n, sizeof(*out))) {                                         \
        case CONTIGUOUS: MANY(op, OF_A, OF_B) break;                                               \
        case FIRST_IS_SCALAR:                                                                      \
            scalar = splatw(*a), a_step = 0;                                                       \
            MANY(op, SCALAR, OF_B)                                                                 \
            break;                                                                                 \
        case SECOND_IS_SCALAR:                                                                     \
            scalar = splatw(*b), b_step = 0;                                                       \
            MANY(op, OF_A, SCALAR)                                                                 \
            break;                                                                                 \
        case AS_NUMPY: ORIGINAL(name)(args, dimensions, steps, data); return;                      \
    }                                                                                              \
    for (; i < n; i++) out[i] = ONE(op, a[i * a_step], b[i * b_step]);
#define SCALAR(j) scalar

#endif
