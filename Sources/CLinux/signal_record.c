#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

// Nine words in shared memory: fatal signal, code, address, instruction, sender, instant; request to stop, sender, instant.
static _Atomic(uint64_t) *volatile record;
static const int fatal[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
enum { fatal_count = sizeof fatal / sizeof fatal[0] };
static struct sigaction earlier[fatal_count];
// A stack that has run over is one of the causes.
static char stack[32768];

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void put(int index, uint64_t value) { atomic_store_explicit(&record[index], value, memory_order_relaxed); }

static void note_fatal(int signal, siginfo_t *information, void *context) {
  if (record && atomic_load_explicit(&record[0], memory_order_relaxed) == 0) {
    const ucontext_t *registers = context;
    put(1, (uint64_t)(int64_t)information->si_code);
    put(4, 0);
    // The address and the sender share their place in the structure.
    if (information->si_code > 0)
      put(2, (uint64_t)(uintptr_t)information->si_addr);
    else
      put(4, (uint64_t)information->si_pid);
#if defined(__x86_64__)
    put(3, (uint64_t)registers->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
    put(3, registers->uc_mcontext.pc);
#else
    (void)registers;
#endif
    put(5, now());
    atomic_store_explicit(&record[0], (uint64_t)signal, memory_order_release);
  }
  // As if this had not been here: what was to happen on this signal happens when the handler returns.
  for (int index = 0; index < fatal_count; index++)
    if (fatal[index] == signal) sigaction(signal, &earlier[index], NULL);
  raise(signal);
}

void bulkhead_record_signals(void *words) {
  // The handlers are there already: only the place is another.
  bool is_moved = record != NULL;
  record = words;
  if (is_moved) return;
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  for (int index = 0; index < fatal_count; index++) {
    struct sigaction action = {.sa_sigaction = note_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    sigaction(fatal[index], &action, &earlier[index]);
  }
}

void bulkhead_note_stop(int signal, pid_t sender) {
  if (!record) return;
  put(7, (uint64_t)sender);
  put(8, now());
  atomic_store_explicit(&record[6], (uint64_t)signal, memory_order_release);
}
