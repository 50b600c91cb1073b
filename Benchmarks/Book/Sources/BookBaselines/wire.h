// Fields of ITCH messages, big-endian and unaligned.
#pragma once
#include <cstdint>
#include <cstring>

namespace wire {
inline uint16_t u16(const uint8_t *at) {
  uint16_t value;
  memcpy(&value, at, 2);
  return __builtin_bswap16(value);
}
inline uint32_t u32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return __builtin_bswap32(value);
}
inline uint64_t u64(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, 8);
  return __builtin_bswap64(value);
}
}  // namespace wire
