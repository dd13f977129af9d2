/* What compilers for Windows expect of the C library. Its static part would add 90 kB to the
 * module. */
#ifdef _WIN32
#include "pyabi.h"

/* Called when the module is loaded. It has neither constructors nor variables of threads. */
int DllMainCRTStartup(void *module, unsigned reason, void *reserved);
int DllMainCRTStartup(void *module, unsigned reason, void *reserved) {
    (void)module, (void)reason, (void)reserved;
    return 1;
}

/* Copied and cleared structures */
void *memcpy(void *restrict to, const void *restrict from, usize bytes);
void *memcpy(void *restrict to, const void *restrict from, usize bytes) {
    for (usize i = 0; i < bytes; i++) ((char *)to)[i] = ((const char *)from)[i];
    return to;
}
void *memset(void *to, int value, usize bytes);
void *memset(void *to, int value, usize bytes) {
    for (usize i = 0; i < bytes; i++) ((char *)to)[i] = (char)value;
    return to;
}

/* Called by functions with more than a page of local variables, before they move the stack pointer:
 * reads from every page in turn, because Windows extends a stack only by the page below it. The
 * arguments are in registers: the size in bytes (rax), or in units of 16 bytes (x15). All other
 * registers are kept. */
#ifdef __x86_64__
__asm__(".globl ___chkstk_ms\n"
        "___chkstk_ms:\n"
        "    push %rax\n"
        "    push %rcx\n"
        "    lea 24(%rsp), %rcx\n" /* the caller's stack pointer */
        "1:  cmp $4096, %rax\n"
        "    jb 2f\n"
        "    sub $4096, %rcx\n"
        "    testb $0, (%rcx)\n"
        "    sub $4096, %rax\n"
        "    jmp 1b\n"
        "2:  sub %rax, %rcx\n"
        "    testb $0, (%rcx)\n"
        "    pop %rcx\n"
        "    pop %rax\n"
        "    ret\n");
#else
__asm__(".globl __chkstk\n"
        "__chkstk:\n"
        "    lsl x16, x15, #4\n"
        "    mov x17, sp\n"
        "1:  sub x17, x17, #4096\n"
        "    subs x16, x16, #4096\n"
        "    ldr xzr, [x17]\n"
        "    b.gt 1b\n"
        "    ret\n");
#endif
#endif
