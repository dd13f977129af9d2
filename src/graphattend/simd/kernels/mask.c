#include "mask.h"

int get_visible(PyObject *mask, PyObject *causal, PyObject *lengths, VisibleArgs *args) {
    args->mask_kind = OTHER;
    args->has_lengths = !is_none(lengths);
    args->causal = causal == &_Py_TrueStruct;
    if (!args->causal && causal != &_Py_FalseStruct) return 0;
    if (!is_none(mask)) {
        args->mask_kind = array_kind(mask);
        if (args->mask_kind != BOOL && args->mask_kind != FLOAT32) return 0;
        if (!get_strided(mask, args->mask_kind, 2, &args->mask)) return 0;
    }
    return !args->has_lengths || get_strided(lengths, INT64, 1, &args->lengths);
}

static int fits(isize length, isize whole) { return length == 1 || length == whole; }

int visible_batch(VisibleArgs *args, Batch *batch, isize queries, isize keys) {
    if (args->mask_kind != OTHER) {
        if (!fits(len(&args->mask, 2), queries) || !fits(len(&args->mask, 1), keys)) return 0;
        args->mask_operand = batch_add(batch, &args->mask, 2);
        if (args->mask_operand < 0) return 0;
    }
    if (args->has_lengths) {
        if (!fits(len(&args->lengths, 1), queries)) return 0;
        args->lengths_operand = batch_add(batch, &args->lengths, 1);
        if (args->lengths_operand < 0) return 0;
    }
    return 1;
}

static isize step_or_zero(const Array *array, int axis) { return len(array, axis) == 1 ? 0 : step(array, axis); }

Visible visible_now(const VisibleArgs *args, const Batch *batch, isize keys) {
    Visible visible = {{0, 0, 0, 0}, 0, 0, args->causal, keys};
    if (args->mask_kind != OTHER) {
        const char *at = batch->at[args->mask_operand];
        if (args->mask_kind == BOOL) visible.mask.allowed = (const unsigned char *)at;
        else visible.mask.added = (const float *)at;
        visible.mask.query_step = step_or_zero(&args->mask, 2);
        visible.mask.key_step = step_or_zero(&args->mask, 1);
    }
    if (args->has_lengths) {
        visible.lengths = (const long long *)batch->at[args->lengths_operand];
        visible.length_step = step_or_zero(&args->lengths, 1);
    }
    return visible;
}

int visible_disjoint(const VisibleArgs *args, const Array *output) {
    return (args->mask_kind == OTHER || disjoint(&args->mask, output)) &&
           (!args->has_lengths || disjoint(&args->lengths, output));
}
