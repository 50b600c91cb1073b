// A lean L3 after the best design known: orders found directly by reference, the references rotated so that neighbours
// of one matching partition are neighbours in memory; price levels in sorted arrays with the best at the end, all from
// one pool; queues linked backwards only, a dead order staying in its queue until the level empties; messages looked at
// 32 ahead. It believes its input, knows ITCH's 32-bit prices and shares only, and has as much memory as the day needs.
#include <cstdlib>

#include "book_baselines.h"
#include "book_harness.h"
#include "wire.h"

namespace {

struct Order {
  uint32_t shares;    // 0 = not live
  uint32_t previous;  // the order before it in its queue, dead or alive; 0 = none
  uint32_t price;
  uint32_t side;
};

struct Level {
  uint64_t size;
  uint32_t price;
  uint32_t orders;
  uint32_t tail;
  uint32_t key;  // ascending towards the best
};

struct alignas(32) Side {
  uint64_t best_size;
  uint32_t best_price;
  uint32_t count;
  Level *levels;
  uint32_t capacity;
};

constexpr size_t kLocates = 65536;
constexpr size_t kBatch = 32;
constexpr size_t kPoolBytes = size_t(256) << 20;

class Books {
 public:
  explicit Books(uint64_t last_reference) {
    quarter_ = last_reference / 4 + 2;
    orders_bytes_ = quarter_ * 4 * sizeof(Order);
    orders_ = static_cast<Order *>(book_harness_map(orders_bytes_));
    sides_ = static_cast<Side *>(book_harness_map(kLocates * 2 * sizeof(Side)));
    pool_ = static_cast<char *>(book_harness_map(kPoolBytes));
    if (!orders_ || !sides_ || !pool_) abort();
  }
  ~Books() {
    book_harness_unmap(orders_, orders_bytes_);
    book_harness_unmap(sides_, kLocates * 2 * sizeof(Side));
    book_harness_unmap(pool_, kPoolBytes);
  }

  void run(const uint8_t *day, size_t bytes) {
    const uint8_t *end = day + bytes;
    const uint8_t *batch[kBatch];
    while (day < end) {
      size_t count = 0;
      for (; count < kBatch && day < end; count++) {
        const uint8_t *m = day + 2;
        batch[count] = m;
        day += 2 + wire::u16(day);
        book_harness_ahead(day);
        prefetch(m);
      }
      for (size_t i = 0; i < count; i++) prefetch_levels(batch[i]);
      for (size_t i = 0; i < count; i++) apply(batch[i]);
    }
  }

  void sample(const uint8_t *day, size_t bytes, uint32_t *ticks) {
    const uint8_t *end = day + bytes;
    while (day < end) {
      uint64_t start = book_harness_ticks();
      const uint8_t *m = day + 2;
      apply(m);
      *ticks++ = uint32_t(book_harness_ticks() - start);
      day += 2 + wire::u16(day);
    }
  }

  void content(book_content *content) const {
    *content = {best_, 0, 0, 0, 0};
    uint32_t *queue = static_cast<uint32_t *>(malloc(quarter_ * 4));
    for (uint32_t number = 0; number < kLocates * 2; number++) {
      const Side &side = sides_[number];
      for (uint32_t i = side.count; i-- > 0;) {
        const Level &level = side.levels[i];
        content->levels++;
        content->content = book_harness_mix(content->content, number);
        content->content = book_harness_mix(content->content, level.price);
        content->content = book_harness_mix(content->content, level.size);
        content->content = book_harness_mix(content->content, level.orders);
        size_t count = 0;
        for (uint32_t at = level.tail; at != 0; at = orders_[at].previous)
          if (orders_[at].shares) queue[count++] = at;
        content->orders += count;
        while (count-- > 0) {
          content->content = book_harness_mix(content->content, reference(queue[count]));
          content->content = book_harness_mix(content->content, orders_[queue[count]].shares);
        }
      }
    }
    free(queue);
  }

 private:
  // 0 is nobody's: quarter 0 begins with it.
  uint32_t index(uint64_t reference) const { return uint32_t((reference & 3) * quarter_ + (reference >> 2) + 1); }
  uint64_t reference(uint32_t index) const { return (index - 1) % quarter_ * 4 + (index - 1) / quarter_; }

  void prefetch(const uint8_t *m) const {
    __builtin_prefetch(&sides_[size_t(wire::u16(m + 1)) * 2], 1);
    switch (m[0]) {
      case 'U': __builtin_prefetch(&orders_[index(wire::u64(m + 19))], 1); [[fallthrough]];
      case 'A':
      case 'F':
      case 'D':
      case 'E':
      case 'C':
      case 'X': __builtin_prefetch(&orders_[index(wire::u64(m + 11))], 1); break;
      default: break;
    }
  }

  void prefetch_levels(const uint8_t *m) const {
    uint32_t number = wire::u16(m + 1) * 2u;
    switch (m[0]) {
      case 'A':
      case 'F': number += m[19] == 'S'; break;
      case 'D':
      case 'U':
      case 'E':
      case 'C':
      case 'X': number = orders_[index(wire::u64(m + 11))].side; break;
      default: return;
    }
    const Side &side = sides_[number];
    const char *end = reinterpret_cast<const char *>(side.levels + side.count);
    __builtin_prefetch(end - 1, 1);
    __builtin_prefetch(end - 64, 1);
    __builtin_prefetch(end - 128, 1);
  }

  __attribute__((always_inline)) void apply(const uint8_t *m) {
    switch (m[0]) {
      case 'A':
      case 'F':
        add(wire::u16(m + 1) * 2u + (m[19] == 'S'), index(wire::u64(m + 11)), wire::u32(m + 20), wire::u32(m + 32));
        break;
      case 'D': {
        Order &order = orders_[index(wire::u64(m + 11))];
        if (order.shares) take(order, order.shares);
        break;
      }
      case 'U': {
        Order &order = orders_[index(wire::u64(m + 11))];
        if (!order.shares) break;
        take(order, order.shares);
        add(order.side, index(wire::u64(m + 19)), wire::u32(m + 27), wire::u32(m + 31));
        break;
      }
      case 'E':
      case 'C':
      case 'X': {
        Order &order = orders_[index(wire::u64(m + 11))];
        if (order.shares) take(order, wire::u32(m + 19));
        break;
      }
      default: return;
    }
    const Side *side = &sides_[size_t(wire::u16(m + 1)) * 2];
    best_ = book_harness_best(best_, side[0].best_price, side[0].best_size, side[1].best_price, side[1].best_size);
  }

  static uint32_t key(uint32_t side, uint32_t price) { return side & 1 ? ~price : price; }

  // The first level whose key is not below `key`, looked for from the best on.
  static uint32_t find(const Side &side, uint32_t key) {
    uint32_t i = side.count;
    uint32_t near = i > 16 ? i - 16 : 0;
    while (i > near) {
      if (side.levels[i - 1].key < key) return i;
      i--;
    }
    uint32_t low = 0;
    while (low < i) {
      uint32_t middle = (low + i) / 2;
      if (side.levels[middle].key < key)
        low = middle + 1;
      else
        i = middle;
    }
    return low;
  }

  __attribute__((always_inline)) void add(uint32_t number, uint32_t at, uint32_t shares, uint32_t price) {
    Side &side = sides_[number];
    uint32_t k = key(number, price);
    uint32_t i = find(side, k);
    Level *level;
    if (i < side.count && side.levels[i].key == k) {
      level = &side.levels[i];
      level->size += shares;
      level->orders++;
      orders_[at] = {shares, level->tail, price, number};
    } else {
      if (side.count == side.capacity) grow(side);
      for (uint32_t j = side.count; j > i; j--) side.levels[j] = side.levels[j - 1];
      level = &side.levels[i];
      *level = {shares, price, 1, 0, k};
      side.count++;
      orders_[at] = {shares, 0, price, number};
    }
    level->tail = at;
    if (i + 1 == side.count) side.best_price = price, side.best_size = level->size;
  }

  __attribute__((always_inline)) void take(Order &order, uint32_t shares) {
    Side &side = sides_[order.side];
    uint32_t i = find(side, key(order.side, order.price));
    Level &level = side.levels[i];
    level.size -= shares;
    order.shares -= shares;
    if (order.shares == 0 && --level.orders == 0) {
      side.count--;
      for (uint32_t j = i; j < side.count; j++) side.levels[j] = side.levels[j + 1];
      if (i == side.count) {
        side.best_price = i ? side.levels[i - 1].price : 0;
        side.best_size = i ? side.levels[i - 1].size : 0;
      }
    } else if (i + 1 == side.count) {
      side.best_size = level.size;
    }
  }

  __attribute__((noinline)) void grow(Side &side) {
    uint32_t capacity = side.capacity ? side.capacity * 2 : 8;
    int old_class = __builtin_ctz(side.capacity | 0x80000000u), new_class = __builtin_ctz(capacity);
    Level *levels = free_[new_class];
    if (levels) {
      free_[new_class] = *reinterpret_cast<Level **>(levels);
    } else {
      size_t bytes = (capacity * sizeof(Level) + 63) / 64 * 64;
      if (pool_used_ + bytes > kPoolBytes) abort();
      levels = reinterpret_cast<Level *>(pool_ + pool_used_);
      pool_used_ += bytes;
    }
    if (side.capacity) {
      memcpy(levels, side.levels, side.count * sizeof(Level));
      *reinterpret_cast<Level **>(side.levels) = free_[old_class];
      free_[old_class] = side.levels;
    }
    side.levels = levels;
    side.capacity = capacity;
  }

  uint64_t quarter_;
  size_t orders_bytes_;
  Order *orders_;
  Side *sides_;
  char *pool_;
  size_t pool_used_ = 128;  // what lies in front of the first array may be prefetched
  Level *free_[32] = {};
  uint64_t best_ = 0;
};

}  // namespace

void *lean_book_make(uint64_t last_reference) { return new Books(last_reference); }
void lean_book_run(void *book, const uint8_t *day, size_t bytes) { static_cast<Books *>(book)->run(day, bytes); }
void lean_book_sample(void *book, const uint8_t *day, size_t bytes, uint32_t *ticks) {
  static_cast<Books *>(book)->sample(day, bytes, ticks);
}
void lean_book_content(void *book, book_content *content) { static_cast<Books *>(book)->content(content); }
void lean_book_free(void *book) { delete static_cast<Books *>(book); }

uint64_t book_scan(const uint8_t *day, size_t bytes) {
  uint64_t sum = 0;
  const uint8_t *end = day + bytes / 64 * 64;
  for (; day < end; day += 64)
    for (int word = 0; word < 8; word++) {
      uint64_t value;
      memcpy(&value, day + word * 8, 8);
      sum += value;
    }
  return sum;
}
