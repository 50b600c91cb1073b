// What all rings of the benchmark share: processes and their cores, the flow control, what a record carries and how it
// is checked, the clock. Inline, so that each ring's loop is compiled around the very same code.
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_MOST_READERS 8
#define BENCH_MOST_SAMPLES (1 << 20)
#define BENCH_REPORT_EVERY 64
#define BENCH_INLINE static inline __attribute__((always_inline))

enum bench_mode {
  // One way, lossless: the producer waits for the slowest reader.
  bench_throughput = 0,
  // There and back, one record at a time; each trip is timed.
  bench_round_trip = 1,
  // One way, the producer waits for nobody; readers count what they lost.
  bench_overwrite = 2,
};

enum bench_wait {
  bench_spin = 0,
  bench_yield = 1,
  // Two yields, then a futex: as the product's stages park.
  bench_park = 2,
  // A futex at once.
  bench_park_at_once = 3,
};

struct bench_plan {
  int mode;
  int wait;
  // Payload bytes of a record, a multiple of 8.
  int bytes;
  // Records between two publications.
  int batch;
  int readers;
  int producer_core;
  int reader_core;
  // Readers look at records where they lie instead of copying them first.
  bool in_place;
  // Records (or trips) in all, and how many of them come before the clock starts.
  uint64_t records;
  uint64_t warmup;
  // Records per timed stretch of a one-way run. The rate of a run is that of its median stretch, so that a machine
  // which takes a core away now and then does not decide the result.
  uint64_t stretch;
  // Size of a ring: 64-byte cells, and how many records fit.
  uint64_t cells;
  uint64_t slots;
  // Most records that the producer may be ahead of the slowest reader.
  uint64_t window;
  // A directory of /dev/shm for the rings' files.
  const char *directory;
};

// What one process has to say. Times in nanoseconds of CLOCK_MONOTONIC.
struct bench_report {
  uint64_t start;
  uint64_t end;
  uint64_t processor_time;
  uint64_t records;
  uint64_t wrong;
  uint64_t laps;
  uint64_t lost;
  uint64_t fruitless;
  // How often the kernel took the core away although there was work.
  uint64_t preemptions;
  uint64_t padding[7];
};

struct bench_line {
  uint64_t value;
  uint64_t padding[15];
};

// Shared by the processes of one run.
struct bench_control {
  struct bench_line ready;
  struct bench_line go;
  struct bench_line stopped;
  struct bench_line consumed[BENCH_MOST_READERS];
  // Number 0 is the producer (or the side that sends first).
  struct bench_report reports[BENCH_MOST_READERS + 1];
  uint64_t sample_count;
  uint32_t samples[BENCH_MOST_SAMPLES];
};

// What one process does: number 0 produces, 1... read.
typedef void (*bench_role)(const struct bench_plan *plan, struct bench_control *control, int number);

// Runs one process per role, each on its core, and waits for all. Returns the control block, or NULL when one
// failed or took longer than `seconds` (all are killed then). The caller gives it back with bench_release.
struct bench_control *bench_run(const struct bench_plan *plan, bench_role role, int seconds);
void bench_release(struct bench_control *control);
// Reports that this process is ready, and waits for all others.
void bench_start(const struct bench_plan *plan, struct bench_control *control);

uint64_t bench_nanoseconds(void);
uint64_t bench_processor_nanoseconds(void);
// Nanoseconds per tick of bench_ticks, measured over a few milliseconds.
double bench_nanoseconds_per_tick(void);
int bench_compare_samples(const void *left, const void *right);
void bench_sort_samples(struct bench_control *control);

// Makes or maps `bytes` of a file of /dev/shm with its page table filled; ends the process when it cannot.
void *bench_map(const char *directory, const char *name, uint64_t bytes, bool create);
int bench_futex_wait(uint64_t *word, uint64_t seen);
int bench_futex_wake(uint64_t *word);

BENCH_INLINE uint64_t bench_ticks(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return bench_nanoseconds();
#endif
}

// Between two looks of a waiting loop. Without it the round trip of every ring here is a third longer.
BENCH_INLINE void bench_spin_hint(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

// ---- What a record carries: words that all depend on its number.

#define BENCH_STEP 0x9E3779B97F4A7C15u

BENCH_INLINE void bench_fill(void *payload, uint64_t number, int bytes) {
  uint64_t *words = (uint64_t *)payload;
  for (int index = 0; index < bytes / 8; index++) words[index] = number + (uint64_t)index * BENCH_STEP;
}

// Reads every word; true when all are those of record `number`.
BENCH_INLINE bool bench_check(const void *payload, uint64_t number, int bytes) {
  const uint64_t *words = (const uint64_t *)payload;
  uint64_t difference = 0;
  for (int index = 0; index < bytes / 8; index++)
    difference |= words[index] ^ (number + (uint64_t)index * BENCH_STEP);
  return difference == 0;
}

BENCH_INLINE uint64_t bench_number(const void *payload) { return *(const uint64_t *)payload; }

// ---- Flow control, the same for every ring that has none of its own.

BENCH_INLINE void bench_report_consumed(struct bench_control *control, int reader, uint64_t records) {
  __atomic_store_n(&control->consumed[reader].value, records, __ATOMIC_RELEASE);
}

// The records that the slowest reader has taken, as reported.
BENCH_INLINE uint64_t bench_consumed(struct bench_control *control, int readers) {
  uint64_t least = UINT64_MAX;
  for (int reader = 0; reader < readers; reader++) {
    uint64_t records = __atomic_load_n(&control->consumed[reader].value, __ATOMIC_ACQUIRE);
    if (records < least) least = records;
  }
  return least;
}

BENCH_INLINE bool bench_producer_stopped(struct bench_control *control) {
  return __atomic_load_n(&control->stopped.value, __ATOMIC_ACQUIRE) != 0;
}

BENCH_INLINE void bench_stop(struct bench_control *control) {
  __atomic_store_n(&control->stopped.value, 1, __ATOMIC_RELEASE);
}

// The producer waits for readers: on a core of its own it spins, else it lets them run.
BENCH_INLINE void bench_producer_waits(const struct bench_plan *plan) {
  if (plan->wait != bench_spin) sched_yield();
  else bench_spin_hint();
}

BENCH_INLINE struct bench_report *bench_report_of(struct bench_control *control, int number) {
  return &control->reports[number];
}

BENCH_INLINE void bench_add_sample(struct bench_control *control, uint64_t ticks) {
  if (control->sample_count < BENCH_MOST_SAMPLES)
    control->samples[control->sample_count++] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

// Times the stretches of a one-way run.
struct bench_stretches {
  uint64_t next;
  uint64_t ticks;
};

// Process `number` times the stretches: the producer of an overwriting run, else the first reader.
BENCH_INLINE struct bench_stretches bench_stretches_of(const struct bench_plan *plan, int number) {
  bool timed = number == (plan->mode == bench_overwrite ? 0 : 1);
  struct bench_stretches stretches = {timed ? plan->warmup : UINT64_MAX, 0};
  return stretches;
}

// To be called now and then with the records so far.
BENCH_INLINE void bench_time_stretch(struct bench_stretches *stretches, const struct bench_plan *plan,
                                     struct bench_control *control, uint64_t records) {
  if (records < stretches->next) return;
  uint64_t now = bench_ticks();
  if (stretches->ticks != 0) bench_add_sample(control, now - stretches->ticks);
  stretches->ticks = now;
  stretches->next += plan->stretch;
}

BENCH_INLINE uint32_t bench_sample(const struct bench_control *control, uint64_t index) {
  return control->samples[index];
}

#ifdef __cplusplus
}
#endif
#endif
