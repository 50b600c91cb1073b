// A library that is loaded before a program (LD_PRELOAD) and shifts its wall clock while it runs, for drill D-26: by the nanoseconds
// (i64, host order) that the file BULKHEAD_CLOCK begins with.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000 };

static volatile const int64_t *offset;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

int clock_gettime(clockid_t clock, struct timespec *time) {
  const int result = real_clock_gettime != NULL ? real_clock_gettime(clock, time)
                                                : (int)syscall(SYS_clock_gettime, clock, time);
  if (result != 0 || offset == NULL || clock != CLOCK_REALTIME) return result;
  const int64_t shift = *offset;
  int64_t nanoseconds = time->tv_nsec + shift % SECOND;
  time->tv_sec += shift / SECOND;
  if (nanoseconds >= SECOND) {
    nanoseconds -= SECOND;
    time->tv_sec++;
  } else if (nanoseconds < 0) {
    nanoseconds += SECOND;
    time->tv_sec--;
  }
  time->tv_nsec = nanoseconds;
  return result;
}

// Before main, and before the sandbox closes.
__attribute__((constructor)) static void begin(void) {
  *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("BULKHEAD_CLOCK");
  const int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  const void *place = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (place != MAP_FAILED) offset = place;
}
