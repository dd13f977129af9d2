/* The module's entry, which first checks the processor. Only this file is compiled for the oldest
 * processor; other code must not run on processors that lack its instructions. */
#include "../host/call.h"
#include "pyabi.h"

PyObject *IN_SET(kernels_module)(void); /* module.c */

#ifdef __x86_64__
enum {
    STATE_AVX = 0x6,
    STATE_AVX512 = 0xe6
}; /* registers that the operating system saves: XMM, YMM; and opmask, ZMM */

typedef struct {
    unsigned a, b, c, d;
} Registers;

static Registers cpuid(unsigned leaf) {
    Registers r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

static int saves(unsigned state) {
    unsigned low, high;
    if (!(cpuid(1).c & 1u << 27)) return 0; /* OSXSAVE: without it there is no xgetbv */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & state) == state;
}

static int has(unsigned flags, unsigned wanted) { return (flags & wanted) == wanted; }

/* The microarchitecture level of the x86-64 psABI: 1 to 4. */
static int level(void) {
    unsigned most = cpuid(0).a, extended = cpuid(0x80000000u).a;
    unsigned c1 = cpuid(1).c, c81 = extended > 0x80000000u ? cpuid(0x80000001u).c : 0,
             b7 = most >= 7 ? cpuid(7).b : 0;
    /* SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF */
    if (!has(c1, 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23) ||
        !has(c81, 1u << 0))
        return 1;
    /* FMA, MOVBE, AVX, F16C; LZCNT; BMI1, AVX2, BMI2 */
    if (!has(c1, 1u << 12 | 1u << 22 | 1u << 28 | 1u << 29) || !has(c81, 1u << 5) ||
        !has(b7, 1u << 3 | 1u << 5 | 1u << 8) || !saves(STATE_AVX))
        return 2;
    /* AVX512F, DQ, CD, BW, VL */
    if (!has(b7, 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31) || !saves(STATE_AVX512))
        return 3;
    return 4;
}
#else
static int level(void) { return 1; }
#endif

#ifndef LEVEL
#define LEVEL 1
#endif

EXPORT PyObject *IN_SET(PyInit__kernels)(void) {
    if (level() >= LEVEL) return IN_SET(kernels_module)();
    PyErr_SetString(PyExc_ImportError,
                    "this processor or operating system lacks the instructions of these kernels");
    return 0;
}
