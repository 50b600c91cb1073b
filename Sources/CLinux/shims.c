#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct timespec timespec_of(int64_t nanoseconds) {
  struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  return time;
}

int bulkhead_futex_wait(const void *word, uint32_t expected, int64_t nanoseconds) {
  struct timespec timeout = timespec_of(nanoseconds);
  long result =
      syscall(SYS_futex, word, FUTEX_WAIT, expected, nanoseconds < 0 ? NULL : &timeout, NULL, 0);
  return result < 0 ? -errno : 0;
}

int bulkhead_futex_wake(const void *word, int count) {
  long result = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
  return result < 0 ? -errno : 0;
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
struct bulkhead_futex_waitv {
  uint64_t value, address;
  uint32_t flags, reserved;
};

int bulkhead_futex_wait_any(const void *const *words, const uint32_t *expected, int count, int64_t nanoseconds) {
  struct bulkhead_futex_waitv waiters[8];
  if (count < 1 || count > 8) return -EINVAL;
  for (int i = 0; i < count; i++) {
    // Flag 2: a 32-bit word; without the private flag, so that it may be shared between processes.
    waiters[i] = (struct bulkhead_futex_waitv){expected[i], (uint64_t)(uintptr_t)words[i], 2, 0};
  }
  struct timespec deadline;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  if (nanoseconds >= 0) {
    int64_t total = deadline.tv_nsec + nanoseconds;
    deadline.tv_sec += total / 1000000000;
    deadline.tv_nsec = total % 1000000000;
  }
  long result =
      syscall(SYS_futex_waitv, waiters, count, 0, nanoseconds < 0 ? NULL : &deadline, CLOCK_MONOTONIC);
  if (result < 0 && errno == ENOSYS) {
    // A kernel before 5.16: watch the first word, and look at the others often.
    return bulkhead_futex_wait(words[0], expected[0], nanoseconds < 0 || nanoseconds > 200000 ? 200000 : nanoseconds);
  }
  return result < 0 ? -errno : 0;
}

int bulkhead_membarrier_register(void) {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}

int bulkhead_membarrier(void) {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}

int bulkhead_pidfd_open(pid_t pid) {
  long result = syscall(SYS_pidfd_open, pid, 0);
  return result < 0 ? -errno : (int)result;
}

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
int bulkhead_copy_descriptor(int pidfd, int descriptor) {
  long result = syscall(SYS_pidfd_getfd, pidfd, descriptor, 0);
  if (result < 0) return -errno;
  fcntl((int)result, F_SETFD, FD_CLOEXEC);
  return (int)result;
}

int bulkhead_pin_to_cores(const int *cores, int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = 0; i < count; i++)
    if (cores[i] >= 0 && cores[i] < CPU_SETSIZE) CPU_SET(cores[i], &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) return -errno;
  return 0;
}

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
int bulkhead_pidfd_signal(int pidfd, int signal) {
  return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int bulkhead_become_realtime(int priority) {
  struct sched_param parameter = {.sched_priority = priority};
  return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameter) != 0 ? -errno : 0;
}

int bulkhead_open_interval_timer(uint64_t nanoseconds) {
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (fd < 0) return -errno;
  struct timespec interval = timespec_of((int64_t)nanoseconds);
  struct itimerspec times = {.it_interval = interval, .it_value = interval};
  if (timerfd_settime(fd, 0, &times, NULL) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

uint64_t bulkhead_take_intervals(int timer) {
  uint64_t count = 0;
  return read(timer, &count, sizeof count) == (ssize_t)sizeof count ? count : 0;
}

int bulkhead_next_datagram_bytes(int socket) {
  int bytes = 0;
  return ioctl(socket, FIONREAD, &bytes) != 0 ? -errno : bytes;
}

int bulkhead_end_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0 ? -errno : 0; }

_Static_assert(sizeof(pthread_mutex_t) <= BULKHEAD_LIFE_BYTES, "a mutex fits its place");
int bulkhead_hold_life(void *memory) {
  pthread_mutexattr_t attributes;
  int code = pthread_mutexattr_init(&attributes);
  if (code != 0) return -code;
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  // What a predecessor left there is nobody's any more.
  memset(memory, 0, BULKHEAD_LIFE_BYTES);
  code = pthread_mutex_init(memory, &attributes);
  if (code == 0) code = pthread_mutex_lock(memory);
  pthread_mutexattr_destroy(&attributes);
  return -code;
}

int bulkhead_release_life(void *memory) { return -pthread_mutex_unlock(memory); }

int bulkhead_populate_for_writing(void *memory, uint64_t bytes) {
#ifdef MADV_POPULATE_WRITE
  return madvise(memory, (size_t)bytes, MADV_POPULATE_WRITE) != 0 ? -errno : 0;
#else
  return madvise(memory, (size_t)bytes, 23) != 0 ? -errno : 0;
#endif
}

int bulkhead_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 ? -errno : 0; }

int bulkhead_trace_me(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 ? -errno : 0; }
int bulkhead_trace_continue(pid_t pid) { return ptrace(PTRACE_CONT, pid, NULL, NULL) != 0 ? -errno : 0; }
int bulkhead_trace_step(pid_t pid) { return ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 ? -errno : 0; }
int bulkhead_wait_stop_signal(int status) { return WIFSTOPPED(status) ? WSTOPSIG(status) : 0; }

bool bulkhead_wait_exited(int status) { return WIFEXITED(status); }
int bulkhead_wait_exit_code(int status) { return WEXITSTATUS(status); }
int bulkhead_wait_signal(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

// The child's environment holds this placeholder, overwritten after the fork when the pid is known.
static const char listen_pid_prefix[] = "LISTEN_PID=";

static pid_t spawn(const char *path, char *const arguments[], char *const environment[], const int *descriptors,
                   int descriptor_count, int log_descriptor, bool waits) {
  if (descriptor_count < 0 || descriptor_count > 16) return -EINVAL;
  int environment_count = 0;
  while (environment[environment_count]) environment_count++;
  char **complete = calloc((size_t)environment_count + 2, sizeof *complete);
  if (!complete) return -ENOMEM;
  char listen_pid[32] = "LISTEN_PID=";
  memcpy(complete, environment, (size_t)environment_count * sizeof *complete);
  if (descriptor_count > 0) complete[environment_count] = listen_pid;

  int report[2] = {-1, -1};
  if (waits && pipe2(report, O_CLOEXEC) != 0) {
    free(complete);
    return -errno;
  }
  pid_t pid = fork();
  if (pid == 0) {
    snprintf(listen_pid + sizeof listen_pid_prefix - 1, sizeof listen_pid - sizeof listen_pid_prefix, "%d",
             (int)getpid());
    setpgid(0, 0);
    // First out of the way of 3, 4, …, then into place: a descriptor may already be one of the targets.
    int moved[17];
    int error = 0;
    int report_moved = waits ? fcntl(report[1], F_DUPFD_CLOEXEC, 64) : -1;
    for (int i = 0; i < descriptor_count && !error; i++) {
      moved[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 64);
      if (moved[i] < 0) error = errno;
    }
    for (int i = 0; i < descriptor_count && !error; i++)
      if (dup2(moved[i], 3 + i) < 0) error = errno;
    if (log_descriptor >= 0 && !error)
      if (dup2(log_descriptor, 1) < 0 || dup2(log_descriptor, 2) < 0) error = errno;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (!error) {
      execve(path, arguments, complete);
      error = errno;
    }
    if (waits) {
      ssize_t ignored = write(report_moved, &error, sizeof error);
      (void)ignored;
    } else {
      dprintf(2, "cannot execute %s: %s\n", path, strerror(error));
    }
    _exit(127);
  }
  int saved = errno;
  free(complete);
  if (waits) close(report[1]);
  int error = pid < 0 ? saved : 0;
  if (pid > 0 && waits) {
    ssize_t count;
    do count = read(report[0], &error, sizeof error);
    while (count < 0 && errno == EINTR);
    if (count == (ssize_t)sizeof error) waitpid(pid, NULL, 0);
  }
  if (waits) close(report[0]);
  return error ? -error : pid;
}

pid_t bulkhead_spawn(const char *path, char *const arguments[], char *const environment[], const int *descriptors,
                     int descriptor_count, int log_descriptor) {
  return spawn(path, arguments, environment, descriptors, descriptor_count, log_descriptor, true);
}

pid_t bulkhead_spawn_at_once(const char *path, char *const arguments[], char *const environment[],
                             const int *descriptors, int descriptor_count) {
  if (access(path, X_OK) != 0) return -errno;
  return spawn(path, arguments, environment, descriptors, descriptor_count, -1, false);
}

static volatile sig_atomic_t stop_flag;
static void request_stop(int signal, siginfo_t *information, void *context) {
  (void)context;
  stop_flag = 1;
  bulkhead_note_stop(signal, information->si_pid);
}

void bulkhead_install_stop_handler(void) {
  struct sigaction action = {.sa_sigaction = request_stop, .sa_flags = SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

bool bulkhead_stop_requested(void) { return stop_flag != 0; }

int bulkhead_open_signal_descriptor(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -errno;
  signal(SIGPIPE, SIG_IGN);
  int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int bulkhead_next_signal(int descriptor) {
  struct signalfd_siginfo information;
  if (read(descriptor, &information, sizeof information) != (ssize_t)sizeof information) return 0;
  if (information.ssi_signo == SIGTERM || information.ssi_signo == SIGINT)
    bulkhead_note_stop((int)information.ssi_signo, (pid_t)information.ssi_pid);
  return (int)information.ssi_signo;
}

struct bulkhead_receive_batch {
  int count, datagram_bytes;
  uint32_t kernel_drops;
  struct mmsghdr *headers;
  struct iovec *vectors;
  char *bytes, *controls;
  uint64_t *times;
};

enum { control_bytes = 128 };

struct bulkhead_receive_batch *bulkhead_receive_batch_make(int count, int datagram_bytes) {
  struct bulkhead_receive_batch *batch = calloc(1, sizeof *batch);
  if (!batch) return NULL;
  batch->count = count;
  batch->datagram_bytes = datagram_bytes;
  batch->headers = calloc((size_t)count, sizeof *batch->headers);
  batch->vectors = calloc((size_t)count, sizeof *batch->vectors);
  batch->bytes = malloc((size_t)count * (size_t)datagram_bytes);
  batch->controls = calloc((size_t)count, control_bytes);
  batch->times = calloc((size_t)count, sizeof *batch->times);
  if (!batch->headers || !batch->vectors || !batch->bytes || !batch->controls || !batch->times) return NULL;
  // Touched now, so that the loop takes no page fault.
  memset(batch->bytes, 0, (size_t)count * (size_t)datagram_bytes);
  for (int i = 0; i < count; i++) {
    batch->vectors[i] = (struct iovec){batch->bytes + (size_t)i * (size_t)datagram_bytes, (size_t)datagram_bytes};
    batch->headers[i].msg_hdr.msg_iov = &batch->vectors[i];
    batch->headers[i].msg_hdr.msg_iovlen = 1;
  }
  return batch;
}

int bulkhead_receive_batch_take(struct bulkhead_receive_batch *batch, int socket) {
  for (int i = 0; i < batch->count; i++) {
    batch->headers[i].msg_hdr.msg_control = batch->controls + (size_t)i * control_bytes;
    batch->headers[i].msg_hdr.msg_controllen = control_bytes;
  }
  int received = recvmmsg(socket, batch->headers, (unsigned)batch->count, MSG_DONTWAIT, NULL);
  if (received < 0) return -errno;
  for (int i = 0; i < received; i++) {
    batch->times[i] = 0;
    struct msghdr *header = &batch->headers[i].msg_hdr;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
      if (item->cmsg_level != SOL_SOCKET) continue;
      if (item->cmsg_type == SO_TIMESTAMPNS) {
        struct timespec time;
        memcpy(&time, CMSG_DATA(item), sizeof time);
        batch->times[i] = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
      } else if (item->cmsg_type == SO_RXQ_OVFL) {
        memcpy(&batch->kernel_drops, CMSG_DATA(item), sizeof batch->kernel_drops);
      }
    }
  }
  return received;
}

const void *bulkhead_receive_batch_bytes(const struct bulkhead_receive_batch *batch, int index) {
  return batch->bytes + (size_t)index * (size_t)batch->datagram_bytes;
}
int bulkhead_receive_batch_length(const struct bulkhead_receive_batch *batch, int index) {
  return (int)batch->headers[index].msg_len;
}
bool bulkhead_receive_batch_truncated(const struct bulkhead_receive_batch *batch, int index) {
  return (batch->headers[index].msg_hdr.msg_flags & MSG_TRUNC) != 0;
}
uint64_t bulkhead_receive_batch_time(const struct bulkhead_receive_batch *batch, int index) {
  return batch->times[index];
}
uint32_t bulkhead_receive_batch_kernel_drops(const struct bulkhead_receive_batch *batch) {
  return batch->kernel_drops;
}

int bulkhead_set_multicast_membership(int socket, bool joined, uint32_t group, uint32_t interface, uint32_t source) {
  if (source == 0) {
    struct ip_mreqn any = {.imr_multiaddr.s_addr = htonl(group), .imr_address.s_addr = htonl(interface)};
    int option = joined ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP;
    return setsockopt(socket, IPPROTO_IP, option, &any, sizeof any) == 0 ? 0 : -errno;
  }
  struct ip_mreq_source one = {.imr_multiaddr.s_addr = htonl(group),
                               .imr_interface.s_addr = htonl(interface),
                               .imr_sourceaddr.s_addr = htonl(source)};
  int option = joined ? IP_ADD_SOURCE_MEMBERSHIP : IP_DROP_SOURCE_MEMBERSHIP;
  return setsockopt(socket, IPPROTO_IP, option, &one, sizeof one) == 0 ? 0 : -errno;
}

int bulkhead_prepare_multicast_receiver(int fd, uint32_t group, uint32_t interface, uint32_t source,
                                        int receive_buffer, int *granted) {
  int on = 1, off = 0;
  // Closed to the host's other groups: the same port on another group is another line.
  bool ok = setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on) == 0;
  if (!ok) return -errno;
  int joined = bulkhead_set_multicast_membership(fd, true, group, interface, source);
  // It had joined before; a source that it had joined is not available again.
  if (joined < 0 && joined != -EADDRINUSE && !(source != 0 && joined == -EADDRNOTAVAIL)) return joined;
  // The kernel doubles what it is asked for and reports the doubled figure.
  int half = receive_buffer / 2;
  if (half > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof half) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof half);
  socklen_t length = sizeof *granted;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, granted, &length) != 0) *granted = 0;
  return 0;
}

int bulkhead_open_multicast_receiver(uint32_t group, uint16_t port, uint32_t interface, uint32_t source,
                                     int receive_buffer, int *granted) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  int on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(group)};
  bool ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
            bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
  int error = ok ? bulkhead_prepare_multicast_receiver(fd, group, interface, source, receive_buffer, granted) : -errno;
  if (error == 0) return fd;
  close(fd);
  return error;
}

int bulkhead_open_udp_client(uint32_t address, uint16_t port) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
  if (connect(fd, (struct sockaddr *)&peer, sizeof peer) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int bulkhead_open_tcp_client(uint32_t address, uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
  if (connect(fd, (struct sockaddr *)&peer, sizeof peer) != 0 && errno != EINPROGRESS) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int bulkhead_tcp_connected(int descriptor) {
  struct pollfd writable = {.fd = descriptor, .events = POLLOUT};
  if (poll(&writable, 1, 0) == 0) return 0;
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return -errno;
  return error ? -error : 1;
}

long bulkhead_tcp_receive(int descriptor, void *buffer, unsigned long capacity) {
  ssize_t count = recv(descriptor, buffer, capacity, MSG_DONTWAIT);
  return count < 0 ? -(long)errno : count;
}

long bulkhead_tcp_send(int descriptor, const void *bytes, unsigned long count) {
  ssize_t sent = send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -(long)errno : sent;
}

uint64_t bulkhead_thread_page_faults(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_THREAD, &usage) != 0) return 0;
  return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static uint64_t nanoseconds_of(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t bulkhead_monotonic_nanoseconds(void) { return nanoseconds_of(CLOCK_MONOTONIC); }
uint64_t bulkhead_realtime_nanoseconds(void) { return nanoseconds_of(CLOCK_REALTIME); }

// From field `from` of the text of /proc/PID/stat to the beginning of field `to`, or to its end.
static char *skip_fields(char *field, int from, int to) {
  for (; *field && from < to; field++)
    if (*field == ' ') from++;
  return field;
}

// Reads /proc/PID/stat and returns the text from field `number` on, or NULL. Fields are counted from 1.
static char *stat_field(pid_t pid, int number, char *text, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  ssize_t length = read(fd, text, size - 1);
  close(fd);
  if (length <= 0) return NULL;
  text[length] = 0;
  // The command name, field 2, may hold anything, also spaces and brackets: count fields from its last bracket.
  char *field = strrchr(text, ')');
  return field ? skip_fields(field + 1, 2, number) : NULL;
}

uint64_t bulkhead_process_start_time(pid_t pid) {
  char text[1024];
  char *state = stat_field(pid, 3, text, sizeof text);
  // A zombie has ended; that nobody has waited for it yet changes nothing.
  if (!state || *state == 'Z' || *state == 'X') return 0;
  return strtoull(skip_fields(state, 3, 22), NULL, 10);
}

bool bulkhead_process_has_run_out(pid_t pid) {
  char text[1024];
  errno = 0;
  char *field = stat_field(pid, 3, text, sizeof text);
  // Nobody has this number; where it cannot be read for another reason, nothing is known.
  if (!field) return errno == ENOENT || errno == ESRCH;
  if (*field == 'Z' || *field == 'X') return true;
  unsigned long flags = strtoul(skip_fields(field, 3, 9), NULL, 10);
  long threads = strtol(skip_fields(field, 3, 20), NULL, 10);
  // PF_EXITING of the kernel's task flags, where they have stood since they are shown.
  return threads == 1 && (flags & 0x4) != 0;
}

bool bulkhead_process_is_doomed(pid_t pid) {
  char text[1024];
  char *field = stat_field(pid, 3, text, sizeof text);
  if (!field) return false;
  if (*field == 'Z' || *field == 'X') return true;
  unsigned long flags = strtoul(skip_fields(field, 3, 9), NULL, 10);
  unsigned long pending = strtoul(skip_fields(field, 3, 31), NULL, 10);
  // A fatal signal becomes SIGKILL, pending for every thread, at the moment at which it is sent.
  return (flags & 0x4) != 0 || (pending & 1ul << (SIGKILL - 1)) != 0;
}

uint64_t bulkhead_process_cpu_milliseconds(pid_t pid) {
  char text[1024];
  char *field = stat_field(pid, 14, text, sizeof text);
  if (!field) return 0;
  uint64_t user = strtoull(field, &field, 10);
  uint64_t kernel = strtoull(field, NULL, 10);
  long ticks = sysconf(_SC_CLK_TCK);
  return (user + kernel) * 1000 / (uint64_t)(ticks > 0 ? ticks : 100);
}

int bulkhead_reserve_blocks(int descriptor, int64_t bytes) {
  return fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0 ? 0 : -errno;
}

int bulkhead_lower_thread_priority(int niceness) {
  return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), niceness) == 0 ? 0 : -errno;
}

int bulkhead_open_notify_socket(const char *address) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  size_t length = strlen(address);
  if (length < 2 || length >= sizeof name.sun_path) return -EINVAL;
  memcpy(name.sun_path, address, length);
  if (name.sun_path[0] == '@') name.sun_path[0] = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  if (connect(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0)
    return fd;
  int error = errno;
  close(fd);
  return -error;
}

void bulkhead_notify(int descriptor, const void *bytes, unsigned long count) {
  ssize_t ignored = send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  (void)ignored;
}

static int ask_card(const char *name, void *question) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  if (strlen(name) >= sizeof request.ifr_name) return -ENAMETOOLONG;
  strcpy(request.ifr_name, name);
  request.ifr_data = question;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int result = ioctl(fd, SIOCETHTOOL, &request) != 0 ? -errno : 0;
  close(fd);
  return result;
}

int bulkhead_card_rings(const char *name, uint32_t *descriptors, uint32_t *most) {
  struct ethtool_ringparam rings = {.cmd = ETHTOOL_GRINGPARAM};
  int result = ask_card(name, &rings);
  *descriptors = rings.rx_pending;
  *most = rings.rx_max_pending;
  return result;
}

int bulkhead_card_coalescing(const char *name, uint32_t *microseconds, uint32_t *adaptive) {
  struct ethtool_coalesce coalescing = {.cmd = ETHTOOL_GCOALESCE};
  int result = ask_card(name, &coalescing);
  *microseconds = coalescing.rx_coalesce_usecs;
  *adaptive = coalescing.use_adaptive_rx_coalesce != 0;
  return result;
}

int bulkhead_card_merges(const char *name) {
  struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
  int result = ask_card(name, &value);
  return result != 0 ? result : (value.data & ETH_FLAG_LRO) != 0;
}

int bulkhead_kernel_merges(const char *name) {
  struct ethtool_value value = {.cmd = ETHTOOL_GGRO};
  int result = ask_card(name, &value);
  return result != 0 ? result : value.data != 0;
}

int bulkhead_clock_state(int64_t *error) {
  struct timex state;
  memset(&state, 0, sizeof state);
  if (adjtimex(&state) < 0) return -errno;
  *error = (int64_t)state.maxerror * 1000;
  return (state.status & STA_UNSYNC) == 0;
}
