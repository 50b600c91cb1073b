// The two checksums of the tape. No logic beyond them.
#ifndef BULKHEAD_CTAPEHASH_H
#define BULKHEAD_CTAPEHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli, as in RFC 3720) of `count` bytes behind those whose value is `crc`; 0 for none. With the
// processor's own instruction where it has one.
uint32_t bulkhead_crc32c(uint32_t crc, const void *bytes, size_t count);
// The same from a table, on any processor.
uint32_t bulkhead_crc32c_portable(uint32_t crc, const void *bytes, size_t count);
// Whether the processor's instruction is used.
bool bulkhead_crc32c_is_hardware(void);

// XXH3, 64 bits, of `count` bytes, seeded with the value of what came before.
uint64_t bulkhead_chain(uint64_t previous, const void *bytes, size_t count);

#endif
