#include "call.h"

int item_size(Kind kind) {
    static const int sizes[] = {[BOOL] = 1,  [INT8] = 1,    [INT32] = 4,
                                [INT64] = 8, [FLOAT32] = 4, [FLOAT64] = 8};
    return sizes[kind];
}

static int is_kind(Kind kind, Type type, Kind real) {
    switch (type) {
        case REAL: return kind == real;
        case DOUBLE: return kind == FLOAT64;
        case BYTES: return kind == INT8;
        case LONGS: return kind == INT64;
        case INDEX: return kind == INT64 || kind == INT32;
        case MASK: return kind == BOOL || kind == real;
        default: return 0;
    }
}

static int is_written(const Operand *operand) {
    return operand->use == WRITE || operand->use == MAYBE_WRITE;
}

int array_fits(const Array *array, const Operand *operand, Kind real) {
    if (!given(array)) return operand->use >= MAYBE;
    int strided = operand->use == STRIDED || operand->use == MAYBE_STRIDED, last = array->ndim - 1;
    if (!is_kind(array->kind, operand->type, real) || array->ndim < operand->least ||
        array->ndim > operand->most)
        return 0;
    for (int i = 0; i <= last; i++)
        if (array->shape[i] == 0) return 0;
    if (!strided && last >= 0 && array->shape[last] != 1 && array->strides[last] != array->item)
        return 0;
    return !is_written(operand) || array->contiguous || !overlaps_itself(array);
}

int outputs_apart(const Call *call, const Operand *operands, int count) {
    for (int i = 0; i < count; i++) {
        if (!is_written(&operands[i]) || !given(&call->array[i])) continue;
        for (int j = 0; j < count; j++)
            if (j != i && operands[j].type < NUMBER && given(&call->array[j]) &&
                !disjoint(&call->array[i], &call->array[j]))
                return 0;
    }
    return 1;
}
