// A book as one would write it first, with the standard containers and every lifecycle rule checked.
#include <list>
#include <map>
#include <unordered_map>
#include <vector>

#include "book_baselines.h"
#include "book_harness.h"
#include "wire.h"

namespace {

struct Level;

struct Order {
  uint64_t reference;
  uint32_t shares;
  uint32_t price;
  uint16_t locate;
  bool is_sell;
};

struct Level {
  uint64_t size = 0;
  std::list<Order> queue;
};

struct Book {
  std::map<uint32_t, Level, std::greater<>> bids;
  std::map<uint32_t, Level> asks;
};

class Books {
 public:
  Books() : books_(65536) {}

  void run(const uint8_t *day, size_t bytes) {
    const uint8_t *end = day + bytes;
    while (day < end) {
      book_harness_ahead(day);
      apply(day + 2);
      day += 2 + wire::u16(day);
    }
  }

  void content(book_content *content) const {
    *content = {best_, 0, orders_.size(), 0, rejected_};
    for (size_t locate = 0; locate < books_.size(); locate++) {
      side(books_[locate].bids, locate * 2, content);
      side(books_[locate].asks, locate * 2 + 1, content);
    }
  }

 private:
  using Place = std::list<Order>::iterator;

  void apply(const uint8_t *m) {
    uint16_t locate = wire::u16(m + 1);
    switch (m[0]) {
      case 'A':
      case 'F': add(locate, m[19], wire::u64(m + 11), wire::u32(m + 20), wire::u32(m + 32)); break;
      case 'D': remove(locate, wire::u64(m + 11)); break;
      case 'U': replace(locate, wire::u64(m + 11), wire::u64(m + 19), wire::u32(m + 27), wire::u32(m + 31)); break;
      case 'E':
      case 'C':
      case 'X': reduce(locate, wire::u64(m + 11), wire::u32(m + 19)); break;
      default: return;
    }
    note(books_[locate]);
  }

  void add(uint16_t locate, uint8_t side, uint64_t reference, uint32_t shares, uint32_t price) {
    if (locate == 0 || (side != 'B' && side != 'S') || shares == 0 || orders_.count(reference)) {
      rejected_++;
      return;
    }
    insert({reference, shares, price, locate, side == 'S'});
  }

  void reduce(uint16_t locate, uint64_t reference, uint32_t shares) {
    auto found = orders_.find(reference);
    if (found == orders_.end() || found->second->locate != locate || shares == 0 || shares > found->second->shares) {
      rejected_++;
      return;
    }
    if (shares == found->second->shares) return erase(found);
    Order &order = *found->second;
    order.shares -= shares;
    level(order).size -= shares;
  }

  void remove(uint16_t locate, uint64_t reference) {
    auto found = orders_.find(reference);
    if (found == orders_.end() || found->second->locate != locate) {
      rejected_++;
      return;
    }
    erase(found);
  }

  void replace(uint16_t locate, uint64_t reference, uint64_t next, uint32_t shares, uint32_t price) {
    auto found = orders_.find(reference);
    if (found == orders_.end() || found->second->locate != locate || shares == 0 || orders_.count(next)) {
      rejected_++;
      return;
    }
    bool is_sell = found->second->is_sell;
    erase(found);
    insert({next, shares, price, locate, is_sell});
  }

  void insert(const Order &order) {
    Level &level = this->level(order);
    level.size += order.shares;
    level.queue.push_back(order);
    orders_.emplace(order.reference, std::prev(level.queue.end()));
  }

  void erase(std::unordered_map<uint64_t, Place>::iterator found) {
    Place place = found->second;
    Order order = *place;
    Level &level = this->level(order);
    level.size -= order.shares;
    level.queue.erase(place);
    if (level.queue.empty()) {
      if (order.is_sell)
        books_[order.locate].asks.erase(order.price);
      else
        books_[order.locate].bids.erase(order.price);
    }
    orders_.erase(found);
  }

  Level &level(const Order &order) {
    Book &book = books_[order.locate];
    return order.is_sell ? book.asks[order.price] : book.bids[order.price];
  }

  void note(const Book &book) {
    uint64_t bid = 0, bid_size = 0, ask = 0, ask_size = 0;
    if (auto best = book.bids.begin(); best != book.bids.end()) bid = best->first, bid_size = best->second.size;
    if (auto best = book.asks.begin(); best != book.asks.end()) ask = best->first, ask_size = best->second.size;
    best_ = book_harness_best(best_, bid, bid_size, ask, ask_size);
  }

  template <typename Levels>
  static void side(const Levels &levels, size_t number, book_content *content) {
    for (const auto &[price, level] : levels) {
      content->levels++;
      content->content = book_harness_mix(content->content, number);
      content->content = book_harness_mix(content->content, price);
      content->content = book_harness_mix(content->content, level.size);
      content->content = book_harness_mix(content->content, level.queue.size());
      for (const Order &order : level.queue) {
        content->content = book_harness_mix(content->content, order.reference);
        content->content = book_harness_mix(content->content, order.shares);
      }
    }
  }

  std::vector<Book> books_;
  std::unordered_map<uint64_t, Place> orders_;
  uint64_t best_ = 0;
  uint64_t rejected_ = 0;
};

}  // namespace

void *plain_book_make(void) { return new Books(); }
void plain_book_run(void *book, const uint8_t *day, size_t bytes) { static_cast<Books *>(book)->run(day, bytes); }
void plain_book_content(void *book, book_content *content) { static_cast<Books *>(book)->content(content); }
void plain_book_free(void *book) { delete static_cast<Books *>(book); }
