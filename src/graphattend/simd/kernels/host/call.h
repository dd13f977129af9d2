/* The interface between hosts and kernels. kernels.def declares every kernel. The host checks the
 * declared properties (kinds, axes, layout, overlap), and the kernel checks that the shapes fit
 * together.
 *
 * A kernel returns one of these answers: it is done; it does not apply (the data are valid, but
 * another method must be used); the shapes are inconsistent; memory is exhausted. */
#ifndef GA_CALL_H
#define GA_CALL_H

#include "array.h"

/* A native module contains the kernels once for each of its instruction sets. SET, such as _avx2,
 * is added to their names. */
#ifdef SET
#define IN_SET(name) JOIN(name, SET)
#define JOIN(name, set) JOIN_(name, set)
#define JOIN_(name, set) name##set
#else
#define IN_SET(name) name
#endif

typedef enum {
    DECLINED,
    DONE,
    NOT_FINITE, /* done, and the data contain infinity or NaN */
    WRONG,      /* see Call.problem */
    NO_MEMORY,
} Status;

/* The arguments in the order of their declaration: arrays, and numbers, sizes and flags. */
typedef struct {
    Array array[MAX_OPERANDS];
    double number[MAX_OPERANDS];
    isize size[MAX_OPERANDS];
    const char *problem;
} Call;

typedef Status (*Kernel)(Call *call);

static inline Status wrong(Call *call, const char *problem) {
    call->problem = problem;
    return WRONG;
}

/* The kind of an operand. REAL: in the dtype of the call, float32 or float64. */
typedef enum { REAL, DOUBLE, BYTES, LONGS, INDEX, MASK, NUMBER, SIZE, FLAG } Type;
/* READ and WRITE require a contiguous last axis, STRIDED does not. MAYBE, MAYBE_WRITE and
 * MAYBE_STRIDED are optional. */
typedef enum { READ, WRITE, STRIDED, MAYBE, MAYBE_WRITE, MAYBE_STRIDED } Use;

typedef struct {
    Type type;
    int least, most; /* axes */
    Use use;
} Operand;

typedef struct {
    const Operand *operands;
    int count;
    Kernel float32, float64;
} Declaration;

/* The checks of every host before a call: an array must be as declared, in a call of dtype `real`
 * (its data are not read), and an output must not overlap another operand. */
int array_fits(const Array *array, const Operand *operand, Kind real);
int outputs_apart(const Call *call, const Operand *operands, int count);
int item_size(Kind kind);

/* Numbers of the operands, as in call->array[attend_q]. */
#define KERNEL_BEGIN(kernel) enum {
#define OPERAND(kernel, name, type, least, most, use) kernel##_##name,
#define KERNEL_END(kernel)                                                                         \
    kernel##_operands                                                                              \
    }                                                                                              \
    ;                                                                                              \
    _Static_assert(kernel##_operands <= MAX_OPERANDS, "more operands than a call holds");
#include "../kernels.def"
#undef KERNEL_BEGIN
#undef OPERAND
#undef KERNEL_END

/* Provided by the host: memory aligned to a cache line, or 0; and the start and end of work
 * (approximate multiply-adds) during which the kernel does not use the host. */
void *workspace_get(usize bytes);
void workspace_free(void *workspace);
void *work_begin(double work);
void work_end(void *state);

#endif
