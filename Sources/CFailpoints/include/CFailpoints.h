// Places at which a process of a test build can be made to die. The product has none: nothing calls this there, and the
// definition is left out.
#ifndef BULKHEAD_CFAILPOINTS_H
#define BULKHEAD_CFAILPOINTS_H

#include <stdint.h>

// Counts a hit of the numbered place (0...127), and kills this process with SIGKILL if that was armed for it.
//
// BULKHEAD_FAILPOINTS names a file of BULKHEAD_FAILPOINT_FILE_BYTES that whoever arms has made; without it nothing happens.
//
//   0x000  processes that have mapped the file so far
//   0x040 + 64 n: place n: hits by anybody │ hits until death, 0 not armed │ program name[16], all zero for any │
//                 pid of the last that died there │ when (CLOCK_MONOTONIC, ns) │ deaths
//
// BULKHEAD_FAILPOINT=NUMBER:HITS:PROGRAM arms one place without a tool: done once, by the first process that maps the file.
#define BULKHEAD_FAILPOINT_COUNT 128
#define BULKHEAD_FAILPOINT_FILE_BYTES (64 + 64 * BULKHEAD_FAILPOINT_COUNT)
void bulkhead_failpoint(int32_t number);

#endif
