#include "host.h"

#define FROM_HOST __attribute__((visibility("default"), used))

/* Where the caller writes the arguments of a call: addresses of arrays, or 0; for numbers, sizes
 * and flags their values, and 1 as the address where they are given. */
static struct {
    const Array *array[MAX_OPERANDS];
    double number[MAX_OPERANDS];
} given_arguments;
static Call call;
static char *top; /* of the memory in use */

FROM_HOST void *arguments(void) { return given_arguments.array; }
FROM_HOST void *numbers(void) { return given_arguments.number; }
FROM_HOST int most_axes(void) { return MAX_AXES; }
FROM_HOST int array_bytes(void) { return sizeof(Array); }
FROM_HOST int array_axes(void) { return __builtin_offsetof(Array, shape); }
FROM_HOST const char *problem(void) { return call.problem; }

/* The number of a dtype, by NumPy's letter for it. */
FROM_HOST int kind_of(int letter) {
    switch (letter) {
        case '?': return BOOL;
        case 'b': return INT8;
        case 'i': return INT32;
        case 'q': return INT64;
        case 'f': return FLOAT32;
        case 'd': return FLOAT64;
        default: return OTHER;
    }
}

/* Makes an array of what lies at `data`; its shape and strides are written already. */
FROM_HOST void describe(Array *array, Kind kind, char *data, int ndim) {
    isize whole = item_size(kind);
    array->data = data, array->kind = kind, array->ndim = ndim, array->item = item_size(kind);
    array->contiguous = 1;
    for (int i = ndim - 1; i >= 0; i--) {
        array->contiguous &= array->shape[i] == 1 || array->strides[i] == whole;
        whole *= array->shape[i];
    }
}

/* Before each call: what lies beyond `end` is free to work in. */
FROM_HOST void begin(char *end) { top = end; }

/* A copy of the axes that there are. */
static void take(const Array *source, Array *array) {
    array->kind = ABSENT;
    if (!source) return;
    array->data = source->data, array->kind = source->kind, array->ndim = source->ndim,
    array->item = source->item;
    array->contiguous = source->contiguous;
    for (int i = 0; i < source->ndim; i++)
        array->shape[i] = source->shape[i], array->strides[i] = source->strides[i];
}

static Status run(Kernel kernel, const Operand *operands, int count) {
    for (int i = 0; i < count; i++) {
        const Operand *operand = &operands[i];
        if (operand->type < NUMBER) {
            take(given_arguments.array[i], &call.array[i]);
            if (!array_fits(&call.array[i], operand, FLOAT32)) return DECLINED;
            continue;
        }
        double number = given_arguments.array[i] ? given_arguments.number[i] : 0.0;
        if (!(__builtin_fabs(number) <= 3.4e38))
            return wrong(&call, "a number is not finite in float32");
        /* A size of 0 that was given differs from none. */
        call.number[i] = operand->type == SIZE ? given_arguments.array[i] != 0 : number;
        call.size[i] = operand->type == SIZE ? (isize)number : 0;
    }
    return outputs_apart(&call, operands, count) ? kernel(&call) : DECLINED;
}

/* call_softmax() and so on. Those that the build does not export are left out of the module, and so
 * is what they call. */
#define KERNEL_BEGIN(kernel)                                                                       \
    Status kernel_##kernel##_f32(Call *);                                                          \
    Status call_##kernel(void);                                                                    \
    static const Operand operands_##kernel[] = {
#define OPERAND(kernel, name, type, least, most, use) {type, least, most, use},
#define KERNEL_END(kernel)                                                                         \
    }                                                                                              \
    ;                                                                                              \
    Status call_##kernel(void) {                                                                   \
        return run(kernel_##kernel##_f32, operands_##kernel, kernel##_operands);                   \
    }
#include "../../src/graphattend/simd/kernels/kernels.def"
#include "steps.def"

/* Working memory ends with the call. */
void *workspace_get(usize bytes) {
    enum { PAGE = 65536, LINE = 64 };
    usize start = ((usize)top + LINE - 1) & ~(usize)(LINE - 1), end = start + bytes,
          have = __builtin_wasm_memory_size(0) * PAGE;
    if (end < start) return 0;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (usize)-1)
        return 0;
    top = (char *)end;
    return (void *)start;
}
void workspace_free(void *workspace) { (void)workspace; }

/* One thread only. */
void *work_begin(double work) { return (void)work, (void *)0; }
void work_end(void *state) { (void)state; }

/* What a compiler may ask of libc for structs. */
void *memcpy(void *to, const void *from, usize n);
void *memset(void *to, int value, usize n);
void *memcpy(void *to, const void *from, usize n) { return __builtin_memcpy(to, from, n); }
void *memset(void *to, int value, usize n) { return __builtin_memset(to, value, n); }
