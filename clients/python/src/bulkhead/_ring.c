/* What Python calls: bulkhead.h as a library, and polls by the thousand, since a foreign call costs more than a poll. */
#define BULKHEAD_SHARED
#include "bulkhead.h"

/* Polls until `most` records were taken, the buffer has no room for another of the longest, or a poll is not OK.
 * Record n lies at offsets[n] ..< offsets[n + 1] of `buffer` and has kinds[n]. Returns how many there are; the last
 * poll's status goes to *status (OK: there may be more), its record to *last. */
BULKHEAD_API size_t bulkhead_poll_many(
    bulkhead_ring *ring, unsigned char *buffer, size_t capacity, size_t most, uint32_t *offsets, uint8_t *kinds,
    int *status, bulkhead_record *last) {
  size_t longest = bulkhead_record_bytes_limit(ring), used = 0, count = 0;
  offsets[0] = 0;
  *status = BULKHEAD_OK;
  while (count < most && capacity - used >= longest) {
    *status = bulkhead_poll(ring, buffer + used, capacity - used, last);
    if (*status != BULKHEAD_OK) break;
    used += last->bytes;
    kinds[count] = last->kind;
    offsets[++count] = (uint32_t)used;
  }
  return count;
}
