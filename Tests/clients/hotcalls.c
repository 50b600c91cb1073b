// A library that is loaded before a program (LD_PRELOAD), for drill D-32: counts the calls that a hot loop is not to make, once the
// drill has armed it, and keeps from where each came. scripts/hot_gate.py makes the file BULKHEAD_HOTCALLS, maps it too, and knows this
// layout.
//
//   0x0000  u32 armed   u32 slots taken   u32 pid of a defect to plant   u32 its kind (the process takes it back to 0)
//   0x1000  slots of 64 KiB, one a process:
//           0x000 u32 pid   0x008 component[56]   0x040 u64 calls[2][12]: of the main thread, of the others, by kind
//           0x400 sites[2][96] of 256 bytes: u32 kind + 1, u32 thread, u64 calls, u64 bytes of the first, u32 depth, u64 return addresses[28]
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 32, SITES = 96, FRAMES = 28, OWN_FRAMES = 2, HEADER = 4096 };
enum kind { MALLOC, CALLOC, REALLOC, ALIGNED, FREE, MAP, UNMAP, BREAK, LOCK, WAIT, READ_LOCK, KINDS = 12 };
enum defect { NO_DEFECT, AN_ALLOCATION, A_FAULT, A_FUTEX, A_LOCK, A_FUTEX_OF_SEVERAL };

struct site {
  _Atomic uint32_t kind;
  uint32_t thread;
  _Atomic uint64_t calls;
  uint64_t bytes;
  uint32_t depth, unused;
  uint64_t frames[FRAMES];
};

struct slot {
  uint32_t pid, unused;
  char component[56];
  _Atomic uint64_t calls[2][KINDS];
  unsigned char rest[0x400 - 0x40 - 2 * KINDS * 8];
  struct site sites[2][SITES];
  unsigned char end[0x10000 - 0x400 - 2 * SITES * 256];
};

struct page {
  _Atomic uint32_t armed, taken, defect_pid, defect;
  unsigned char rest[HEADER - 16];
  struct slot slots[SLOTS];
};

_Static_assert(sizeof(struct site) == 256, "a site");
_Static_assert(sizeof(struct slot) == 0x10000, "a slot");

static struct page *page;
static struct slot *slot;
static pid_t main_thread;
static _Thread_local pid_t this_thread __attribute__((tls_model("initial-exec")));
static _Thread_local int is_inside __attribute__((tls_model("initial-exec")));

static pid_t thread_id(void) {
  if (this_thread == 0) this_thread = (pid_t)syscall(SYS_gettid);
  return this_thread;
}

__attribute__((noinline, cold)) static void note(enum kind kind, size_t bytes) {
  is_inside = 1;
  const int group = thread_id() != main_thread;
  atomic_fetch_add_explicit(&slot->calls[group][kind], 1, memory_order_relaxed);
  void *found[FRAMES + OWN_FRAMES];
  // This function and the one that was called are in front.
  int depth = backtrace(found, FRAMES + OWN_FRAMES) - OWN_FRAMES;
  if (depth < 0) depth = 0;
  for (int index = 0; index < SITES; index++) {
    struct site *site = &slot->sites[group][index];
    uint32_t none = 0;
    if (atomic_compare_exchange_strong(&site->kind, &none, (uint32_t)kind + 1)) {
      site->thread = (uint32_t)thread_id();
      site->bytes = bytes;
      site->depth = (uint32_t)depth;
      for (int frame = 0; frame < depth; frame++) site->frames[frame] = (uint64_t)found[frame + OWN_FRAMES];
      atomic_fetch_add(&site->calls, 1);
      break;
    }
    if (none != (uint32_t)kind + 1 || site->depth != (uint32_t)depth) continue;
    int frame = 0;
    while (frame < depth && site->frames[frame] == (uint64_t)found[frame + OWN_FRAMES]) frame++;
    if (frame < depth) continue;
    atomic_fetch_add(&site->calls, 1);
    break;
  }
  is_inside = 0;
}

static inline void count(enum kind kind, size_t bytes) {
  if (slot == NULL || is_inside || atomic_load_explicit(&page->armed, memory_order_relaxed) == 0) return;
  const int before = errno;
  note(kind, bytes);
  errno = before;
}

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t bytes) {
  count(MALLOC, bytes);
  return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes) {
  count(CALLOC, number * bytes);
  return __libc_calloc(number, bytes);
}

void *realloc(void *place, size_t bytes) {
  count(REALLOC, bytes);
  return __libc_realloc(place, bytes);
}

void *memalign(size_t alignment, size_t bytes) {
  count(ALIGNED, bytes);
  return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  count(ALIGNED, bytes);
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **place, size_t alignment, size_t bytes) {
  count(ALIGNED, bytes);
  void *found = __libc_memalign(alignment, bytes);
  if (found == NULL) return ENOMEM;
  *place = found;
  return 0;
}

void free(void *place) {
  if (place != NULL) count(FREE, 0);
  __libc_free(place);
}

void *mmap(void *place, size_t bytes, int protection, int flags, int file, off_t offset) {
  count(MAP, bytes);
  return (void *)syscall(SYS_mmap, place, bytes, protection, flags, file, offset);
}

void *mmap64(void *place, size_t bytes, int protection, int flags, int file, off_t offset)
    __attribute__((alias("mmap")));

int munmap(void *place, size_t bytes) {
  count(UNMAP, bytes);
  return (int)syscall(SYS_munmap, place, bytes);
}

static int (*real_brk)(void *);
static void *(*real_sbrk)(intptr_t);

int brk(void *end) {
  count(BREAK, 0);
  return real_brk(end);
}

void *sbrk(intptr_t bytes) {
  count(BREAK, (size_t)bytes);
  return real_sbrk(bytes);
}

static int (*real_lock)(pthread_mutex_t *);
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *);
static int (*real_timed_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_read_lock)(pthread_rwlock_t *);
static int (*real_write_lock)(pthread_rwlock_t *);
static int (*real_clock)(clockid_t, struct timespec *);

static void find(void) {
  *(void **)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
  *(void **)&real_brk = dlsym(RTLD_NEXT, "brk");
  *(void **)&real_sbrk = dlsym(RTLD_NEXT, "sbrk");
  // Another version of these two has another layout of the condition.
  *(void **)&real_wait = dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2");
  *(void **)&real_timed_wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  *(void **)&real_read_lock = dlsym(RTLD_NEXT, "pthread_rwlock_rdlock");
  *(void **)&real_write_lock = dlsym(RTLD_NEXT, "pthread_rwlock_wrlock");
  *(void **)&real_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
}

int pthread_mutex_lock(pthread_mutex_t *lock) {
  if (real_lock == NULL) find();
  count(LOCK, 0);
  return real_lock(lock);
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock) {
  if (real_lock == NULL) find();
  count(WAIT, 0);
  return real_wait(condition, lock);
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until) {
  if (real_lock == NULL) find();
  count(WAIT, 0);
  return real_timed_wait(condition, lock, until);
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock) {
  if (real_lock == NULL) find();
  count(READ_LOCK, 0);
  return real_read_lock(lock);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock) {
  if (real_lock == NULL) find();
  count(LOCK, 0);
  return real_write_lock(lock);
}

// Defects for the gate to find: what the drill asks for is done once, by the loop that asks for the time.
static pthread_mutex_t planted_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char untouched[3 * 4096];

// The C library's system call keeps no frame, so that a stack begins with the caller of its caller.
__attribute__((noinline, cold)) static void plant_wait(_Atomic uint32_t *word, const struct timespec *moment) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 1, moment, NULL, 0);
  atomic_signal_fence(memory_order_seq_cst);
}

// The instant is long over: it is asked for, and does not wait.
__attribute__((noinline, cold)) static void plant_wait_for_several(_Atomic uint32_t *word) {
  struct futex_waitv one = {.val = 1, .uaddr = (uint64_t)(uintptr_t)word, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
  const struct timespec instant = {1, 0};
  syscall(SYS_futex_waitv, &one, 1, 0, &instant, CLOCK_MONOTONIC);
  atomic_signal_fence(memory_order_seq_cst);
}

__attribute__((noinline, cold)) static void plant(uint32_t defect) {
  atomic_store(&page->defect, NO_DEFECT);
  static _Atomic uint32_t word = 1;
  const struct timespec moment = {0, 1000000};
  switch (defect) {
  case AN_ALLOCATION: {
    // Where it goes is nobody's business, but the compiler must not think so.
    void *volatile place = malloc(77);
    free(place);
    break;
  }
  case A_FAULT: *(volatile unsigned char *)(untouched + 4096) = 1; break;
  case A_FUTEX: plant_wait(&word, &moment); break;
  case A_FUTEX_OF_SEVERAL: plant_wait_for_several(&word); break;
  case A_LOCK:
    pthread_mutex_lock(&planted_lock);
    pthread_mutex_unlock(&planted_lock);
    break;
  default: break;
  }
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (real_clock == NULL) return (int)syscall(SYS_clock_gettime, clock, time);
  if (slot != NULL && atomic_load_explicit(&page->defect, memory_order_relaxed) != NO_DEFECT &&
      page->defect_pid == slot->pid && thread_id() == main_thread)
    plant(atomic_load(&page->defect));
  return real_clock(clock, time);
}

// What is said behind `--component`; nothing for who is no component.
static int name_slot(char *name, size_t room) {
  char line[2048];
  const int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  const ssize_t bytes = file < 0 ? 0 : read(file, line, sizeof line - 1);
  if (file >= 0) close(file);
  line[bytes < 0 ? 0 : bytes] = 0;
  for (const char *word = line; word < line + bytes; word += strlen(word) + 1) {
    if (strcmp(word, "--component") != 0 || word + 12 >= line + bytes) continue;
    strncpy(name, word + 12, room - 1);
    return 1;
  }
  return 0;
}

// Before main, and before the sandbox closes. Everything is touched, so that counting costs no fault.
__attribute__((constructor)) static void begin(void) {
  find();
  const char *path = getenv("BULKHEAD_HOTCALLS");
  char name[sizeof slot->component] = {0};
  if (!name_slot(name, sizeof name)) return;
  const int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  struct stat found;
  void *place = fstat(file, &found) == 0 && found.st_size >= (off_t)sizeof(struct page)
                    ? mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0)
                    : MAP_FAILED;
  close(file);
  if (place == MAP_FAILED) return;
  page = place;
  const uint32_t number = atomic_fetch_add(&page->taken, 1);
  if (number >= SLOTS) return;
  main_thread = getpid();
  struct slot *mine = &page->slots[number];
  for (size_t byte = 0; byte < sizeof *mine; byte += 4096) *(volatile unsigned char *)((unsigned char *)mine + byte) = 0;
  memcpy(mine->component, name, sizeof name);
  mine->pid = (uint32_t)main_thread;
  void *frames[FRAMES];
  backtrace(frames, FRAMES);
  slot = mine;
}
