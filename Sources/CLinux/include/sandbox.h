// Capabilities and system calls that a process gives up. No logic but the handler that must not allocate.
#ifndef BULKHEAD_SANDBOX_H
#define BULKHEAD_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

// Gives up every capability of this thread, for good, and the right to gain any by executing a program; but keeps
// CAP_IPC_LOCK, if it is there and `keeps_lock`. Returns 0, or -errno.
int bulkhead_drop_capabilities(bool keeps_lock);

// One instruction of a filter (struct sock_filter).
struct bulkhead_filter_instruction {
  uint16_t code;
  uint8_t jump_true, jump_false;
  uint32_t operand;
};

// From here on a call that `program` does not allow is not made. What it returns SECCOMP_RET_TRAP for is counted in
// `words[0]`, its number in `words[1]`, the first one's in `words[2]`; the first eight are told on standard error behind `name`.
// Then the call fails with EPERM, or, with `is_deadly`, the process ends with SIGSYS. All threads; cannot be undone.
// `name` and `words` must live as long as the process. Returns 0, or -errno.
int bulkhead_enter_sandbox(const struct bulkhead_filter_instruction *program, int count, bool is_deadly, const char *name,
                           uint64_t *words);

// After that: another name and other words for what is counted from here on. The earlier ones still must live.
void bulkhead_sandbox_reports_to(const char *name, uint64_t *words);

// The number of a system call of this architecture, or -1.
int bulkhead_system_call_number(const char *name);
// Its name, or "?".
const char *bulkhead_system_call_name(int number);
// AUDIT_ARCH_… of this architecture.
uint32_t bulkhead_audit_architecture(void);

#endif
