// Baseline 1: the least that a shared-memory ring can do. Each slot starts with a stamp, the number of its record
// plus one; up to 56 bytes of payload share its cache line, so that one line crosses between the cores for a record.
// No lengths, kinds, laps, epochs, successors or validation at attach.
#ifndef STAMP_RING_H
#define STAMP_RING_H

#include <bench_harness.h>

// The role functions of this ring, for bench_run.
void stamp_ring_role(const struct bench_plan *plan, struct bench_control *control, int number);
void stamp_ring_create(const struct bench_plan *plan);

#endif
