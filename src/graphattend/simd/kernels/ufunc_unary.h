/* The loop around an element-wise function of one vector. */
#ifndef UFUNC_UNARY_H
#define UFUNC_UNARY_H

#include "ufunc_layout.h"

/* Every element goes through the same vector function, whatever the strides: a result must not depend on them. */
#define UNARY_MAP(T, V) \
    INLINE void map_##T(V (*function)(V), char **args, const npy_intp *dimensions, const npy_intp *steps) \
    { \
        const char *in = args[0]; \
        char *out = args[1]; \
        npy_intp n = dimensions[0], in_step = steps[0], out_step = steps[1]; \
        if (independent(in, in_step, sizeof(T), out, out_step, sizeof(T), n)) { \
            if (in_step == sizeof(T) && out_step == sizeof(T)) { \
                for (; n >= LANES_##T; n -= LANES_##T, in += 16, out += 16) \
                    store_##T((T *)out, function(load_##T((const T *)in))); \
            } \
            for (; n >= LANES_##T; n -= LANES_##T) { \
                V x = {0}; \
                for (int lane = 0; lane < LANES_##T; lane++, in += in_step) \
                    x[lane] = *(const T *)in; \
                x = function(x); \
                for (int lane = 0; lane < LANES_##T; lane++, out += out_step) \
                    *(T *)out = x[lane]; \
            } \
        } \
        for (; n > 0; n--, in += in_step, out += out_step) \
            *(T *)out = function(splat_##T(*(const T *)in))[0]; \
    }

UNARY_MAP(f32, f32x4)
UNARY_MAP(f64, f64x2)

#define UNARY_LOOP(NAME, T) \
    void loop_##NAME##_##T(char **args, const npy_intp *dimensions, const npy_intp *steps, void *data) \
    { \
        (void)data; \
        map_##T(NAME##_##T, args, dimensions, steps); \
    }

#endif
