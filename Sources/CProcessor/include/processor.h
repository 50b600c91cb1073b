// Hints to the processor that Swift cannot give. No logic.
#ifndef BULKHEAD_CPROCESSOR_H
#define BULKHEAD_CPROCESSOR_H

// Asks for a cache line that will be written soon. Any address is allowed; nothing is read.
__attribute__((always_inline, swift_attr("@_noLocks"))) static inline void bulkhead_prefetch(const void *address) {
#if defined(__x86_64__)
  // The compiler would ask for it as for a read: this instruction is not in its oldest x86-64. Processors without it skip it.
  __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
  __builtin_prefetch(address, 1, 3);
#endif
}

// The same for a line that will only be read, so that it is not taken from whoever writes it.
__attribute__((always_inline, swift_attr("@_noLocks"))) static inline void bulkhead_prefetch_to_read(
    const void *address) {
  __builtin_prefetch(address, 0, 3);
}

#endif
