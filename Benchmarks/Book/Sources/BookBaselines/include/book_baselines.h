// The yardsticks. Each runs a whole day of ITCH messages behind two length bytes each, and reads the best prices of the
// message's instrument after each message that concerns a book.
#ifndef BOOK_BASELINES_H
#define BOOK_BASELINES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct book_content {
  // Running sum over the best prices after each message.
  uint64_t best;
  // Sum over every level and every order in queue order at the end.
  uint64_t content;
  uint64_t orders;
  uint64_t levels;
  uint64_t rejected;
};

// The floor: reads every byte of the day once.
uint64_t book_scan(const uint8_t *day, size_t bytes);

// std::map levels of std::list orders, std::unordered_map by reference, every lifecycle rule checked.
void *plain_book_make(void);
void plain_book_run(void *book, const uint8_t *day, size_t bytes);
void plain_book_content(void *book, struct book_content *content);
void plain_book_free(void *book);

// Orders directly by reference, pooled sorted arrays, lazy unlinking, batches with prefetch; believes its input.
// `last_reference`: no reference of the day is larger.
void *lean_book_make(uint64_t last_reference);
void lean_book_run(void *book, const uint8_t *day, size_t bytes);
void lean_book_content(void *book, struct book_content *content);
void lean_book_free(void *book);
// As lean_book_run, one message at a time; stores the ticks of each message.
void lean_book_sample(void *book, const uint8_t *day, size_t bytes, uint32_t *ticks);

#ifdef __cplusplus
}
#endif

#endif
