/* Hides AVX-512, VNNI and AMX from a program, which then takes the code it has for processors with AVX2 alone, at full
 * speed: CPUID faults, and its answer is masked. Linux on an Intel processor, or a virtual machine, with `cpuid_fault`.
 *
 *     cc -O2 -shared -fPIC -o hide.so experiments/runtime/hide_instruction_sets.c
 *     LD_PRELOAD=./hide.so python ...
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012

static struct sigaction before;

static long set_faulting(int on) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, !on); }

static void answer(int number, siginfo_t *info, void *context) {
  greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)r[REG_RIP];
  if (info->si_code != SI_KERNEL || code[0] != 0x0f || code[1] != 0xa2) { /* a fault of the program's own */
    sigaction(number, &before, NULL);
    return;
  }
  uint32_t leaf = r[REG_RAX], sub = r[REG_RCX], a, b, c, d;
  set_faulting(0);
  __cpuid_count(leaf, sub, a, b, c, d);
  set_faulting(1);
  if (leaf == 7 && sub == 0) {
    b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31); /* AVX-512 */
    c &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14); /* VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
    d &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25); /* AVX512-FP16, AMX */
  } else if (leaf == 7 && sub == 1) {
    a &= ~(1u << 4 | 1u << 5 | 1u << 21); /* AVX-VNNI, AVX512-BF16, AMX-FP16 */
    d &= ~(1u << 4 | 1u << 5 | 1u << 8 | 1u << 10 | 1u << 19); /* AVX-VNNI-INT8 and -INT16, AMX-COMPLEX, AVX10 */
  }
  r[REG_RAX] = a, r[REG_RBX] = b, r[REG_RCX] = c, r[REG_RDX] = d;
  r[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
  struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, &before);
  if (set_faulting(1)) {
    perror("instruction sets cannot be hidden here (arch_prctl ARCH_SET_CPUID)");
    _exit(3);
  }
}
