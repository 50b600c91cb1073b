#define _GNU_SOURCE
#include "CFailpoints.h"

#ifdef BULKHEAD_FAILPOINTS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct place {
  _Atomic(uint64_t) hits, countdown;
  char program[16];
  _Atomic(uint64_t) pid, instant, deaths, unused;
};
struct page {
  _Atomic(uint64_t) processes;
  uint64_t unused[7];
  struct place places[BULKHEAD_FAILPOINT_COUNT];
};
_Static_assert(sizeof(struct place) == 64, "a place is a line");
_Static_assert(sizeof(struct page) == BULKHEAD_FAILPOINT_FILE_BYTES, "as documented");

static struct page *page;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void map(void) {
  const char *path = getenv("BULKHEAD_FAILPOINTS");
  if (!path || !*path) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  struct stat status;
  if (fstat(file, &status) == 0 && status.st_size >= (off_t)sizeof(struct page)) {
    void *memory = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED) page = memory;
  }
  close(file);
  if (!page || atomic_fetch_add(&page->processes, 1) != 0) return;
  const char *armed = getenv("BULKHEAD_FAILPOINT");
  int number;
  unsigned long long hits;
  char program[16] = "";
  if (armed && sscanf(armed, "%d:%llu:%15s", &number, &hits, program) >= 2 && number >= 0 &&
      number < BULKHEAD_FAILPOINT_COUNT) {
    memcpy(page->places[number].program, program, sizeof program);
    atomic_store(&page->places[number].countdown, hits);
  }
}

void bulkhead_failpoint(int32_t number) {
  pthread_once(&once, map);
  if (!page || number < 0 || number >= BULKHEAD_FAILPOINT_COUNT) return;
  struct place *place = &page->places[number];
  atomic_fetch_add_explicit(&place->hits, 1, memory_order_relaxed);
  uint64_t left = atomic_load(&place->countdown);
  if (left == 0) return;
  if (place->program[0] && strncmp(place->program, program_invocation_short_name, sizeof place->program) != 0) return;
  while (left > 0 && !atomic_compare_exchange_weak(&place->countdown, &left, left - 1)) {
  }
  if (left != 1) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  atomic_store(&place->instant, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
  atomic_fetch_add(&place->deaths, 1);
  atomic_store(&place->pid, (uint64_t)getpid());
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

#endif
