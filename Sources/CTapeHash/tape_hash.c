#include "CTapeHash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *bytes, size_t count) {
  uint64_t value = ~crc;
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    value = _mm_crc32_u64(value, word);
    bytes += 8;
    count -= 8;
  }
  while (count-- > 0) value = _mm_crc32_u8((uint32_t)value, *bytes++);
  return ~(uint32_t)value;
}

bool bulkhead_crc32c_is_hardware(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *bytes, size_t count) {
  uint32_t value = ~crc;
  while (count >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    value = __crc32cd(value, word);
    bytes += 8;
    count -= 8;
  }
  while (count-- > 0) value = __crc32cb(value, *bytes++);
  return ~value;
}

bool bulkhead_crc32c_is_hardware(void) { return true; }

#else

static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *bytes, size_t count) {
  return bulkhead_crc32c_portable(crc, bytes, count);
}

bool bulkhead_crc32c_is_hardware(void) { return false; }

#endif

// The reflected polynomial 0x1EDC6F41, four bits at a time.
static const uint32_t nibbles[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
    0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
};

uint32_t bulkhead_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
  const uint8_t *next = bytes;
  uint32_t value = ~crc;
  while (count-- > 0) {
    value ^= *next++;
    value = (value >> 4) ^ nibbles[value & 15];
    value = (value >> 4) ^ nibbles[value & 15];
  }
  return ~value;
}

uint32_t bulkhead_crc32c(uint32_t crc, const void *bytes, size_t count) {
  return bulkhead_crc32c_is_hardware() ? crc32c_hardware(crc, bytes, count) : bulkhead_crc32c_portable(crc, bytes, count);
}

uint64_t bulkhead_chain(uint64_t previous, const void *bytes, size_t count) {
  return XXH3_64bits_withSeed(bytes, count, previous);
}
