#include "index_ring.h"

#include <atomic>
#include <cstdio>
#include <new>

namespace {

// A queue of `Bytes` of payload and its length, in whole cache lines.
template <int Bytes>
class IndexRing {
 public:
  // One slot stays empty, so that full and empty differ.
  explicit IndexRing(uint64_t capacity) : count_(capacity + 1) {}

  static constexpr uint64_t slotBytes() { return (8 + Bytes + 63) / 64 * 64; }
  static uint64_t fileBytes(uint64_t capacity) { return 4096 + (capacity + 1) * slotBytes(); }

  // Where the next record goes, or null when the queue is full.
  inline uint8_t *reserve() {
    const uint64_t write = write_.load(std::memory_order_relaxed);
    const uint64_t next = after(write);
    if (next == knownRead_) {
      knownRead_ = read_.load(std::memory_order_acquire);
      if (next == knownRead_) return nullptr;
    }
    uint8_t *slot = at(write);
    *reinterpret_cast<uint64_t *>(slot) = Bytes;
    return slot + 8;
  }

  inline void push() {
    write_.store(after(write_.load(std::memory_order_relaxed)), std::memory_order_release);
  }

  // The oldest record, or null when the queue is empty.
  inline const uint8_t *front() {
    const uint64_t read = read_.load(std::memory_order_relaxed);
    if (read == knownWrite_) {
      knownWrite_ = write_.load(std::memory_order_acquire);
      if (read == knownWrite_) return nullptr;
    }
    return at(read) + 8;
  }

  inline void pop() { read_.store(after(read_.load(std::memory_order_relaxed)), std::memory_order_release); }

 private:
  inline uint64_t after(uint64_t index) const { return index + 1 == count_ ? 0 : index + 1; }
  inline uint8_t *at(uint64_t index) { return reinterpret_cast<uint8_t *>(this) + 4096 + index * slotBytes(); }

  const uint64_t count_;
  alignas(128) std::atomic<uint64_t> write_{0};
  alignas(128) uint64_t knownRead_{0};
  alignas(128) std::atomic<uint64_t> read_{0};
  alignas(128) uint64_t knownWrite_{0};
};

template <int Bytes>
IndexRing<Bytes> *attach(const bench_plan *plan, const char *direction, int reader, bool create) {
  char name[64];
  snprintf(name, sizeof name, "%s-%d", direction, reader);
  void *base = bench_map(plan->directory, name, IndexRing<Bytes>::fileBytes(plan->slots), create);
  if (create) new (base) IndexRing<Bytes>(plan->slots);
  return static_cast<IndexRing<Bytes> *>(base);
}

template <int Bytes>
void produce(const bench_plan *plan, bench_control *control) {
  IndexRing<Bytes> *rings[BENCH_MOST_READERS];
  const int readers = plan->readers;
  for (int reader = 0; reader < readers; reader++) rings[reader] = attach<Bytes>(plan, "there", reader, false);
  bench_report *report = bench_report_of(control, 0);
  bench_start(plan, control);
  for (uint64_t number = 0; number < plan->records; number++) {
    if (number == plan->warmup) {
      report->processor_time = bench_processor_nanoseconds();
      report->start = bench_nanoseconds();
    }
    for (int reader = 0; reader < readers; reader++) {
      uint8_t *payload;
      while ((payload = rings[reader]->reserve()) == nullptr) bench_producer_waits(plan);
      bench_fill(payload, number, Bytes);
      rings[reader]->push();
    }
  }
  report->end = bench_nanoseconds();
  report->processor_time = bench_processor_nanoseconds() - report->processor_time;
  report->records = plan->records;
  bench_stop(control);
}

template <int Bytes>
inline const uint8_t *await(IndexRing<Bytes> *ring, const bench_plan *plan, uint64_t *empty) {
  const uint8_t *payload;
  while ((payload = ring->front()) == nullptr) {
    ++*empty;
    // This design has no way to sleep.
    if (plan->wait != bench_spin) sched_yield();
    else bench_spin_hint();
  }
  return payload;
}

template <int Bytes>
void consume(const bench_plan *plan, bench_control *control, int number) {
  IndexRing<Bytes> *ring = attach<Bytes>(plan, "there", number - 1, false);
  bench_report *report = bench_report_of(control, number);
  bench_stretches stretches = bench_stretches_of(plan, number);
  uint64_t wrong = 0, empty = 0;
  bench_start(plan, control);
  for (uint64_t expected = 0; expected < plan->records;) {
    const uint8_t *payload = await(ring, plan, &empty);
    wrong += !bench_check(payload, expected, Bytes);
    ring->pop();
    if (++expected % BENCH_REPORT_EVERY != 0) continue;
    if (expected == plan->warmup) report->start = bench_nanoseconds();
    bench_time_stretch(&stretches, plan, control, expected);
  }
  report->end = bench_nanoseconds();
  report->records = plan->records;
  report->wrong = wrong;
  report->fruitless = empty;
}

template <int Bytes>
void travel(const bench_plan *plan, bench_control *control, int number) {
  IndexRing<Bytes> *out = attach<Bytes>(plan, number == 0 ? "there" : "back", 0, false);
  IndexRing<Bytes> *in = attach<Bytes>(plan, number == 0 ? "back" : "there", 0, false);
  bench_report *report = bench_report_of(control, number);
  uint64_t empty = 0;
  auto receive = [&](uint64_t trip) {
    report->wrong += !bench_check(await(in, plan, &empty), trip, Bytes);
    in->pop();
  };
  bench_start(plan, control);
  for (uint64_t trip = 0; trip < plan->records; trip++) {
    if (number != 0) receive(trip);
    const uint64_t start = bench_ticks();
    uint8_t *payload;
    while ((payload = out->reserve()) == nullptr) bench_producer_waits(plan);
    bench_fill(payload, trip, Bytes);
    out->push();
    if (number == 0) {
      receive(trip);
      if (trip >= plan->warmup) bench_add_sample(control, bench_ticks() - start);
    }
  }
  report->records = plan->records;
}

template <int Bytes>
void create(const bench_plan *plan) {
  for (int reader = 0; reader < plan->readers; reader++) attach<Bytes>(plan, "there", reader, true);
  if (plan->mode == bench_round_trip) attach<Bytes>(plan, "back", 0, true);
}

template <int Bytes>
void run(const bench_plan *plan, bench_control *control, int number) {
  if (plan->mode == bench_round_trip) travel<Bytes>(plan, control, number);
  else if (number == 0) produce<Bytes>(plan, control);
  else consume<Bytes>(plan, control, number);
}

}  // namespace

void index_ring_create(const bench_plan *plan) {
  switch (plan->bytes) {
    case 16: return create<16>(plan);
    case 56: return create<56>(plan);
    case 256: return create<256>(plan);
    default: return create<1400>(plan);
  }
}

void index_ring_role(const bench_plan *plan, bench_control *control, int number) {
  switch (plan->bytes) {
    case 16: return run<16>(plan, control, number);
    case 56: return run<56>(plan, control, number);
    case 256: return run<256>(plan, control, number);
    default: return run<1400>(plan, control, number);
  }
}
