/* Which keys a query may see: a boolean or additive mask, the causal rule, and lengths. */
#ifndef GA_MASK_H
#define GA_MASK_H

#include "vec.h"

/* A mask over (queries, keys): boolean (nonzero = attend) or added to the scores; steps in
 * elements, 0 = broadcast. */
typedef struct {
    const unsigned char *allowed;
    const real *added;
    isize query_step, key_step;
} Mask;

/* The visibility of the keys first ... first + n - 1 for one query. */
INL void apply_mask(real *scores, isize first, isize n, Mask mask) {
    if (mask.allowed) {
        for (isize i = 0; i < n; i++)
            if (!mask.allowed[(first + i) * mask.key_step]) scores[i] = MINUS_INFINITY;
    } else {
        for (isize i = 0; i < n; i++) scores[i] += mask.added[(first + i) * mask.key_step];
    }
}

/* All limits of one batch entry. A query sees the keys before its limit that the mask allows. */
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

/* The operands mask, causal and lengths of a kernel. */
typedef struct {
    const Array *mask, *lengths;
    int causal;
    int mask_operand, lengths_operand;
} Limits;

/* Adds the arrays to the batch; 0 if the shapes do not fit M queries and N keys. */
#define limits_batch K(limits_batch)
int limits_batch(Limits *limits, Batch *batch, isize queries, isize keys);
/* The limits of the current batch entry. */
#define visible_now K(visible_now)
Visible visible_now(const Limits *limits, const Batch *batch, isize keys);

#endif
