/* How a host calls a kernel, and what a kernel asks of its host. kernels.def declares every kernel;
 * the host checks what is declared there (kinds, axes, layout, overlap), the kernel itself how the
 * shapes go together.
 *
 * A kernel answers in one of these ways: it did the work; it does not apply ("use another way":
 * nothing is wrong with the data); the shapes contradict each other; there is no memory. */
#ifndef GA_CALL_H
#define GA_CALL_H

#include "array.h"

typedef enum {
    DECLINED,
    DONE,
    NOT_FINITE, /* done, and something in the data was infinite or NaN */
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

/* What an operand is. REAL: in the dtype of the call, float32 or float64. */
typedef enum { REAL, DOUBLE, BYTES, LONGS, INDEX, MASK, NUMBER, SIZE, FLAG } Type;
/* READ and WRITE want the last axis contiguous, STRIDED does not; MAYBE, MAYBE_WRITE and
 * MAYBE_STRIDED also take nothing. */
typedef enum { READ, WRITE, STRIDED, MAYBE, MAYBE_WRITE, MAYBE_STRIDED } Use;

typedef struct {
    const char *name;
    Type type;
    int least, most; /* axes */
    Use use;
} Operand;

typedef struct {
    const char *name;
    const Operand *operands;
    int count;
    Kernel float32, float64;
} Declaration;

/* What every host checks before a call: that an array is as declared, in a call of dtype `real`
 * (nothing is read of its data); and that what is written shares no byte with anything else. */
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

/* Given by the host: memory aligned to a cache line, or 0; and the start and end of work
 * (multiply-adds, about) during which nothing of the host is touched. */
void *workspace_get(usize bytes);
void workspace_free(void *workspace);
void *work_begin(double work);
void work_end(void *state);

#endif
