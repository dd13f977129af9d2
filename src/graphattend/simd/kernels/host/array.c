#include "array.h"

static Extent extent(const Array *array) {
    Extent e = {array->data, array->data + array->item};
    for (int i = 0; i < array->ndim; i++)
        e = stretched(e, array->strides[i] * (array->shape[i] - 1));
    return e;
}

int disjoint(const Array *a, const Array *b) { return apart(extent(a), extent(b)); }

/* Sorted by stride, each axis must step over the whole extent of the smaller axes. */
int overlaps_itself(const Array *array) {
    isize strides[MAX_AXES], lengths[MAX_AXES];
    int n = 0;
    for (int i = 0; i < array->ndim; i++) {
        if (array->shape[i] == 1) continue;
        isize stride = array->strides[i] < 0 ? -array->strides[i] : array->strides[i];
        int j = n++;
        for (; j && strides[j - 1] > stride; j--)
            strides[j] = strides[j - 1], lengths[j] = lengths[j - 1];
        strides[j] = stride, lengths[j] = array->shape[i];
    }
    isize size = array->item;
    for (int i = 0; i < n; i++) {
        if (strides[i] < size) return 1;
        size += strides[i] * (lengths[i] - 1);
    }
    return 0;
}

void batch_start(Batch *batch, const Array *output, int core) {
    batch->ndim = output->ndim - core;
    batch->operands = 0;
    batch->count = 1;
    for (int i = 0; i < batch->ndim; i++) {
        batch->shape[i] = output->shape[i];
        batch->index[i] = 0;
        batch->count *= output->shape[i];
    }
}

int batch_add(Batch *batch, const Array *array, int core) {
    int lead = array->ndim - core, missing = batch->ndim - lead, op = batch->operands;
    if (lead < 0 || missing < 0 || op == MAX_OPERANDS) return -1;
    for (int i = 0; i < batch->ndim; i++) {
        isize length = i < missing ? 1 : array->shape[i - missing];
        if (length != 1 && length != batch->shape[i]) return -1;
        batch->stride[op][i] = length == 1 ? 0 : array->strides[i - missing];
    }
    batch->at[op] = array->data;
    return batch->operands++;
}

void batch_next(Batch *batch) {
    for (int i = batch->ndim - 1; i >= 0; i--) {
        if (++batch->index[i] < batch->shape[i]) {
            for (int op = 0; op < batch->operands; op++) batch->at[op] += batch->stride[op][i];
            return;
        }
        batch->index[i] = 0;
        for (int op = 0; op < batch->operands; op++)
            batch->at[op] -= batch->stride[op][i] * (batch->shape[i] - 1);
    }
}
