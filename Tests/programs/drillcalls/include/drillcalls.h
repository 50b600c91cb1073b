#pragma once
// A library that is loaded into the processes of a set before their own programs (LD_PRELOAD), for drill D-39: it writes down when the
// main thread of watchdogd calls the allocator, so that it can be told whether an action was fired without. No part of what is
// installed.
//
//   BULKHEAD_DRILLCALLS=FILE   a file of DRILLCALLS_BYTES, which the drill maps too (Sources/bulkhead/Drill/AllocatorWatch.swift)
//
//   0x00  u64 armed: nothing is written down while it is 0
//   0x08  u64 process that writes; 0: none
//   0x10  u64 planted: each `send` allocates once while it is not 0
//   0x18  u64 calls since the drill took it to 0, also those without room
//   0x40  u64 instant of each call (CLOCK_MONOTONIC, ns), in their order
enum { DRILLCALLS_HEADER = 64, DRILLCALLS_ROOM = 1 << 17, DRILLCALLS_BYTES = DRILLCALLS_HEADER + 8 * DRILLCALLS_ROOM };
