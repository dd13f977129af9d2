/* The kernels' host for JavaScript: the caller (js/src/kernels/memory.ts) lays arrays and numbers
 * out in the module's memory and calls the exported functions. */
#ifndef GA_JS_HOST_H
#define GA_JS_HOST_H

#include "../../src/graphattend/simd/kernels/host/call.h"

/* The steps of steps.c, declared like the kernels. */
#define KERNEL_BEGIN(kernel) enum {
#define OPERAND(kernel, name, type, least, most, use) kernel##_##name,
#define KERNEL_END(kernel)                                                                         \
    kernel##_operands                                                                              \
    }                                                                                              \
    ;                                                                                              \
    _Static_assert(kernel##_operands <= MAX_OPERANDS, "more operands than a call holds");
#include "steps.def"
#undef KERNEL_BEGIN
#undef OPERAND
#undef KERNEL_END

#endif
