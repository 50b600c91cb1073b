#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

int bulkhead_drop_capabilities(bool keeps_lock) {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  // Needs CAP_SETPCAP. Without that, executing a program gives nothing back either: see the next step.
  for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++) continue;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct held[2], kept[2] = {{0}};
  if (keeps_lock && syscall(SYS_capget, &header, held) == 0)
    kept[0].effective = kept[0].permitted = held[0].permitted & (1u << CAP_IPC_LOCK);
  return syscall(SYS_capset, &header, kept) != 0 ? -errno : 0;
}

static const char *sandbox_name;
static uint64_t *sandbox_words;
static bool sandbox_is_deadly;
static struct sigaction earlier_action;

// In signal context: no allocation, no lock, and no call that the filter could refuse but write, which it allows.
static void refuse(int signal_number, siginfo_t *information, void *context) {
  int saved = errno;
  int call = information->si_syscall;
  uint64_t count = __atomic_add_fetch(&sandbox_words[0], 1, __ATOMIC_RELAXED);
  __atomic_store_n(&sandbox_words[1], (uint64_t)call, __ATOMIC_RELAXED);
  if (count == 1) __atomic_store_n(&sandbox_words[2], (uint64_t)call, __ATOMIC_RELAXED);
  if (count <= 8) {
    char line[160] = "";
    strncat(line, sandbox_name, 40);
    strcat(line, ": its sandbox does not allow the system call ");
    strncat(line, bulkhead_system_call_name(call), 40);
    char digits[16] = " (";
    size_t length = 2;
    char reversed[12];
    int place = 0;
    for (unsigned rest = (unsigned)call; place == 0 || (rest > 0 && place < 10); rest /= 10)
      reversed[place++] = (char)('0' + rest % 10);
    while (place > 0) digits[length++] = reversed[--place];
    strcat(line, digits);
    strcat(line, sandbox_is_deadly ? "): it ends\n" : "): refused\n");
    ssize_t ignored = write(2, line, strlen(line));
    (void)ignored;
  }
  if (sandbox_is_deadly) {
    // As if this had not been here: who wrote fatal signals down before does so now.
    sigaction(signal_number, &earlier_action, NULL);
    raise(signal_number);
    return;
  }
  ucontext_t *user = context;
#if defined(__x86_64__)
  user->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
  user->uc_mcontext.regs[0] = (uint64_t)-EPERM;
#endif
  errno = saved;
}

_Static_assert(sizeof(struct bulkhead_filter_instruction) == sizeof(struct sock_filter), "the kernel's layout");
int bulkhead_enter_sandbox(const struct bulkhead_filter_instruction *program, int count, bool is_deadly, const char *name,
                           uint64_t *words) {
  sandbox_name = name;
  sandbox_words = words;
  sandbox_is_deadly = is_deadly;
  struct sigaction action = {.sa_sigaction = refuse,
                             .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGSYS, &action, &earlier_action) != 0) return -errno;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  struct sock_fprog whole = {(unsigned short)count, (struct sock_filter *)program};
  long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &whole);
  // Above zero: the thread that could not follow.
  return result < 0 ? -errno : result > 0 ? -EBUSY : 0;
}

void bulkhead_sandbox_reports_to(const char *name, uint64_t *words) {
  sandbox_name = name;
  sandbox_words = words;
}

uint32_t bulkhead_audit_architecture(void) {
#if defined(__x86_64__)
  return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  return AUDIT_ARCH_AARCH64;
#endif
}

static const struct {
  const char *name;
  int number;
} calls[] = {
#define CALL(name) {#name, SYS_##name},
  CALL(accept) CALL(accept4) CALL(acct) CALL(add_key) CALL(adjtimex) CALL(bind) CALL(bpf) CALL(brk)
  CALL(capget) CALL(capset) CALL(chdir) CALL(chroot) CALL(clock_adjtime) CALL(clock_getres) CALL(clock_gettime)
  CALL(clock_nanosleep) CALL(clock_settime) CALL(clone) CALL(clone3) CALL(close) CALL(close_range)
  CALL(connect) CALL(copy_file_range) CALL(delete_module) CALL(dup) CALL(dup3) CALL(epoll_create1)
  CALL(epoll_ctl) CALL(epoll_pwait) CALL(epoll_pwait2) CALL(eventfd2) CALL(execve) CALL(execveat) CALL(exit)
  CALL(exit_group) CALL(faccessat) CALL(faccessat2) CALL(fadvise64) CALL(fallocate) CALL(fanotify_init)
  CALL(fanotify_mark) CALL(fchdir) CALL(fchmod) CALL(fchmodat) CALL(fchown) CALL(fchownat) CALL(fcntl)
  CALL(fdatasync) CALL(fgetxattr) CALL(finit_module) CALL(flistxattr) CALL(flock) CALL(fremovexattr)
  CALL(fsconfig) CALL(fsetxattr) CALL(fsmount) CALL(fsopen) CALL(fspick) CALL(fstat) CALL(fstatfs) CALL(fsync)
  CALL(ftruncate) CALL(futex) CALL(futex_waitv) CALL(get_mempolicy) CALL(get_robust_list) CALL(getcpu)
  CALL(getcwd) CALL(getdents64) CALL(getegid) CALL(geteuid) CALL(getgid) CALL(getgroups) CALL(getitimer)
  CALL(getpeername) CALL(getpgid) CALL(getpid) CALL(getppid) CALL(getpriority) CALL(getrandom) CALL(getresgid)
  CALL(getresuid) CALL(getrlimit) CALL(getrusage) CALL(getsid) CALL(getsockname) CALL(getsockopt) CALL(gettid)
  CALL(gettimeofday) CALL(getuid) CALL(getxattr) CALL(init_module) CALL(inotify_add_watch) CALL(inotify_init1)
  CALL(inotify_rm_watch) CALL(io_cancel) CALL(io_destroy) CALL(io_getevents) CALL(io_pgetevents) CALL(io_setup)
  CALL(io_submit) CALL(io_uring_enter) CALL(io_uring_register) CALL(io_uring_setup) CALL(ioctl)
  CALL(ioprio_get) CALL(ioprio_set) CALL(kcmp) CALL(kexec_file_load) CALL(kexec_load) CALL(keyctl) CALL(kill)
  CALL(landlock_add_rule) CALL(landlock_create_ruleset) CALL(landlock_restrict_self) CALL(lgetxattr)
  CALL(linkat) CALL(listen) CALL(listxattr) CALL(llistxattr) CALL(lookup_dcookie) CALL(lremovexattr)
  CALL(lseek) CALL(lsetxattr) CALL(lstat) CALL(madvise) CALL(mbind) CALL(membarrier) CALL(memfd_create)
  CALL(memfd_secret) CALL(migrate_pages) CALL(mincore) CALL(mkdirat) CALL(mknodat) CALL(mlock) CALL(mlock2)
  CALL(mlockall) CALL(mmap) CALL(mount) CALL(mount_setattr) CALL(move_mount) CALL(move_pages) CALL(mprotect)
  CALL(mq_getsetattr) CALL(mq_notify) CALL(mq_open) CALL(mq_timedreceive) CALL(mq_timedsend) CALL(mq_unlink)
  CALL(mremap) CALL(msgctl) CALL(msgget) CALL(msgrcv) CALL(msgsnd) CALL(msync) CALL(munlock) CALL(munlockall)
  CALL(munmap) CALL(name_to_handle_at) CALL(nanosleep) CALL(newfstatat) CALL(nfsservctl)
  CALL(open_by_handle_at) CALL(open_tree) CALL(openat) CALL(openat2) CALL(perf_event_open) CALL(personality)
  CALL(pidfd_getfd) CALL(pidfd_open) CALL(pidfd_send_signal) CALL(pipe2) CALL(pivot_root) CALL(pkey_alloc)
  CALL(pkey_free) CALL(pkey_mprotect) CALL(ppoll) CALL(prctl) CALL(pread64) CALL(preadv) CALL(preadv2)
  CALL(prlimit64) CALL(process_madvise) CALL(process_mrelease) CALL(process_vm_readv) CALL(process_vm_writev)
  CALL(pselect6) CALL(ptrace) CALL(pwrite64) CALL(pwritev) CALL(pwritev2) CALL(quotactl) CALL(quotactl_fd)
  CALL(read) CALL(readahead) CALL(readlinkat) CALL(readv) CALL(reboot) CALL(recvfrom) CALL(recvmmsg)
  CALL(recvmsg) CALL(remap_file_pages) CALL(removexattr) CALL(renameat) CALL(renameat2) CALL(request_key)
  CALL(restart_syscall) CALL(rseq) CALL(rt_sigaction) CALL(rt_sigpending) CALL(rt_sigprocmask)
  CALL(rt_sigqueueinfo) CALL(rt_sigreturn) CALL(rt_sigsuspend) CALL(rt_sigtimedwait) CALL(rt_tgsigqueueinfo)
  CALL(sched_get_priority_max) CALL(sched_get_priority_min) CALL(sched_getaffinity) CALL(sched_getattr)
  CALL(sched_getparam) CALL(sched_getscheduler) CALL(sched_rr_get_interval) CALL(sched_setaffinity)
  CALL(sched_setattr) CALL(sched_setparam) CALL(sched_setscheduler) CALL(sched_yield) CALL(seccomp)
  CALL(semctl) CALL(semget) CALL(semop) CALL(semtimedop) CALL(sendfile) CALL(sendmmsg) CALL(sendmsg)
  CALL(sendto) CALL(set_mempolicy) CALL(set_mempolicy_home_node) CALL(set_robust_list) CALL(set_tid_address)
  CALL(setdomainname) CALL(setfsgid) CALL(setfsuid) CALL(setgid) CALL(setgroups) CALL(sethostname)
  CALL(setitimer) CALL(setns) CALL(setpgid) CALL(setpriority) CALL(setregid) CALL(setresgid) CALL(setresuid)
  CALL(setreuid) CALL(setrlimit) CALL(setsid) CALL(setsockopt) CALL(settimeofday) CALL(setuid) CALL(setxattr)
  CALL(shmat) CALL(shmctl) CALL(shmdt) CALL(shmget) CALL(shutdown) CALL(sigaltstack) CALL(signalfd4)
  CALL(socket) CALL(socketpair) CALL(splice) CALL(stat) CALL(statfs) CALL(statx) CALL(swapoff) CALL(swapon)
  CALL(symlinkat) CALL(sync) CALL(sync_file_range) CALL(syncfs) CALL(sysinfo) CALL(syslog) CALL(tee)
  CALL(tgkill) CALL(timer_create) CALL(timer_delete) CALL(timer_getoverrun) CALL(timer_gettime)
  CALL(timer_settime) CALL(timerfd_create) CALL(timerfd_gettime) CALL(timerfd_settime) CALL(times) CALL(tkill)
  CALL(truncate) CALL(umask) CALL(umount2) CALL(uname) CALL(unlinkat) CALL(unshare) CALL(userfaultfd)
  CALL(utimensat) CALL(vhangup) CALL(vmsplice) CALL(wait4) CALL(waitid) CALL(write) CALL(writev)
#if defined(__x86_64__)
  CALL(_sysctl) CALL(access) CALL(afs_syscall) CALL(alarm) CALL(arch_prctl) CALL(chmod) CALL(chown) CALL(creat)
  CALL(create_module) CALL(dup2) CALL(epoll_create) CALL(epoll_ctl_old) CALL(epoll_wait) CALL(epoll_wait_old)
  CALL(eventfd) CALL(fork) CALL(futimesat) CALL(get_kernel_syms) CALL(get_thread_area) CALL(getdents)
  CALL(getpgrp) CALL(getpmsg) CALL(inotify_init) CALL(ioperm) CALL(iopl) CALL(lchown) CALL(link) CALL(mkdir)
  CALL(mknod) CALL(modify_ldt) CALL(open) CALL(pause) CALL(pipe) CALL(poll) CALL(putpmsg) CALL(query_module)
  CALL(readlink) CALL(rename) CALL(rmdir) CALL(security) CALL(select) CALL(set_thread_area) CALL(signalfd)
  CALL(symlink) CALL(sysfs) CALL(time) CALL(tuxcall) CALL(unlink) CALL(uselib) CALL(ustat) CALL(utime)
  CALL(utimes) CALL(vfork) CALL(vserver)
#endif
#undef CALL
};

int bulkhead_system_call_number(const char *name) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (strcmp(calls[i].name, name) == 0) return calls[i].number;
  return -1;
}

const char *bulkhead_system_call_name(int number) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (calls[i].number == number) return calls[i].name;
  return "?";
}
