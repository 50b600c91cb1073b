#include "stamp_ring.h"

#include <stdio.h>
#include <string.h>

struct header {
  // Records published: stored once a batch; what sleepers wait for.
  struct bench_line published;
  struct bench_line sleeping[BENCH_MOST_READERS];
  uint8_t rest[4096 - (1 + BENCH_MOST_READERS) * sizeof(struct bench_line)];
};

struct ring {
  struct header *header;
  uint8_t *first;
  uint8_t *end;
  uint8_t *here;
  uint64_t number;
  uint64_t slots;
};

BENCH_INLINE uint64_t slot_bytes(int bytes) { return ((uint64_t)bytes + 8 + 63) / 64 * 64; }

static uint64_t file_bytes(const struct bench_plan *plan) {
  return sizeof(struct header) + plan->slots * slot_bytes(plan->bytes);
}

static struct ring attach(const struct bench_plan *plan, const char *name, bool create) {
  struct ring ring;
  ring.header = bench_map(plan->directory, name, file_bytes(plan), create);
  ring.first = (uint8_t *)ring.header + sizeof(struct header);
  ring.end = ring.first + plan->slots * slot_bytes(plan->bytes);
  ring.here = ring.first;
  ring.number = 0;
  ring.slots = plan->slots;
  return ring;
}

void stamp_ring_create(const struct bench_plan *plan) {
  attach(plan, "there", true);
  if (plan->mode == bench_round_trip) attach(plan, "back", true);
}

BENCH_INLINE void advance(struct ring *ring, int bytes) {
  ring->number++;
  ring->here += slot_bytes(bytes);
  if (ring->here == ring->end) ring->here = ring->first;
}

BENCH_INLINE void put(struct ring *ring, int bytes, bool overwriting) {
  uint64_t *stamp = (uint64_t *)ring->here;
  if (overwriting) {
    __atomic_store_n(stamp, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
  }
  bench_fill(ring->here + 8, ring->number, bytes);
  __atomic_store_n(stamp, ring->number + 1, __ATOMIC_RELEASE);
  advance(ring, bytes);
}

BENCH_INLINE void publish(struct ring *ring, const struct bench_plan *plan) {
  __atomic_store_n(&ring->header->published.value, ring->number, __ATOMIC_RELEASE);
  if (plan->wait < bench_park) return;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  bool wake = false;
  for (int reader = 0; reader < plan->readers; reader++) {
    uint64_t *sleeping = &ring->header->sleeping[reader].value;
    if (__atomic_load_n(sleeping, __ATOMIC_RELAXED) == 0) continue;
    __atomic_store_n(sleeping, 0, __ATOMIC_RELAXED);
    wake = true;
  }
  if (wake) bench_futex_wake(&ring->header->published.value);
}

BENCH_INLINE uint64_t stamp_here(const struct ring *ring) {
  return __atomic_load_n((uint64_t *)ring->here, __ATOMIC_ACQUIRE);
}

// The next record's payload, copied to `buffer` unless it is to be read in place; NULL when there is none.
BENCH_INLINE const void *take(struct ring *ring, void *buffer, int bytes, bool in_place) {
  if (stamp_here(ring) != ring->number + 1) return NULL;
  const void *payload = ring->here + 8;
  if (!in_place) {
    memcpy(buffer, payload, (size_t)bytes);
    // The record is the caller's: it is really in the buffer.
    __asm__ volatile("" : : "r"(buffer) : "memory");
    payload = buffer;
  }
  advance(ring, bytes);
  return payload;
}

static void park(struct ring *ring, int reader) {
  uint64_t *sleeping = &ring->header->sleeping[reader].value;
  uint64_t seen = __atomic_load_n(&ring->header->published.value, __ATOMIC_ACQUIRE);
  __atomic_store_n(sleeping, 1, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (stamp_here(ring) != ring->number + 1) bench_futex_wait(&ring->header->published.value, seen);
  __atomic_store_n(sleeping, 0, __ATOMIC_RELAXED);
}

BENCH_INLINE void wait_for_record(struct ring *ring, const struct bench_plan *plan, int reader, int *fruitless) {
  if (plan->wait == bench_spin) return bench_spin_hint();
  if (plan->wait == bench_yield || (plan->wait == bench_park && ++*fruitless <= 2)) {
    sched_yield();
    return;
  }
  *fruitless = 0;
  park(ring, reader);
}

BENCH_INLINE void produce(const struct bench_plan *plan, struct bench_control *control, int bytes, bool overwriting) {
  struct ring ring = attach(plan, "there", false);
  struct bench_report *report = bench_report_of(control, 0);
  const uint64_t total = plan->records, batch = (uint64_t)plan->batch, window = plan->window;
  struct bench_stretches stretches = bench_stretches_of(plan, 0);
  uint64_t consumed = 0;
  bench_start(plan, control);
  while (ring.number < total) {
    if (ring.number == plan->warmup) {
      report->processor_time = bench_processor_nanoseconds();
      report->start = bench_nanoseconds();
    }
    while (!overwriting && ring.number + batch - consumed > window) {
      consumed = bench_consumed(control, plan->readers);
      if (ring.number + batch - consumed > window) bench_producer_waits(plan);
    }
    for (uint64_t index = 0; index < batch; index++) put(&ring, bytes, overwriting);
    publish(&ring, plan);
    bench_time_stretch(&stretches, plan, control, ring.number);
  }
  report->end = bench_nanoseconds();
  report->processor_time = bench_processor_nanoseconds() - report->processor_time;
  report->records = ring.number;
  bench_stop(control);
}

BENCH_INLINE void consume(const struct bench_plan *plan, struct bench_control *control, int number, int bytes,
                          bool in_place) {
  struct ring ring = attach(plan, "there", false);
  struct bench_report *report = bench_report_of(control, number);
  const uint64_t total = plan->records, warmup = plan->warmup;
  struct bench_stretches stretches = bench_stretches_of(plan, number);
  uint64_t wrong = 0, empty = 0;
  int fruitless = 0;
  uint8_t buffer[4096] __attribute__((aligned(64)));
  bench_start(plan, control);
  while (ring.number < total) {
    const void *payload = take(&ring, buffer, bytes, in_place);
    if (payload == NULL) {
      empty++;
      wait_for_record(&ring, plan, number - 1, &fruitless);
      continue;
    }
    fruitless = 0;
    wrong += !bench_check(payload, ring.number - 1, bytes);
    if (ring.number % BENCH_REPORT_EVERY == 0) {
      bench_report_consumed(control, number - 1, ring.number);
      if (ring.number == warmup) report->start = bench_nanoseconds();
      bench_time_stretch(&stretches, plan, control, ring.number);
    }
  }
  report->end = bench_nanoseconds();
  report->records = ring.number;
  report->wrong = wrong;
  report->fruitless = empty;
}

// A reader of the overwriting variant: copies, looks at the stamp again, and goes on at the newest when lapped.
BENCH_INLINE void consume_overwritten(const struct bench_plan *plan, struct bench_control *control, int number,
                                      int bytes) {
  struct ring ring = attach(plan, "there", false);
  struct bench_report *report = bench_report_of(control, number);
  uint64_t wrong = 0, received = 0, laps = 0, lost = 0;
  int fruitless = 0;
  uint8_t buffer[4096] __attribute__((aligned(64)));
  bench_start(plan, control);
  while (ring.number < plan->records) {
    uint64_t stamp = stamp_here(&ring);
    if (stamp == ring.number + 1) {
      memcpy(buffer, ring.here + 8, (size_t)bytes);
      __asm__ volatile("" : : "r"(buffer) : "memory");
      __atomic_thread_fence(__ATOMIC_ACQUIRE);
      stamp = __atomic_load_n((uint64_t *)ring.here, __ATOMIC_RELAXED);
      if (stamp == ring.number + 1) {
        wrong += !bench_check(buffer, ring.number, bytes);
        received++;
        fruitless = 0;
        advance(&ring, bytes);
        continue;
      }
    }
    uint64_t published = __atomic_load_n(&ring.header->published.value, __ATOMIC_ACQUIRE);
    if (published > ring.number + ring.slots) {
      // Half a ring behind the newest, so that the reader is not lapped again at once.
      uint64_t to = published - ring.slots / 2;
      laps++;
      lost += to - ring.number;
      ring.number = to;
      ring.here = ring.first + to % ring.slots * slot_bytes(bytes);
    } else {
      wait_for_record(&ring, plan, number - 1, &fruitless);
    }
  }
  report->records = received;
  report->wrong = wrong;
  report->laps = laps;
  report->lost = lost;
}

BENCH_INLINE void await_trip(struct ring *ring, const struct bench_plan *plan, void *buffer, int bytes,
                             struct bench_report *report) {
  int fruitless = 0;
  const void *payload;
  while ((payload = take(ring, buffer, bytes, false)) == NULL) wait_for_record(ring, plan, 0, &fruitless);
  report->wrong += !bench_check(payload, ring->number - 1, bytes);
}

BENCH_INLINE void travel(const struct bench_plan *plan, struct bench_control *control, int number, int bytes) {
  struct ring out = attach(plan, number == 0 ? "there" : "back", false);
  struct ring in = attach(plan, number == 0 ? "back" : "there", false);
  struct bench_report *report = bench_report_of(control, number);
  uint8_t buffer[4096] __attribute__((aligned(64)));
  bench_start(plan, control);
  for (uint64_t trip = 0; trip < plan->records; trip++) {
    if (number != 0) await_trip(&in, plan, buffer, bytes, report);
    uint64_t start = bench_ticks();
    put(&out, bytes, false);
    publish(&out, plan);
    if (number == 0) {
      await_trip(&in, plan, buffer, bytes, report);
      if (trip >= plan->warmup) bench_add_sample(control, bench_ticks() - start);
    }
  }
  report->records = plan->records;
}

BENCH_INLINE void run(const struct bench_plan *plan, struct bench_control *control, int number, int bytes) {
  if (plan->mode == bench_round_trip) {
    travel(plan, control, number, bytes);
  } else if (number == 0) {
    if (plan->mode == bench_overwrite) produce(plan, control, bytes, true);
    else produce(plan, control, bytes, false);
  } else if (plan->mode == bench_overwrite) {
    consume_overwritten(plan, control, number, bytes);
  } else if (plan->in_place) {
    consume(plan, control, number, bytes, true);
  } else {
    consume(plan, control, number, bytes, false);
  }
}

// The record's size is known to the compiler, as it would be to a user of such a ring.
void stamp_ring_role(const struct bench_plan *plan, struct bench_control *control, int number) {
  switch (plan->bytes) {
    case 16: return run(plan, control, number, 16);
    case 56: return run(plan, control, number, 56);
    case 256: return run(plan, control, number, 256);
    default: return run(plan, control, number, 1400);
  }
}
