#include "mask.h"

static int fits(isize length, isize all) { return length == 1 || length == all; }

int limits_batch(Limits *limits, Batch *batch, isize queries, isize keys) {
    const Array *mask = limits->mask, *lengths = limits->lengths;
    if (given(mask)) {
        if (!fits(len(mask, 2), queries) || !fits(len(mask, 1), keys)) return 0;
        limits->mask_operand = batch_add(batch, mask, 2);
        if (limits->mask_operand < 0) return 0;
    }
    if (given(lengths)) {
        if (!fits(len(lengths, 1), queries)) return 0;
        limits->lengths_operand = batch_add(batch, lengths, 1);
        if (limits->lengths_operand < 0) return 0;
    }
    return 1;
}

static isize step_or_zero(const Array *array, int axis) {
    return len(array, axis) == 1 ? 0 : step(array, axis);
}

Visible visible_now(const Limits *limits, const Batch *batch, isize keys) {
    Visible visible = {{0, 0, 0, 0}, 0, 0, limits->causal, keys};
    if (given(limits->mask)) {
        const char *at = batch->at[limits->mask_operand];
        if (limits->mask->kind == BOOL) visible.mask.allowed = (const unsigned char *)at;
        else visible.mask.added = (const real *)at;
        visible.mask.query_step = step_or_zero(limits->mask, 2);
        visible.mask.key_step = step_or_zero(limits->mask, 1);
    }
    if (given(limits->lengths)) {
        visible.lengths = (const long long *)batch->at[limits->lengths_operand];
        visible.length_step = step_or_zero(limits->lengths, 1);
    }
    return visible;
}
