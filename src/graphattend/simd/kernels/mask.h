/* Which keys a query may see: a boolean or additive mask, the causal rule, and lengths. */
#ifndef GA_MASK_H
#define GA_MASK_H

#include "args.h"
#include "vec.h"

/* A mask over (queries, keys): boolean (nonzero = attend) or float32 added to the scores; steps in elements, 0 = broadcast. */
typedef struct {
    const unsigned char *allowed;
    const float *added;
    isize query_step, key_step;
} Mask;

/* Everything that limits one batch entry. A query sees the keys before its limit, and of those what the mask allows. */
typedef struct {
    Mask mask;
    const long long *lengths; /* per query, or 0 */
    isize length_step;
    int causal; /* key j is visible to query i iff j <= i */
    isize keys;
} Visible;

INL isize visible_limit(const Visible *visible, isize query) {
    isize limit = visible->keys;
    if (visible->causal && query + 1 < limit) limit = query + 1;
    if (visible->lengths) {
        long long length = visible->lengths[query * visible->length_step];
        if (length < limit) limit = length < 0 ? 0 : (isize)length;
    }
    return limit;
}

/* The arguments (mask or None, causal, lengths or None) of an entry point. */
typedef struct {
    Array mask, lengths;
    Kind mask_kind; /* OTHER: no mask */
    int has_lengths, causal;
    int mask_operand, lengths_operand;
} VisibleArgs;

/* 1 if usable; 0 if the kernel does not apply. Mask (..., M or 1, N or 1), lengths int64 (..., M or 1). */
int get_visible(PyObject *mask, PyObject *causal, PyObject *lengths, VisibleArgs *args);
/* Adds the arrays to the batch; 0 if the shapes do not fit M queries and N keys. */
int visible_batch(VisibleArgs *args, Batch *batch, isize queries, isize keys);
/* What applies to the batch entry at hand. */
Visible visible_now(const VisibleArgs *args, const Batch *batch, isize keys);
/* 1 if `output` shares no byte with the mask or the lengths. */
int visible_disjoint(const VisibleArgs *args, const Array *output);

#endif
