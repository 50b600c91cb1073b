#define _GNU_SOURCE
#include "drillleak.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PERIODS_PER_SECOND = 20 };

static double rate;
static int of_descriptors;

static void leak_memory(double *owed) {
  const size_t page = 4096;
  while (*owed >= (double)page) {
    void *place = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return;
    memset(place, 0x5A, page);
    *owed -= (double)page;
  }
}

static void leak_descriptors(double *owed) {
  while (*owed >= 1) {
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) return;
    *owed -= 1;
  }
}

static void *leak(void *unused) {
  (void)unused;
  double owed = 0;
  for (;;) {
    struct timespec period = {0, 1000000000 / PERIODS_PER_SECOND};
    nanosleep(&period, NULL);
    owed += rate / PERIODS_PER_SECOND;
    if (of_descriptors) leak_descriptors(&owed);
    else leak_memory(&owed);
  }
  return NULL;
}

// Before main, and before the sandbox closes.
__attribute__((constructor)) static void begin(void) {
  const char *plan = getenv("BULKHEAD_LEAK");
  if (plan == NULL) return;
  const size_t length = strlen(program_invocation_short_name);
  if (strncmp(plan, program_invocation_short_name, length) != 0 || plan[length] != ':') return;
  const char *what = plan + length + 1;
  if (strncmp(what, "memory=", 7) == 0) rate = atof(what + 7);
  else if (strncmp(what, "descriptors=", 12) == 0) {
    of_descriptors = 1;
    rate = atof(what + 12);
  }
  if (rate <= 0) return;
  // The program's own threads take its signals.
  sigset_t everything, before;
  sigfillset(&everything);
  sigdelset(&everything, SIGSYS);
  pthread_sigmask(SIG_SETMASK, &everything, &before);
  pthread_t thread;
  if (pthread_create(&thread, NULL, leak, NULL) == 0) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}
