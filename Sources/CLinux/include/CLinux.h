// System calls, macros and unions that Swift cannot import. No logic: one call, one wrapper.
#ifndef BULKHEAD_CLINUX_H
#define BULKHEAD_CLINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "journal_socket.h"
#include "request_sockets.h"
#include "sandbox.h"
#include "venue_sockets.h"

// What neither allocates nor locks in user space: Swift's @_noLocks takes the function's word for it.
#define BULKHEAD_NO_LOCKS __attribute__((swift_attr("@_noLocks")))

// Waiting and waking on a word of shared memory. Times are relative, in nanoseconds; a negative one waits
// without limit. Return 0, or -errno.
int bulkhead_futex_wait(const void *word, uint32_t expected, int64_t nanoseconds);
int bulkhead_futex_wake(const void *word, int count);
// Waits until one of `count` (at most 8) words differs from its expected value.
int bulkhead_futex_wait_any(const void *const *words, const uint32_t *expected, int count, int64_t nanoseconds);
// membarrier(2): the waiter's side of a store-load barrier whose other side is free.
int bulkhead_membarrier_register(void);
int bulkhead_membarrier(void);

// Tells the processor that this is a waiting loop: it neither runs ahead with loads that it must take back when the awaited
// line changes, nor asks for that line so often that the writer loses it between two stores.
static inline void bulkhead_spin_hint(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

// Processes.
int bulkhead_pidfd_open(pid_t pid);
// A copy of a descriptor of another process (pidfd_getfd), or -errno.
int bulkhead_copy_descriptor(int pidfd, int descriptor);
// Sends a signal to the very process of a pidfd. Returns 0, or -errno.
int bulkhead_pidfd_signal(int pidfd, int signal);
// This process ends when its parent does.
int bulkhead_end_with_parent(void);
int bulkhead_pin_to_cores(const int *cores, int count);
// This thread runs under SCHED_FIFO from here on, and none of its children do. Returns 0, or -errno.
int bulkhead_become_realtime(int priority);
// A non-blocking descriptor that becomes readable every so many nanoseconds of CLOCK_MONOTONIC, or -errno.
int bulkhead_open_interval_timer(uint64_t nanoseconds);
// Makes it unreadable again. Returns how many intervals have passed since the last time, 0 if none.
uint64_t bulkhead_take_intervals(int timer);
// Bytes of the next datagram in a socket's queue, 0 when it is empty, or -errno.
int bulkhead_next_datagram_bytes(int socket);
// Starts `path` with `arguments` and `environment`, in a process group of its own, so that a terminal's Ctrl-C reaches the
// one who stops the others in order. `descriptors` become 3, 4, … in the child (the LISTEN_FDS
// convention; LISTEN_PID is set to the child's pid). Standard output and error go to `log_descriptor` unless it is
// negative. Returns the pid, or -errno of the step that failed.
pid_t bulkhead_spawn(const char *path, char *const arguments[], char *const environment[], const int *descriptors,
                     int descriptor_count, int log_descriptor);
// The same for one that has no time: does not wait until the child, which on a busy core may come to run tens of milliseconds later,
// has become the program. Returns the pid, or -errno where the program is missing or may not be executed, or fork fails; whatever
// goes wrong behind that ends the child with 127 and a line on its standard error.
pid_t bulkhead_spawn_at_once(const char *path, char *const arguments[], char *const environment[],
                             const int *descriptors, int descriptor_count);
// Holds a robust mutex in shared memory until this thread ends, however it ends: the kernel then marks its word
// (BULKHEAD_LIFE_ENDED) as the first thing it does, long before it has given back a large process's memory and reports the
// death. `memory`: BULKHEAD_LIFE_BYTES, aligned to 8, mapped for as long as the process lives; once per thread. Returns 0 or -errno.
#define BULKHEAD_LIFE_BYTES 64
#define BULKHEAD_LIFE_ENDED 0x40000000u
int bulkhead_hold_life(void *memory);
// Lets go of it without dying, by the thread that holds it. Returns 0 or -errno.
int bulkhead_release_life(void *memory);
// Makes the pages of a mapping present and writable, so that the first stores do not fault (Linux 5.14). Returns 0 or -errno.
int bulkhead_populate_for_writing(void *memory, uint64_t bytes);
// Makes this process the parent of descendants whose own parent dies.
int bulkhead_become_subreaper(void);
// Single steps through a process of one's own (ptrace). It asks for that itself; each step ends with a stop that waitpid
// reports. Return 0, or -errno.
int bulkhead_trace_me(void);
int bulkhead_trace_continue(pid_t pid);
int bulkhead_trace_step(pid_t pid);
// The signal that a process was stopped by, 0 if it has not stopped but ended.
int bulkhead_wait_stop_signal(int status);
bool bulkhead_wait_exited(int status);
int bulkhead_wait_exit_code(int status);
int bulkhead_wait_signal(int status);

// SIGTERM and SIGINT set a flag and interrupt a waiting system call; SIGPIPE is ignored.
void bulkhead_install_stop_handler(void);
bool bulkhead_stop_requested(void);
// From here on a fatal signal (SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS) is written down before the process
// dies of it, and a request to stop with its sender. `words`: nine 64-bit words that stay mapped: signal (last to be written),
// si_code, address, instruction, sender, instant (CLOCK_MONOTONIC, ns); signal of the request, sender, instant.
void bulkhead_record_signals(void *words);
// For whoever takes a request to stop.
void bulkhead_note_stop(int signal, pid_t sender);
// A non-blocking descriptor that becomes readable on SIGTERM, SIGINT or SIGCHLD (which are blocked), or -errno.
int bulkhead_open_signal_descriptor(void);
// The next signal number from it, 0 if none is pending.
int bulkhead_next_signal(int descriptor);

// Receiving datagrams in batches with kernel stamps.
struct bulkhead_receive_batch;
struct bulkhead_receive_batch *bulkhead_receive_batch_make(int count, int datagram_bytes);
// Receives up to the batch's count without waiting. Returns the number received, or -errno.
int bulkhead_receive_batch_take(struct bulkhead_receive_batch *batch, int socket);
const void *bulkhead_receive_batch_bytes(const struct bulkhead_receive_batch *batch, int index);
int bulkhead_receive_batch_length(const struct bulkhead_receive_batch *batch, int index);
bool bulkhead_receive_batch_truncated(const struct bulkhead_receive_batch *batch, int index);
// Receive stamp in nanoseconds since the Unix epoch, 0 if the kernel gave none.
uint64_t bulkhead_receive_batch_time(const struct bulkhead_receive_batch *batch, int index);
// The socket's drop counter (SO_RXQ_OVFL) as of the newest datagram that carried one.
uint32_t bulkhead_receive_batch_kernel_drops(const struct bulkhead_receive_batch *batch);

// Opens a UDP socket bound to group:port and joined on the interface (addresses in host order; source 0 = any).
// `receive_buffer` is asked for with SO_RCVBUFFORCE, then SO_RCVBUF; what the kernel granted goes to `granted`.
// Returns the descriptor, or -errno.
int bulkhead_open_multicast_receiver(uint32_t group, uint16_t port, uint32_t interface, uint32_t source,
                                     int receive_buffer, int *granted);
// Leaves or joins again the group of such a socket, for every process that holds it. 0, or -errno.
BULKHEAD_NO_LOCKS int bulkhead_set_multicast_membership(int socket, bool joined, uint32_t group, uint32_t interface, uint32_t source);
// The same for a socket that is open and bound already: joins, unless it has joined before, and sets what is left to set.
// `receive_buffer` 0 leaves the buffer as it is. Returns 0, or -errno.
int bulkhead_prepare_multicast_receiver(int socket, uint32_t group, uint32_t interface, uint32_t source,
                                        int receive_buffer, int *granted);
// Opens a non-blocking UDP socket connected to address:port (host order). Returns the descriptor, or -errno.
int bulkhead_open_udp_client(uint32_t address, uint16_t port);
// Page faults of the calling thread since it began, minor and major.
uint64_t bulkhead_thread_page_faults(void);
// Starts to connect a non-blocking TCP socket (no delay, addresses in host order). Returns the descriptor, or -errno;
// bulkhead_tcp_connected tells how it went.
int bulkhead_open_tcp_client(uint32_t address, uint16_t port);
// 1 = the connection stands, 0 = not yet, -errno = it failed.
int bulkhead_tcp_connected(int descriptor);
// recv and send that never wait and never raise a signal: bytes, 0 from recv at the peer's end, or -errno.
long bulkhead_tcp_receive(int descriptor, void *buffer, unsigned long capacity);
BULKHEAD_NO_LOCKS long bulkhead_tcp_send(int descriptor, const void *bytes, unsigned long count);

// Gives this thread (not the process) a lower claim to the processor: niceness 0...19. Returns 0, or -errno.
int bulkhead_lower_thread_priority(int niceness);
// Blocks for the first `bytes` of a file, which keeps its size (fallocate). Returns 0, or -errno.
int bulkhead_reserve_blocks(int descriptor, int64_t bytes);

// A datagram socket connected to a service manager (NOTIFY_SOCKET: a path, or an abstract name behind @), or -errno.
int bulkhead_open_notify_socket(const char *address);
// Sends without waiting; what the manager has no room for is lost.
void bulkhead_notify(int descriptor, const void *bytes, unsigned long count);
// What a network card's driver says of itself (ethtool). Return 0, or -errno where it does not say.
int bulkhead_card_rings(const char *name, uint32_t *descriptors, uint32_t *most);
int bulkhead_card_coalescing(const char *name, uint32_t *microseconds, uint32_t *adaptive);
// Whether the card, or the kernel, merges segments that it receives: 1 or 0, or -errno.
int bulkhead_card_merges(const char *name);
int bulkhead_kernel_merges(const char *name);
// 1 when somebody disciplines the clock, 0 when nobody does, or -errno. `error`: the estimated maximum error, ns.
int bulkhead_clock_state(int64_t *error);

// CPU time and memory of this process.
BULKHEAD_NO_LOCKS uint64_t bulkhead_monotonic_nanoseconds(void);
BULKHEAD_NO_LOCKS uint64_t bulkhead_realtime_nanoseconds(void);
// Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), 0 if it does not exist or is a zombie.
uint64_t bulkhead_process_start_time(pid_t pid);
// Whether a process has executed its last instruction: its only thread is on its way out of the kernel (PF_EXITING), or it is a
// zombie, or not there. What remains is giving its memory back. The caller makes sure that the number is still that process's.
bool bulkhead_process_has_run_out(pid_t pid);
// Whether a process cannot live on: SIGKILL waits for its next turn on a processor, it is on its way out of the kernel
// (PF_EXITING), or it is a zombie. False also when that cannot be read. The caller makes sure that the number is still
// that process's.
bool bulkhead_process_is_doomed(pid_t pid);
// Processor time that a process has used, in user and kernel mode together, in milliseconds; 0 if it does not exist.
uint64_t bulkhead_process_cpu_milliseconds(pid_t pid);

#endif
