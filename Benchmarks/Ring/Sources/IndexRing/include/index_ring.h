// Baseline 2: the single-producer single-consumer queue that C++ programs usually take: a write and a read index, each on
// a line of its own, each side keeping a copy of the other's index and looking again only when the copy says full
// or empty. Lossless by itself; read in place. Several readers mean several rings.
#ifndef INDEX_RING_H
#define INDEX_RING_H

#include <bench_harness.h>

#ifdef __cplusplus
extern "C" {
#endif

void index_ring_role(const struct bench_plan *plan, struct bench_control *control, int number);
void index_ring_create(const struct bench_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
