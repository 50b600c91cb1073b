#define _GNU_SOURCE
#include "bench_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_nanoseconds(void) { return clock_nanoseconds(CLOCK_MONOTONIC); }
uint64_t bench_processor_nanoseconds(void) { return clock_nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }

double bench_nanoseconds_per_tick(void) {
  uint64_t start = bench_nanoseconds(), ticks = bench_ticks();
  while (bench_nanoseconds() - start < 5000000) {}
  uint64_t elapsed = bench_nanoseconds() - start;
  return (double)elapsed / (double)(bench_ticks() - ticks);
}

int bench_compare_samples(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

void bench_sort_samples(struct bench_control *control) {
  qsort(control->samples, control->sample_count, sizeof control->samples[0], bench_compare_samples);
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

void *bench_map(const char *directory, const char *name, uint64_t bytes, bool create) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int descriptor = open(path, create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
  if (descriptor < 0) fail(path);
  if (create) {
    errno = posix_fallocate(descriptor, 0, (off_t)bytes);
    if (errno != 0) fail(path);
  }
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0);
  if (base == MAP_FAILED) fail("mmap");
  close(descriptor);
  return base;
}

int bench_futex_wait(uint64_t *word, uint64_t seen) {
  struct timespec limit = {.tv_sec = 0, .tv_nsec = 100000000};
  return (int)syscall(SYS_futex, word, FUTEX_WAIT, (uint32_t)seen, &limit, NULL, 0);
}

int bench_futex_wake(uint64_t *word) {
  return (int)syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void bench_start(const struct bench_plan *plan, struct bench_control *control) {
  uint64_t all = (uint64_t)plan->readers + 1;
  __atomic_fetch_add(&control->ready.value, 1, __ATOMIC_ACQ_REL);
  while (__atomic_load_n(&control->ready.value, __ATOMIC_ACQUIRE) < all) usleep(200);
}

static pid_t start(const struct bench_plan *plan, struct bench_control *control, bench_role role, int number) {
  pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(number == 0 ? plan->producer_core : plan->reader_core, &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) != 0) fail("sched_setaffinity");
  role(plan, control, number);
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) == 0) control->reports[number].preemptions = (uint64_t)usage.ru_nivcsw;
  // Not exit: what the parent has buffered is the parent's.
  _exit(0);
}

struct bench_control *bench_run(const struct bench_plan *plan, bench_role role, int seconds) {
  struct bench_control *control =
      mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (control == MAP_FAILED) fail("mmap");
  fflush(NULL);
  int processes = plan->readers + 1, running = processes;
  pid_t children[BENCH_MOST_READERS + 1];
  for (int number = 0; number < processes; number++) {
    children[number] = start(plan, control, role, number);
    if (children[number] < 0) fail("fork");
  }
  bool failed = false;
  uint64_t limit = bench_nanoseconds() + (uint64_t)seconds * 1000000000u;
  while (running > 0) {
    for (int number = 0; number < processes; number++) {
      int status;
      if (children[number] == 0 || waitpid(children[number], &status, WNOHANG) == 0) continue;
      children[number] = 0;
      running--;
      if (status != 0) failed = true;
    }
    if (failed || bench_nanoseconds() > limit) {
      for (int number = 0; number < processes; number++) {
        if (children[number] == 0) continue;
        kill(children[number], SIGKILL);
        waitpid(children[number], NULL, 0);
      }
      bench_release(control);
      return NULL;
    }
    usleep(2000);
  }
  return control;
}

void bench_release(struct bench_control *control) { munmap(control, sizeof *control); }
