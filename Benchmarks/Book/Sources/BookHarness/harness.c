#define _GNU_SOURCE
#include "book_harness.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

int book_harness_pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

uint64_t book_harness_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t book_harness_processor_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t book_harness_faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

// A line of /proc/self/... in kB, as bytes.
static uint64_t kilobytes(const char *path, const char *name) {
  char line[256];
  unsigned long long value = 0;
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  size_t length = strlen(name);
  while (fgets(line, sizeof line, file))
    if (strncmp(line, name, length) == 0 && line[length] == ':') value = strtoull(line + length + 1, NULL, 10);
  fclose(file);
  return value * 1024;
}

uint64_t book_harness_resident(void) { return kilobytes("/proc/self/status", "VmRSS"); }
uint64_t book_harness_peak(void) { return kilobytes("/proc/self/status", "VmHWM"); }
uint64_t book_harness_huge(void) { return kilobytes("/proc/self/smaps_rollup", "AnonHugePages"); }

#define LARGE_PAGE ((size_t)2 << 20)

void *book_harness_map(size_t bytes) {
  size_t rounded = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
  char *mapping =
      mmap(NULL, rounded + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return NULL;
  char *base = (char *)(((uintptr_t)mapping + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
  if (base > mapping) munmap(mapping, (size_t)(base - mapping));
  munmap(base + rounded, (size_t)(mapping + rounded + LARGE_PAGE - (base + rounded)));
  madvise(base, rounded, MADV_HUGEPAGE);
  for (size_t offset = 0; offset < rounded; offset += 4096) ((volatile char *)base)[offset] = 0;
  return base;
}

void book_harness_unmap(void *base, size_t bytes) {
  munmap(base, (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
}

double book_harness_ticks_per_nanosecond(void) {
  uint64_t time = book_harness_nanoseconds(), ticks = book_harness_ticks();
  uint64_t end = time + 50000000u, now;
  do now = book_harness_nanoseconds();
  while (now < end);
  return (double)(book_harness_ticks() - ticks) / (double)(now - time);
}

// Counting allocations: these stand in front of glibc's for the whole process, Swift's runtime included.
static uint64_t allocations;
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

uint64_t book_harness_allocations(void) { return allocations; }
void *malloc(size_t bytes) {
  allocations++;
  return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
  allocations++;
  return __libc_calloc(count, bytes);
}
void *realloc(void *old, size_t bytes) {
  allocations++;
  return __libc_realloc(old, bytes);
}
void *memalign(size_t alignment, size_t bytes) {
  allocations++;
  return __libc_memalign(alignment, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) {
  allocations++;
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void **result, size_t alignment, size_t bytes) {
  allocations++;
  *result = __libc_memalign(alignment, bytes);
  return *result ? 0 : ENOMEM;
}
