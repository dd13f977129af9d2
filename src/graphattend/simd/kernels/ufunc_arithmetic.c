/* add, subtract, multiply, divide, maximum, minimum: bit for bit what NumPy's scalar loops give. */
#include "ufunc.h"

/* Four vectors at any address. Behind a pointer that the compiler knows nothing about (OPAQUE),
 * their distances become offsets of the load and store instructions; otherwise every address is
 * computed. */
typedef struct {
    vw v0, v1, v2, v3;
} __attribute__((packed, aligned(sizeof(real)), may_alias)) Four;
#define OPAQUE(pointer) __asm__("" : "+r"(pointer))

#define OF_A(member) p->member
#define OF_B(member) q->member
#define FOUR_AT_ONCE(op, A, B)                                                                     \
    for (; i + 4 * WIDE <= n; i += 4 * WIDE) {                                                     \
        const Four *p = (const Four *)(a + i * a_step), *q = (const Four *)(b + i * b_step);       \
        Four *r = (Four *)(out + i);                                                               \
        OPAQUE(p);                                                                                 \
        OPAQUE(q);                                                                                 \
        OPAQUE(r);                                                                                 \
        r->v0 = op(A(v0), B(v0));                                                                  \
        r->v1 = op(A(v1), B(v1));                                                                  \
        r->v2 = op(A(v2), B(v2));                                                                  \
        r->v3 = op(A(v3), B(v3));                                                                  \
    }
#define ONE(op, x, y) op(splatw(x), splatw(y))[0]

/* reduce(accumulator, values, n, step) returns 1, or 0 to leave it to NumPy. */
#define BINARY_LOOP(name, op, reduce)                                                              \
    LOOP(name) {                                                                                   \
        const real *a = (const real *)args[0], *b = (const real *)args[1];                         \
        real *out = (real *)args[2];                                                               \
        if (is_reduction(args, steps) && reduce(out, b, dimensions[0], steps[1])) return;          \
        BINARY_LOOP_BODY(name, FOUR_AT_ONCE, ONE, op)                                              \
    }
#define NOT_REDUCED(accumulator, values, n, step) 0

#define ADD(x, y) ((x) + (y))
#define SUBTRACT(x, y) ((x) - (y))
#define MULTIPLY(x, y) ((x) * (y))
#define DIVIDE(x, y) ((x) / (y))

/* The first operand wins a tie, so that the sign of zero is kept; a NaN, the first if both are, is
 * the result. */
INL vw larger(vw a, vw b) { return selectw((mw)(a >= b) | (mw)(a != a), a, b); }
INL vw smaller(vw a, vw b) { return selectw((mw)(a <= b) | (mw)(a != a), a, b); }

/* -- reductions: eight running values, combined in NumPy's order, so the bits are equal -- */

enum { BLOCK = 128, VECTORS = 8 / WIDE };

/* Pairwise summation: blocks of at most 128. */
static real sum_block(const real *x, isize n) {
    vw r[VECTORS];
    real s[8];
    isize i = 8;
    for (int j = 0; j < VECTORS; j++) r[j] = LOADW(x + j * WIDE);
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < VECTORS; j++) r[j] += LOADW(x + i + j * WIDE);
    for (int j = 0; j < VECTORS; j++) STOREW(s + j * WIDE, r[j]);
    real sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    for (; i < n; i++) sum += x[i];
    return sum;
}

static real pairwise_sum(const real *x, isize n) {
    if (n <= BLOCK) return sum_block(x, n);
    isize half = n / 2;
    half -= half % 8;
    return pairwise_sum(x, half) + pairwise_sum(x + half, n - half);
}

INL int reduce_sum(real *accumulator, const real *values, isize n, isize step) {
    if (n < 8 || step != sizeof(real)) return 0;
    *accumulator += pairwise_sum(values, n);
    return 1;
}

/* The one-instruction extremes ignore NaN. NaN is only detected, and NumPy's loop then computes the
 * row. */
#define EXTREME_REDUCTION(name, op, fast, LESS)                                                    \
    INL int name(real *accumulator, const real *values, isize n, isize step) {                     \
        vw m[VECTORS];                                                                             \
        mw nan = {0};                                                                              \
        real s[8];                                                                                 \
        if (n < 16 || step != sizeof(real)) return 0;                                              \
        for (int j = 0; j < VECTORS; j++)                                                          \
            m[j] = LOADW(values + j * WIDE), nan |= (mw)(m[j] != m[j]);                            \
        isize i = 8;                                                                               \
        for (; i + 8 <= n; i += 8)                                                                 \
            for (int j = 0; j < VECTORS; j++) {                                                    \
                vw x = LOADW(values + i + j * WIDE);                                               \
                nan |= (mw)(x != x);                                                               \
                m[j] = fast(m[j], x);                                                              \
            }                                                                                      \
        if (any(nan)) return 0;                                                                    \
        for (int j = 0; j < VECTORS; j++) STOREW(s + j * WIDE, m[j]);                              \
        for (int width = 1; width < 8; width *= 2)                                                 \
            for (int j = 0; j < 8; j += 2 * width)                                                 \
                if (s[j + width] LESS s[j]) s[j] = s[j + width];                                   \
        real best = ONE(op, *accumulator, s[0]);                                                   \
        for (; i < n; i++) best = ONE(op, best, values[i]);                                        \
        *accumulator = best;                                                                       \
        return 1;                                                                                  \
    }
EXTREME_REDUCTION(reduce_maximum, larger, vmaxw, >)
EXTREME_REDUCTION(reduce_minimum, smaller, vminw, <)

BINARY_LOOP(add, ADD, reduce_sum)
BINARY_LOOP(subtract, SUBTRACT, NOT_REDUCED)
BINARY_LOOP(multiply, MULTIPLY, NOT_REDUCED)
BINARY_LOOP(divide, DIVIDE, NOT_REDUCED)
BINARY_LOOP(maximum, larger, reduce_maximum)
BINARY_LOOP(minimum, smaller, reduce_minimum)
