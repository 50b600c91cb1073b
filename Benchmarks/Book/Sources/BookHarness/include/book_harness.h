// What every book of the benchmark shares: the core, the clock, the counts of page faults and allocations, memory on
// large pages, and the numbers by which their contents are compared.
#ifndef BOOK_HARNESS_H
#define BOOK_HARNESS_H

#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define BOOK_INLINE static inline __attribute__((always_inline))

// Returns 0, or errno.
int book_harness_pin(int core);
uint64_t book_harness_nanoseconds(void);
// Time that this thread has had a processor.
uint64_t book_harness_processor_nanoseconds(void);
// Page faults of this process so far, minor and major.
uint64_t book_harness_faults(void);
// Calls of malloc, calloc, realloc and their aligned kin so far.
uint64_t book_harness_allocations(void);
// Resident memory now and its highest mark, in bytes.
uint64_t book_harness_resident(void);
uint64_t book_harness_peak(void);
// Of the resident memory, what lies on 2 MB pages.
uint64_t book_harness_huge(void);
// Zeroed, touched, on 2 MB pages where the kernel grants them; NULL when it cannot be had.
void *book_harness_map(size_t bytes);
void book_harness_unmap(void *base, size_t bytes);
// Ticks of book_harness_ticks per nanosecond.
double book_harness_ticks_per_nanosecond(void);

// A time stamp that no load or store before it overtakes.
BOOK_INLINE uint64_t book_harness_ticks(void) {
#if defined(__x86_64__)
  unsigned int core;
  uint64_t ticks = __rdtscp(&core);
  _mm_lfence();
  return ticks;
#else
  return book_harness_nanoseconds();
#endif
}

// What is read some messages later. The day is long and read once, whichever book reads it.
#define BOOK_HARNESS_AHEAD 1024
BOOK_INLINE void book_harness_ahead(const void *day) { __builtin_prefetch((const char *)day + BOOK_HARNESS_AHEAD); }

// The running sum over the best prices after each message, in order.
BOOK_INLINE uint64_t book_harness_best(uint64_t sum, uint64_t bid_price, uint64_t bid_size, uint64_t ask_price,
                                       uint64_t ask_size) {
  return sum * 31 + bid_price + 3 * bid_size + 5 * ask_price + 7 * ask_size;
}

// One number into the sum over a final content.
BOOK_INLINE uint64_t book_harness_mix(uint64_t sum, uint64_t value) {
  sum = (sum ^ value) * 0x9E3779B97F4A7C15u;
  return sum ^ (sum >> 29);
}

#ifdef __cplusplus
}
#endif

#endif
