/* bulkhead.h: reads Bulkhead's rings and tables in shared memory. C11 or C++17, Linux, header-only.
 *
 * The layout is docs/MEMORY_LAYOUT.md, the guide docs/C_READER.md. A reader maps the ring read-only and never holds
 * its producer up: whoever is too slow is lapped, and told exactly what it lost. Nothing here allocates; a handle is
 * a struct of the caller's and belongs to one thread at a time.
 *
 *   bulkhead_ring ring;
 *   if (bulkhead_attach(&ring, "/dev/shm/bulkhead/live/book.ring", NULL) != BULKHEAD_OK) ...
 *   switch (bulkhead_poll(&ring, buffer, sizeof buffer, &record)) ...
 *
 * Functions are static inline. For languages that load a library: cc -shared -fPIC -x c -DBULKHEAD_SHARED bulkhead.h
 *
 * Memory order. The operations are those of C11, under the names that gcc and clang give them in C and in C++ alike.
 * Shared memory is read by atomic loads only, payloads too (relaxed, eight bytes at a time): a copy that races with
 * the producer is detected and thrown away, and it is no data race in the language's sense either.
 */
#ifndef BULKHEAD_H
#define BULKHEAD_H

#if !defined __linux__ || !defined __LP64__ || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bulkhead.h: the rings are made for 64-bit little-endian Linux"
#endif

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
#define BULKHEAD_STATIC_ASSERT(condition, text) static_assert(condition, text)
extern "C" {
#else
#define BULKHEAD_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#ifndef __USE_MISC
long syscall(long number, ...); /* strict C11 hides it */
#endif
#endif

#ifdef BULKHEAD_SHARED
#define BULKHEAD_API __attribute__((visibility("default")))
#else
#define BULKHEAD_API static inline
#endif
#define BULKHEAD_PRIVATE static inline __attribute__((unused))

/* ---- Layout (Sources/ShmRing/Layout/RingLayout.swift, Mapping/CursorPage.swift; compared in CReaderTests) ---- */

#define BULKHEAD_MAGIC UINT64_C(0x474E4952484B4C42) /* "BLKHRING" in memory */
#define BULKHEAD_LAYOUT_VERSION 1u
#define BULKHEAD_BYTE_ORDER_MARK 0x01020304u
#define BULKHEAD_HEADER_BYTES 4096u
#define BULKHEAD_CELL_BYTES 64u
#define BULKHEAD_STAMP_BYTES 8u
#define BULKHEAD_NAME_BYTES 56u
#define BULKHEAD_CELLS_MINIMUM UINT64_C(4)
#define BULKHEAD_CELLS_MAXIMUM (UINT64_C(1) << 28)
#define BULKHEAD_RECORD_BYTES_MAXIMUM 65535u

#define BULKHEAD_OFFSET_MAGIC 0x000u
#define BULKHEAD_OFFSET_VERSION 0x008u
#define BULKHEAD_OFFSET_KIND 0x00Cu
#define BULKHEAD_OFFSET_BYTE_ORDER 0x010u
#define BULKHEAD_OFFSET_CELL_BYTES 0x014u
#define BULKHEAD_OFFSET_CELLS 0x018u
#define BULKHEAD_OFFSET_SEGMENT_CELLS 0x020u
#define BULKHEAD_OFFSET_DATA_OFFSET 0x028u
#define BULKHEAD_OFFSET_FILE_BYTES 0x030u
#define BULKHEAD_OFFSET_CONFIGURATION 0x038u
#define BULKHEAD_OFFSET_NAME 0x040u
#define BULKHEAD_OFFSET_PUBLISHED 0x080u
#define BULKHEAD_OFFSET_CLAIMED 0x0C0u
#define BULKHEAD_OFFSET_EPOCH 0x100u
#define BULKHEAD_OFFSET_PRODUCER_PID 0x108u
#define BULKHEAD_OFFSET_PRODUCER_START 0x110u
#define BULKHEAD_OFFSET_RETIRED 0xC8u
#define BULKHEAD_OFFSET_RECORDS 0x88u
#define BULKHEAD_OFFSET_BATCHES 0x90u

#define BULKHEAD_KIND_STREAM 1u
#define BULKHEAD_KIND_GATED_STREAM 2u
#define BULKHEAD_KIND_TABLE 3u
#define BULKHEAD_PAD_RECORD 255u
#define BULKHEAD_TABLE_VALUE_BYTES 56u

#define BULKHEAD_CURSOR_MAGIC UINT64_C(0x525355434B4C4231) /* "1BLKCUSR" in memory */
#define BULKHEAD_CURSOR_VERSION UINT64_C(1)
#define BULKHEAD_CURSOR_BYTES 4096u
#define BULKHEAD_CURSOR_OFFSET_VERSION 0x08u
#define BULKHEAD_CURSOR_OFFSET_READER_PID 0x10u
#define BULKHEAD_CURSOR_OFFSET_POSITION 0x40u
#define BULKHEAD_CURSOR_OFFSET_LAPS 0x48u
#define BULKHEAD_CURSOR_OFFSET_LOST_CELLS 0x50u
#define BULKHEAD_CURSOR_OFFSET_SLEEPING 0x80u
#define BULKHEAD_CURSOR_OFFSET_LAST_TICKET 0x88u

/* ---- Outcomes ---- */

/* X(name, value, what happened and what to do). Not negative: an outcome. Negative: a refusal or an error. */
#define BULKHEAD_STATUSES(X)                                                                                         \
  X(OK, 0, "done; from a poll: a record was copied whole")                                                           \
  X(EMPTY, 1, "nothing new; wait and poll again")                                                                    \
  X(LAPPED, 2, "the producer overwrote cells that were not read yet; the exact range is in lost_from, lost_to")      \
  X(EPOCH_CHANGED, 3, "another producer incarnation took over; the stream goes on without a seam")                   \
  X(VALUE, 4, "a whole value was copied")                                                                            \
  X(ABSENT, 5, "nothing was ever stored under that key")                                                             \
  X(BUSY, 6, "the entry kept changing, or its writer died within a store; try again later")                          \
  X(READY, 7, "there is something to poll: do not sleep")                                                            \
  X(MISSING, -1, "no such file; is the set running, and is the name a reader of its topology?")                      \
  X(SYSTEM, -2, "a system call failed; bulkhead_explain gives the reason")                                           \
  X(NOT_A_RING, -3, "not a ring, or never finished by its creator; remove it and start the set again")               \
  X(OTHER_LAYOUT, -4, "made by another layout version; use the bulkhead.h of that build")                            \
  X(BAD_BYTE_ORDER, -5, "header field `byte order`: made by a machine of the other byte order, or damaged")          \
  X(BAD_KIND, -6, "header field `kind`: a stream where a table is wanted, the reverse, or damaged; or a gated ring,"  \
                  " which this header can only observe")                                                             \
  X(BAD_CELL_BYTES, -7, "header field `cell bytes` is damaged; make the ring anew")                                  \
  X(BAD_CELLS, -8, "header field `cells` is damaged; make the ring anew")                                            \
  X(BAD_SEGMENT_CELLS, -9, "header field `segment cells` is damaged; make the ring anew")                            \
  X(BAD_DATA_OFFSET, -10, "header field `data offset` is damaged; make the ring anew")                               \
  X(BAD_FILE_BYTES, -11, "header field `file bytes` contradicts the geometry or the file's size; make the ring anew")\
  X(OTHER_CONFIGURATION, -12, "made for another configuration; restart the whole set")                               \
  X(DAMAGED, -13, "a live word of the ring is impossible; reading has ended, make the ring anew and attach again")   \
  X(SMALL_BUFFER, -14, "the next record is longer than the buffer; it was not taken")                                \
  X(POSITION, -15, "no record starts there")                                                                         \
  X(NO_CURSOR, -16, "needs a cursor page: a reader without one can only spin or yield")                              \
  X(NOT_A_CURSOR, -17, "not a cursor page, or never finished by its creator")                                        \
  X(ARGUMENT, -18, "an argument that has no meaning here")                                                           \
  X(DETACHED, -19, "the handle is not attached")                                                                     \
  X(RETIRED, -20, "another producer took over in a new file of this path; detach, attach, start from the position")

typedef enum bulkhead_status {
#define BULKHEAD_ENUMERATOR(name, value, text) BULKHEAD_##name = value,
  BULKHEAD_STATUSES(BULKHEAD_ENUMERATOR)
#undef BULKHEAD_ENUMERATOR
  BULKHEAD_STATUS_IS_AN_INT = -0x7FFFFFFF /* never returned */
} bulkhead_status;
BULKHEAD_STATIC_ASSERT(sizeof(bulkhead_status) == sizeof(int), "other languages take a status for an int");

/* Where bulkhead_start goes. */
typedef enum bulkhead_from {
  BULKHEAD_FROM_OLDEST = 0,   /* the oldest record that is retained */
  BULKHEAD_FROM_NEWEST = 1,   /* behind the newest record */
  BULKHEAD_FROM_CURSOR = 2,   /* where the reader of this cursor page last said it was */
  BULKHEAD_FROM_POSITION = 3, /* a position that bulkhead_position returned */
  BULKHEAD_FROM_IS_AN_INT = -0x7FFFFFFF
} bulkhead_from;

/* What a poll found. Positions are cells since the ring was made; they are 64 bits wide and never wrap. */
typedef struct bulkhead_record {
  uint64_t position;   /* OK: where the record starts. LAPPED: lost_to */
  uint64_t lost_from;  /* LAPPED: first cell lost */
  uint64_t lost_to;    /* LAPPED: one past the last; a record starts there, and the next poll reads it */
  uint64_t epoch_from; /* EPOCH_CHANGED: the incarnation before */
  uint64_t epoch;      /* the incarnation that this reader knows of */
  uint32_t bytes;      /* OK: payload bytes. SMALL_BUFFER: payload bytes of the record that waits */
  uint8_t kind;        /* OK: record kind, 1...254 */
  uint8_t zero[3];
} bulkhead_record;
BULKHEAD_STATIC_ASSERT(sizeof(bulkhead_record) == 48, "other languages lay this out themselves");

/* Why the last call on a handle was refused; bulkhead_explain makes a sentence of it. */
typedef struct bulkhead_refusal {
  bulkhead_status status;
  int system_error;         /* SYSTEM: errno */
  uint64_t found, expected; /* of the field that the status names. DAMAGED: published, claimed */
} bulkhead_refusal;

/* One file, mapped. Private. */
typedef struct bulkhead_mapping {
  unsigned char *base; /* NULL: detached */
  size_t bytes;
  uint64_t device, inode;
} bulkhead_mapping;

/* A reader of a stream ring. Private but for what docs/C_READER.md names: geometry and identity were copied and
 * checked at attach and are never read from the header again, so nothing that happens to it can lead this reader
 * outside its mapping. */
typedef struct bulkhead_ring {
  bulkhead_mapping ring;
  bulkhead_mapping cursor; /* base NULL: a pure observer */
  uint64_t cell_mask, lap_shift, segment_cells;
  uint64_t position;
  uint64_t epoch;
  uint64_t fruitless;    /* polls in a row that found nothing */
  uint64_t configuration;
  int is_gated;          /* can be observed, and not read as one who counts */
  int barrier_refused;   /* membarrier is forbidden here: sleeps are kept short */
  bulkhead_status fatal; /* DAMAGED once a live word was impossible */
  bulkhead_refusal refusal;
  char name[BULKHEAD_NAME_BYTES + 1];
} bulkhead_ring;

/* A reader of a table. Private. */
typedef struct bulkhead_table {
  bulkhead_mapping table;
  uint64_t entries;
  uint64_t configuration;
  bulkhead_refusal refusal;
  char name[BULKHEAD_NAME_BYTES + 1];
} bulkhead_table;

/* "EMPTY", "LAPPED", ...; "?" for a number that is none. */
BULKHEAD_API const char *bulkhead_status_name(int status) {
  switch (status) {
#define BULKHEAD_CASE(name, value, text) case value: return #name;
    BULKHEAD_STATUSES(BULKHEAD_CASE)
#undef BULKHEAD_CASE
    default: return "?";
  }
}

/* What a status means and what to do about it. Never NULL. */
BULKHEAD_API const char *bulkhead_strerror(int status) {
  switch (status) {
#define BULKHEAD_CASE(name, value, text) case value: return text;
    BULKHEAD_STATUSES(BULKHEAD_CASE)
#undef BULKHEAD_CASE
    default: return "not a status of bulkhead.h";
  }
}

/* Writes why the last call was refused, with the values found and expected (both versions on a version mismatch), as
 * snprintf writes: always terminated when `size` > 0; returns the length wanted. */
BULKHEAD_API int bulkhead_explain(const bulkhead_refusal *why, char *text, size_t size) {
  const char *meaning = bulkhead_strerror(why->status);
  unsigned long long found = (unsigned long long)why->found, expected = (unsigned long long)why->expected;
  switch ((int)why->status) {
    case BULKHEAD_SYSTEM: return snprintf(text, size, "%s", strerror(why->system_error));
    case BULKHEAD_OTHER_LAYOUT:
      return snprintf(text, size, "layout version %llu, this program reads version %llu; %s", found, expected, meaning);
    case BULKHEAD_OTHER_CONFIGURATION:
      return snprintf(text, size, "configuration %016llx, expected %016llx: %s", found, expected, meaning);
    case BULKHEAD_DAMAGED: return snprintf(text, size, "published %llu, claimed %llu: %s", found, expected, meaning);
    case BULKHEAD_SMALL_BUFFER:
      return snprintf(text, size, "the record has %llu bytes, the buffer %llu: %s", found, expected, meaning);
    case BULKHEAD_POSITION: return snprintf(text, size, "position %llu: %s", found, meaning);
    case BULKHEAD_BAD_SEGMENT_CELLS:
      return snprintf(text, size, "found %llu, expected a power of two, at most %llu: %s", found, expected, meaning);
    case BULKHEAD_BAD_CELLS:
      return snprintf(text, size, "found %llu, expected a power of two from 4 to %llu: %s", found, expected, meaning);
    case BULKHEAD_BAD_BYTE_ORDER: case BULKHEAD_BAD_KIND: case BULKHEAD_BAD_CELL_BYTES: case BULKHEAD_BAD_DATA_OFFSET:
    case BULKHEAD_BAD_FILE_BYTES:
      return snprintf(text, size, "found %llu, expected %llu: %s", found, expected, meaning);
    default: return snprintf(text, size, "%s", meaning);
  }
}

/* ---- Shared memory ---- */

BULKHEAD_PRIVATE uint64_t bulkhead_i_relaxed(const void *word) {
  return __atomic_load_n((const uint64_t *)word, __ATOMIC_RELAXED);
}
BULKHEAD_PRIVATE uint32_t bulkhead_i_relaxed32(const void *word) {
  return __atomic_load_n((const uint32_t *)word, __ATOMIC_RELAXED);
}
BULKHEAD_PRIVATE uint64_t bulkhead_i_acquire(const void *word) {
  return __atomic_load_n((const uint64_t *)word, __ATOMIC_ACQUIRE);
}
BULKHEAD_PRIVATE void bulkhead_i_store(void *word, uint64_t value) {
  __atomic_store_n((uint64_t *)word, value, __ATOMIC_RELEASE);
}
/* On a word that only this process writes: a load and a store, no locked instruction. */
BULKHEAD_PRIVATE void bulkhead_i_add(void *word, uint64_t amount) {
  __atomic_store_n((uint64_t *)word, bulkhead_i_relaxed(word) + amount, __ATOMIC_RELAXED);
}

#if defined __SANITIZE_THREAD__ && !defined __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan" /* every access is atomic, so an unseen fence can report nothing false */
#endif
BULKHEAD_PRIVATE void bulkhead_i_acquire_fence(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
BULKHEAD_PRIVATE void bulkhead_i_full_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
#if defined __SANITIZE_THREAD__ && !defined __clang__
#pragma GCC diagnostic pop
#endif

BULKHEAD_PRIVATE void bulkhead_i_copy_word(unsigned char *to, const unsigned char *from, size_t bytes) {
  uint64_t word = bulkhead_i_relaxed(from);
  memcpy(to, &word, bytes);
}

/* Copies `bytes` from shared memory whose last eight bytes are readable whole. */
BULKHEAD_PRIVATE void bulkhead_i_copy(void *target, const void *source, size_t bytes) {
  unsigned char *to = (unsigned char *)target;
  const unsigned char *from = (const unsigned char *)source;
  /* Written out, because compilers do not unroll atomic loads: three times as fast for long records. */
  for (; bytes >= 64; bytes -= 64, from += 64, to += 64) {
    bulkhead_i_copy_word(to, from, 8);
    bulkhead_i_copy_word(to + 8, from + 8, 8);
    bulkhead_i_copy_word(to + 16, from + 16, 8);
    bulkhead_i_copy_word(to + 24, from + 24, 8);
    bulkhead_i_copy_word(to + 32, from + 32, 8);
    bulkhead_i_copy_word(to + 40, from + 40, 8);
    bulkhead_i_copy_word(to + 48, from + 48, 8);
    bulkhead_i_copy_word(to + 56, from + 56, 8);
  }
  for (; bytes >= 8; bytes -= 8, from += 8, to += 8) bulkhead_i_copy_word(to, from, 8);
  if (bytes != 0) bulkhead_i_copy_word(to, from, bytes);
}

BULKHEAD_PRIVATE bulkhead_status bulkhead_i_refuse(
    bulkhead_refusal *why, bulkhead_status status, uint64_t found, uint64_t expected) {
  why->status = status;
  why->system_error = 0;
  why->found = found;
  why->expected = expected;
  return status;
}

BULKHEAD_PRIVATE bulkhead_status bulkhead_i_refuse_call(bulkhead_refusal *why) {
  int error = errno;
  bulkhead_i_refuse(why, error == ENOENT ? BULKHEAD_MISSING : BULKHEAD_SYSTEM, 0, 0);
  why->system_error = error;
  return why->status;
}

BULKHEAD_PRIVATE bulkhead_status bulkhead_i_map(
    int descriptor, size_t bytes, int protection, bulkhead_mapping *mapping, bulkhead_refusal *why) {
#ifndef MAP_POPULATE
  const int MAP_POPULATE = 0x8000; /* strict C11 hides it */
#endif
  void *base = mmap(NULL, bytes, protection, MAP_SHARED | MAP_POPULATE, descriptor, 0);
  if (base == MAP_FAILED) return bulkhead_i_refuse_call(why);
  mapping->base = (unsigned char *)base;
  mapping->bytes = bytes;
  return BULKHEAD_OK;
}

BULKHEAD_PRIVATE void bulkhead_i_unmap(bulkhead_mapping *mapping) {
  if (mapping->base != NULL) munmap(mapping->base, mapping->bytes);
  memset(mapping, 0, sizeof *mapping);
}

/* Opens a regular file of at least `minimum` bytes. Returns its descriptor, or -1. */
BULKHEAD_PRIVATE int bulkhead_i_open(
    const char *path, int access, uint64_t minimum, bulkhead_status too_short, struct stat *status,
    bulkhead_refusal *why) {
#ifndef O_CLOEXEC
  const int O_CLOEXEC = 02000000; /* strict C11 hides it */
#endif
  /* Non-blocking, because a pipe of that name would keep the caller waiting. */
  int descriptor = open(path, access | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    bulkhead_i_refuse_call(why);
    return -1;
  }
  if (fstat(descriptor, status) != 0) {
    bulkhead_i_refuse_call(why);
  } else if ((status->st_mode & 0170000) != 0100000 || (uint64_t)status->st_size < minimum) {
    bulkhead_i_refuse(why, too_short, 0, 0);
  } else {
    return descriptor;
  }
  close(descriptor);
  return -1;
}

/* What attach copies from a header. */
typedef struct bulkhead_i_identity {
  uint64_t cells, segment_cells, configuration;
  int is_gated;
} bulkhead_i_identity;

BULKHEAD_PRIVATE bulkhead_status bulkhead_i_check(
    const unsigned char *header, uint64_t file_bytes, uint32_t wanted_kind, const uint64_t *configuration,
    bulkhead_i_identity *identity, bulkhead_refusal *why) {
  uint64_t magic = bulkhead_i_acquire(header + BULKHEAD_OFFSET_MAGIC);
  uint32_t version = bulkhead_i_relaxed32(header + BULKHEAD_OFFSET_VERSION);
  uint32_t kind = bulkhead_i_relaxed32(header + BULKHEAD_OFFSET_KIND);
  uint32_t order = bulkhead_i_relaxed32(header + BULKHEAD_OFFSET_BYTE_ORDER);
  uint32_t cell_bytes = bulkhead_i_relaxed32(header + BULKHEAD_OFFSET_CELL_BYTES);
  uint64_t cells = bulkhead_i_relaxed(header + BULKHEAD_OFFSET_CELLS);
  uint64_t segment = bulkhead_i_relaxed(header + BULKHEAD_OFFSET_SEGMENT_CELLS);
  uint64_t data = bulkhead_i_relaxed(header + BULKHEAD_OFFSET_DATA_OFFSET);
  uint64_t bytes = bulkhead_i_relaxed(header + BULKHEAD_OFFSET_FILE_BYTES);
  uint64_t made_for = bulkhead_i_relaxed(header + BULKHEAD_OFFSET_CONFIGURATION);
  uint64_t wanted_bytes;
  if (magic == __builtin_bswap64(BULKHEAD_MAGIC)) {
    return bulkhead_i_refuse(why, BULKHEAD_BAD_BYTE_ORDER, magic, BULKHEAD_MAGIC);
  }
  if (magic != BULKHEAD_MAGIC) return bulkhead_i_refuse(why, BULKHEAD_NOT_A_RING, magic, BULKHEAD_MAGIC);
  if (version != BULKHEAD_LAYOUT_VERSION) {
    return bulkhead_i_refuse(why, BULKHEAD_OTHER_LAYOUT, version, BULKHEAD_LAYOUT_VERSION);
  }
  if (order != BULKHEAD_BYTE_ORDER_MARK) {
    return bulkhead_i_refuse(why, BULKHEAD_BAD_BYTE_ORDER, order, BULKHEAD_BYTE_ORDER_MARK);
  }
  /* A gated stream is laid out as any other: only who may hold it up differs. */
  identity->is_gated = kind == BULKHEAD_KIND_GATED_STREAM;
  if (kind != wanted_kind && !(identity->is_gated && wanted_kind == BULKHEAD_KIND_STREAM)) return bulkhead_i_refuse(why, BULKHEAD_BAD_KIND, kind, wanted_kind);
  if (cell_bytes != BULKHEAD_CELL_BYTES) {
    return bulkhead_i_refuse(why, BULKHEAD_BAD_CELL_BYTES, cell_bytes, BULKHEAD_CELL_BYTES);
  }
  if (cells < BULKHEAD_CELLS_MINIMUM || cells > BULKHEAD_CELLS_MAXIMUM || (cells & (cells - 1)) != 0) {
    return bulkhead_i_refuse(why, BULKHEAD_BAD_CELLS, cells, BULKHEAD_CELLS_MAXIMUM);
  }
  if (segment == 0 || (segment & (segment - 1)) != 0 || segment > cells / 4) {
    return bulkhead_i_refuse(why, BULKHEAD_BAD_SEGMENT_CELLS, segment, cells / 4);
  }
  if (data != BULKHEAD_HEADER_BYTES) {
    return bulkhead_i_refuse(why, BULKHEAD_BAD_DATA_OFFSET, data, BULKHEAD_HEADER_BYTES);
  }
  wanted_bytes = BULKHEAD_HEADER_BYTES + cells * BULKHEAD_CELL_BYTES;
  if (bytes != wanted_bytes) return bulkhead_i_refuse(why, BULKHEAD_BAD_FILE_BYTES, bytes, wanted_bytes);
  if (file_bytes != wanted_bytes) return bulkhead_i_refuse(why, BULKHEAD_BAD_FILE_BYTES, file_bytes, wanted_bytes);
  if (configuration != NULL && made_for != *configuration) {
    return bulkhead_i_refuse(why, BULKHEAD_OTHER_CONFIGURATION, made_for, *configuration);
  }
  identity->cells = cells;
  identity->segment_cells = segment;
  identity->configuration = made_for;
  return BULKHEAD_OK;
}

/* Maps a ring or table file read-only once its header is found right. Nothing behind the header is touched before. */
BULKHEAD_PRIVATE bulkhead_status bulkhead_i_attach(
    const char *path, uint32_t kind, const uint64_t *configuration, bulkhead_mapping *mapping,
    bulkhead_i_identity *identity, char *name, bulkhead_refusal *why) {
  struct stat status;
  bulkhead_mapping header;
  bulkhead_status result;
  int descriptor = bulkhead_i_open(path, O_RDONLY, BULKHEAD_HEADER_BYTES, BULKHEAD_NOT_A_RING, &status, why);
  if (descriptor < 0) return why->status;
  memset(&header, 0, sizeof header);
  result = bulkhead_i_map(descriptor, BULKHEAD_HEADER_BYTES, PROT_READ, &header, why);
  if (result == BULKHEAD_OK) {
    result = bulkhead_i_check(header.base, (uint64_t)status.st_size, kind, configuration, identity, why);
  }
  if (result == BULKHEAD_OK) {
    bulkhead_i_copy(name, header.base + BULKHEAD_OFFSET_NAME, BULKHEAD_NAME_BYTES);
    name[BULKHEAD_NAME_BYTES] = 0;
    result = bulkhead_i_map(descriptor, (size_t)status.st_size, PROT_READ, mapping, why);
    mapping->device = (uint64_t)status.st_dev;
    mapping->inode = (uint64_t)status.st_ino;
  }
  bulkhead_i_unmap(&header);
  close(descriptor);
  return result;
}

/* ---- Stream rings ---- */

BULKHEAD_PRIVATE const unsigned char *bulkhead_i_cell(const bulkhead_ring *ring, uint64_t position) {
  return ring->ring.base + BULKHEAD_HEADER_BYTES + (size_t)(position & ring->cell_mask) * BULKHEAD_CELL_BYTES;
}

/* Stamp: bits 63...24 lap + 1 (modulo 2^40), 23...16 kind (never 0), 15...0 payload bytes. */
BULKHEAD_PRIVATE int bulkhead_i_matches(const bulkhead_ring *ring, uint64_t stamp, uint64_t position) {
  return ((stamp ^ (((position >> ring->lap_shift) + 1) << 24)) >> 24) == 0 && (stamp & 0xFF0000) != 0;
}
BULKHEAD_PRIVATE uint64_t bulkhead_i_next_segment(const bulkhead_ring *ring, uint64_t position) {
  return (position | (ring->segment_cells - 1)) + 1;
}

/* Whether `claimed` lies where it must while the cell at `position` is whole: position < claimed <= position + cells.
 * The lower bound costs nothing and catches a claimed word that was set back. */
BULKHEAD_PRIVATE int bulkhead_i_holds(const bulkhead_ring *ring, uint64_t position, uint64_t claimed) {
  return claimed - position - 1 <= ring->cell_mask;
}

/* Everything read so far is read before the claim is. */
BULKHEAD_PRIVATE uint64_t bulkhead_i_claimed_after(const bulkhead_ring *ring) {
  bulkhead_i_acquire_fence();
  /* All ones, the mark of a retired file, hold no position. */
  return bulkhead_i_relaxed(ring->ring.base + BULKHEAD_OFFSET_CLAIMED) |
         bulkhead_i_relaxed(ring->ring.base + BULKHEAD_OFFSET_RETIRED);
}

BULKHEAD_PRIVATE bulkhead_status bulkhead_i_damaged(bulkhead_ring *ring, uint64_t published, uint64_t claimed) {
  ring->fatal = BULKHEAD_DAMAGED;
  return bulkhead_i_refuse(&ring->refusal, BULKHEAD_DAMAGED, published, claimed);
}

/* Reads the live words until they agree with one another: published < claimed <= published + cells, claimed at a
 * segment's end and ahead of this reader, a stamp below published. Words caught in the middle of a change agree a
 * moment later; words that never do are damaged. Sets *claimed. */
BULKHEAD_PRIVATE bulkhead_status bulkhead_i_settle(bulkhead_ring *ring, uint64_t *claimed) {
  const unsigned char *base = ring->ring.base;
  uint64_t before = 0, after = 0, claim = 0, cells = ring->cell_mask + 1;
  int attempt;
  for (attempt = 0; attempt < 1024; attempt++) {
    before = bulkhead_i_acquire(base + BULKHEAD_OFFSET_PUBLISHED);
    claim = bulkhead_i_acquire(base + BULKHEAD_OFFSET_CLAIMED);
    after = bulkhead_i_acquire(base + BULKHEAD_OFFSET_PUBLISHED);
    if (bulkhead_i_acquire(base + BULKHEAD_OFFSET_RETIRED) == UINT64_MAX) {
      ring->fatal = BULKHEAD_RETIRED;
      return bulkhead_i_refuse(&ring->refusal, BULKHEAD_RETIRED, before, claim);
    }
    if (bulkhead_i_acquire(base + BULKHEAD_OFFSET_RETIRED) != 0) continue;
    if (before >= claim || (claim > after && claim - after > cells)) continue;
    if ((claim & (ring->segment_cells - 1)) != 0 || claim <= ring->position) continue;
    if (bulkhead_i_holds(ring, ring->position, claim) && before > ring->position &&
        !bulkhead_i_matches(ring, bulkhead_i_relaxed(bulkhead_i_cell(ring, ring->position)), ring->position) &&
        bulkhead_i_holds(ring, ring->position, bulkhead_i_claimed_after(ring))) {
      continue;
    }
    *claimed = claim;
    return BULKHEAD_OK;
  }
  return bulkhead_i_damaged(ring, after, claim);
}

/* Whether a record starts at `target`: 1 yes, 0 no, -1 it was overwritten meanwhile. Walks the stamps from the start
 * of its segment, which is always a record's start, or from the published position if that lies before. */
BULKHEAD_PRIVATE int bulkhead_i_is_boundary(const bulkhead_ring *ring, uint64_t target) {
  uint64_t walk = target & ~(ring->segment_cells - 1);
  uint64_t published = bulkhead_i_acquire(ring->ring.base + BULKHEAD_OFFSET_PUBLISHED);
  if (walk > published) walk = published;
  if (target - walk > ring->cell_mask) return 0;
  while (walk < target) {
    uint64_t stamp = bulkhead_i_acquire(bulkhead_i_cell(ring, walk));
    uint64_t claimed = bulkhead_i_claimed_after(ring);
    if (!bulkhead_i_holds(ring, walk, claimed)) return claimed > walk ? -1 : 0;
    if (!bulkhead_i_matches(ring, stamp, walk)) return 0;
    if (((stamp >> 16) & 0xFF) == BULKHEAD_PAD_RECORD) {
      walk = bulkhead_i_next_segment(ring, walk);
    } else {
      walk += ((stamp & 0xFFFF) + 71) >> 6;
    }
  }
  return walk == target;
}

/* Unmaps what is mapped. The handle may be attached again. */
BULKHEAD_API void bulkhead_detach(bulkhead_ring *ring) {
  bulkhead_i_unmap(&ring->ring);
  bulkhead_i_unmap(&ring->cursor);
}

/* Tells the cursor page how far this reader is; a successor of the same name starts there. Nothing without one. */
BULKHEAD_API void bulkhead_report_position(bulkhead_ring *ring) {
  if (ring->cursor.base != NULL) bulkhead_i_store(ring->cursor.base + BULKHEAD_CURSOR_OFFSET_POSITION, ring->position);
}

/* Moves the reader. `position` counts only with FROM_POSITION and may be any that bulkhead_position returned, in
 * this process or an earlier one: if the ring holds it no longer, the next poll says LAPPED with the exact range.
 * Returns OK, POSITION (no record starts there; the reader stays), NO_CURSOR, DAMAGED, ARGUMENT or DETACHED. */
BULKHEAD_API bulkhead_status bulkhead_start(bulkhead_ring *ring, bulkhead_from from, uint64_t position) {
  uint64_t claimed, oldest, target, before = ring->position;
  bulkhead_status result = BULKHEAD_OK;
  int boundary, attempt;
  if (ring->ring.base == NULL) return bulkhead_i_refuse(&ring->refusal, BULKHEAD_DETACHED, 0, 0);
  if (ring->fatal != BULKHEAD_OK) return ring->fatal;
  if (from == BULKHEAD_FROM_CURSOR) {
    if (ring->cursor.base == NULL) return bulkhead_i_refuse(&ring->refusal, BULKHEAD_NO_CURSOR, 0, 0);
    position = bulkhead_i_relaxed(ring->cursor.base + BULKHEAD_CURSOR_OFFSET_POSITION);
  } else if (from != BULKHEAD_FROM_OLDEST && from != BULKHEAD_FROM_NEWEST && from != BULKHEAD_FROM_POSITION) {
    return bulkhead_i_refuse(&ring->refusal, BULKHEAD_ARGUMENT, (uint64_t)from, 0);
  }
  ring->position = 0; /* not a position to hold the live words against */
  for (attempt = 0;; attempt++) {
    result = bulkhead_i_settle(ring, &claimed);
    if (result != BULKHEAD_OK) break;
    oldest = claimed > ring->cell_mask + 1 ? claimed - ring->cell_mask - 1 : 0;
    target = position;
    if (from == BULKHEAD_FROM_OLDEST) target = oldest;
    if (from == BULKHEAD_FROM_NEWEST) target = bulkhead_i_acquire(ring->ring.base + BULKHEAD_OFFSET_PUBLISHED);
    boundary = target < oldest ? 1 : bulkhead_i_is_boundary(ring, target);
    if (boundary > 0) {
      ring->position = target;
      break;
    }
    if (boundary < 0 && attempt < 1024) continue; /* overwritten while it was looked at: look again */
    /* A cursor that no reader of this ring can have left is not believed. */
    if (from == BULKHEAD_FROM_CURSOR) {
      from = BULKHEAD_FROM_OLDEST;
      continue;
    }
    result = from == BULKHEAD_FROM_POSITION ? bulkhead_i_refuse(&ring->refusal, BULKHEAD_POSITION, target, 0)
                                            : bulkhead_i_damaged(ring, target, claimed);
    break;
  }
  if (result != BULKHEAD_OK) {
    ring->position = before;
    return result;
  }
  ring->fruitless = 0;
  bulkhead_report_position(ring);
  return BULKHEAD_OK;
}

/* Maps the stream ring at `path` read-only and starts behind its newest record. `configuration` points to the hash
 * that the ring must carry; NULL accepts any. Writes the handle without reading it, so an attached one is to be
 * detached first. Whatever is returned, the handle may be given to bulkhead_detach, and bulkhead_why to
 * bulkhead_explain. */
BULKHEAD_API bulkhead_status bulkhead_attach(bulkhead_ring *ring, const char *path, const uint64_t *configuration) {
  bulkhead_i_identity identity;
  bulkhead_status result;
  memset(ring, 0, sizeof *ring);
  memset(&identity, 0, sizeof identity);
  if (path == NULL) return bulkhead_i_refuse(&ring->refusal, BULKHEAD_ARGUMENT, 0, 0);
  result = bulkhead_i_attach(
      path, BULKHEAD_KIND_STREAM, configuration, &ring->ring, &identity, ring->name, &ring->refusal);
  if (result != BULKHEAD_OK) return result;
  ring->cell_mask = identity.cells - 1;
  ring->lap_shift = (uint64_t)__builtin_ctzll(identity.cells);
  ring->segment_cells = identity.segment_cells;
  ring->configuration = identity.configuration;
  ring->is_gated = identity.is_gated;
  ring->epoch = bulkhead_i_acquire(ring->ring.base + BULKHEAD_OFFSET_EPOCH);
  result = bulkhead_start(ring, BULKHEAD_FROM_NEWEST, 0);
  if (result != BULKHEAD_OK) bulkhead_detach(ring);
  return result;
}

/* Why there is no record to hand out. `claimed` was read behind everything else. */
BULKHEAD_PRIVATE bulkhead_status bulkhead_i_nothing(
    bulkhead_ring *ring, uint64_t stamp, uint64_t claimed, bulkhead_record *record) {
  bulkhead_status result;
  if (bulkhead_i_holds(ring, ring->position, claimed)) {
    /* A stamp that is of this lap and still no record: too long for its segment, or padding where none can be. */
    if (bulkhead_i_matches(ring, stamp, ring->position)) {
      return bulkhead_i_damaged(ring, bulkhead_i_relaxed(ring->ring.base + BULKHEAD_OFFSET_PUBLISHED), claimed);
    }
    /* The published word changes with each batch: a look now and then finds damage and leaves its line alone. */
    if ((++ring->fruitless & 63) != 0) return BULKHEAD_EMPTY;
    result = bulkhead_i_settle(ring, &claimed);
    return result == BULKHEAD_OK ? BULKHEAD_EMPTY : result;
  }
  result = bulkhead_i_settle(ring, &claimed);
  if (result != BULKHEAD_OK) return result;
  if (bulkhead_i_holds(ring, ring->position, claimed)) return BULKHEAD_EMPTY;
  ring->fruitless = 0;
  record->lost_from = ring->position;
  record->lost_to = record->position = ring->position = claimed - ring->cell_mask - 1;
  if (ring->cursor.base != NULL) {
    bulkhead_i_add(ring->cursor.base + BULKHEAD_CURSOR_OFFSET_LAPS, 1);
    bulkhead_i_add(ring->cursor.base + BULKHEAD_CURSOR_OFFSET_LOST_CELLS, record->lost_to - record->lost_from);
    bulkhead_report_position(ring);
  }
  return BULKHEAD_LAPPED;
}

BULKHEAD_PRIVATE bulkhead_status bulkhead_i_epoch_changed(
    bulkhead_ring *ring, uint64_t epoch, bulkhead_record *record) {
  uint64_t claimed;
  bulkhead_status result = bulkhead_i_settle(ring, &claimed);
  if (result != BULKHEAD_OK) return result;
  if (epoch < ring->epoch) {
    return bulkhead_i_damaged(ring, bulkhead_i_relaxed(ring->ring.base + BULKHEAD_OFFSET_PUBLISHED), claimed);
  }
  record->epoch_from = ring->epoch;
  record->epoch = ring->epoch = epoch;
  return BULKHEAD_EPOCH_CHANGED;
}

/* Copies the next record, if there is one, to `buffer` (`capacity` bytes; bulkhead_record_bytes_limit is always
 * enough) and moves on behind it. The copy is checked after it was made: what is returned was never overwritten in
 * between. A lap, a new producer and damage are outcomes of their own, and the next poll goes on from there.
 * EPOCH_CHANGED comes no later than the new producer's first record; records of the old one may follow it.
 * Returns OK, EMPTY, LAPPED, EPOCH_CHANGED, SMALL_BUFFER, DAMAGED or DETACHED. `record` is always written. */
BULKHEAD_API bulkhead_status bulkhead_poll(
    bulkhead_ring *ring, void *buffer, size_t capacity, bulkhead_record *record) {
  uint64_t stamp, epoch, claimed, room;
  uint32_t kind, bytes;
  const unsigned char *here;
  memset(record, 0, sizeof *record);
  record->epoch = ring->epoch;
  record->position = ring->position;
  if (ring->fatal != BULKHEAD_OK) return ring->fatal;
  if (ring->ring.base == NULL) return bulkhead_i_refuse(&ring->refusal, BULKHEAD_DETACHED, 0, 0);
  for (;;) {
    here = bulkhead_i_cell(ring, ring->position);
    stamp = bulkhead_i_acquire(here);
    /* A producer raises the epoch before anything of its own is visible, so this load sees it with the stamp. */
    epoch = bulkhead_i_relaxed(ring->ring.base + BULKHEAD_OFFSET_EPOCH);
    if (epoch != ring->epoch) return bulkhead_i_epoch_changed(ring, epoch, record);
    if (!bulkhead_i_matches(ring, stamp, ring->position)) {
      return bulkhead_i_nothing(ring, stamp, bulkhead_i_claimed_after(ring), record);
    }
    kind = (uint32_t)(stamp >> 16) & 0xFF;
    bytes = (uint32_t)stamp & 0xFFFF;
    if (kind != BULKHEAD_PAD_RECORD) break;
    /* Padding fills the rest of a segment, so it never starts one: this loop ends. */
    claimed = bulkhead_i_claimed_after(ring);
    if (!bulkhead_i_holds(ring, ring->position, claimed) || (ring->position & (ring->segment_cells - 1)) == 0) {
      return bulkhead_i_nothing(ring, stamp, claimed, record);
    }
    ring->position = bulkhead_i_next_segment(ring, ring->position);
  }
  room = (ring->segment_cells - (ring->position & (ring->segment_cells - 1))) * BULKHEAD_CELL_BYTES;
  if (bytes > room - BULKHEAD_STAMP_BYTES || bytes > capacity) {
    claimed = bulkhead_i_claimed_after(ring);
    if (!bulkhead_i_holds(ring, ring->position, claimed) || bytes > room - BULKHEAD_STAMP_BYTES) {
      return bulkhead_i_nothing(ring, stamp, claimed, record);
    }
    record->bytes = bytes;
    record->kind = (uint8_t)kind;
    return bulkhead_i_refuse(&ring->refusal, BULKHEAD_SMALL_BUFFER, bytes, capacity);
  }
  bulkhead_i_copy(buffer, here + BULKHEAD_STAMP_BYTES, bytes);
  claimed = bulkhead_i_claimed_after(ring);
  if (!bulkhead_i_holds(ring, ring->position, claimed)) return bulkhead_i_nothing(ring, stamp, claimed, record);
  record->position = ring->position;
  record->bytes = bytes;
  record->kind = (uint8_t)kind;
  ring->position += (bytes + 71) >> 6;
  ring->fruitless = 0;
  return BULKHEAD_OK;
}

/* Position of the record that the next poll reads. With it another process can start where this one stopped. */
BULKHEAD_API uint64_t bulkhead_position(const bulkhead_ring *ring) { return ring->position; }
/* Longest payload that this ring can carry. */
BULKHEAD_API uint32_t bulkhead_record_bytes_limit(const bulkhead_ring *ring) {
  uint64_t bytes = ring->segment_cells * BULKHEAD_CELL_BYTES;
  if (bytes > BULKHEAD_RECORD_BYTES_MAXIMUM) return BULKHEAD_RECORD_BYTES_MAXIMUM;
  return bytes == 0 ? 0 : (uint32_t)bytes - BULKHEAD_STAMP_BYTES;
}
BULKHEAD_PRIVATE uint64_t bulkhead_i_live(const bulkhead_ring *ring, uint32_t offset) {
  return ring->ring.base == NULL ? 0 : bulkhead_i_acquire(ring->ring.base + offset);
}
/* Cells published so far. Less the position: how far this reader lags, in cells. */
BULKHEAD_API uint64_t bulkhead_published(const bulkhead_ring *ring) {
  return bulkhead_i_live(ring, BULKHEAD_OFFSET_PUBLISHED);
}
/* The oldest position that is still whole: always a record's start. */
BULKHEAD_API uint64_t bulkhead_oldest(const bulkhead_ring *ring) {
  uint64_t claimed = bulkhead_i_live(ring, BULKHEAD_OFFSET_CLAIMED);
  return claimed > ring->cell_mask + 1 ? claimed - ring->cell_mask - 1 : 0;
}
/* The producer's incarnation, 0 before the first; its process; that process's start in clock ticks since boot, which
 * tells it from a stranger who got its number. */
BULKHEAD_API uint64_t bulkhead_epoch(const bulkhead_ring *ring) { return bulkhead_i_live(ring, BULKHEAD_OFFSET_EPOCH); }
BULKHEAD_API uint64_t bulkhead_producer_pid(const bulkhead_ring *ring) {
  return bulkhead_i_live(ring, BULKHEAD_OFFSET_PRODUCER_PID);
}
BULKHEAD_API uint64_t bulkhead_producer_start(const bulkhead_ring *ring) {
  return bulkhead_i_live(ring, BULKHEAD_OFFSET_PRODUCER_START);
}
/* The ring's name in the topology, and the hash of the configuration that it was made for. */
BULKHEAD_API const char *bulkhead_name(const bulkhead_ring *ring) { return ring->name; }
BULKHEAD_API uint64_t bulkhead_configuration(const bulkhead_ring *ring) { return ring->configuration; }
/* Why the last call was refused. */
BULKHEAD_API const bulkhead_refusal *bulkhead_why(const bulkhead_ring *ring) { return &ring->refusal; }

/* 1 when `path` no longer names the file that is mapped: the set was started anew, and what this handle reads will
 * stay as it is for ever. Detach and attach again. Costs a system call; ask when the ring has been quiet. */
BULKHEAD_API int bulkhead_is_replaced(const bulkhead_ring *ring, const char *path) {
  struct stat status;
  if (ring->ring.base == NULL || stat(path, &status) != 0) return 1;
  return (uint64_t)status.st_dev != ring->ring.device || (uint64_t)status.st_ino != ring->ring.inode;
}

/* ---- Cursor page: coming back, being seen, sleeping ---- */

/* Becomes the reader `reader` of the ring at `path` (the path that was attached): maps
 * <path without .ring>.<reader>.cursor read-write. The page exists when the topology names the reader, and the
 * producer wakes only those. One process at a time may be that reader. Goes where the reader of that page last was
 * (as FROM_CURSOR), or to the oldest record when there never was one. */
BULKHEAD_API bulkhead_status bulkhead_open_cursor(bulkhead_ring *ring, const char *path, const char *reader) {
  char page[4096];
  struct stat status;
  bulkhead_mapping cursor;
  bulkhead_status result;
  size_t stem = path == NULL ? 0 : strlen(path);
  int descriptor, length;
  uint64_t found, was_used;
  if (ring->ring.base == NULL) return bulkhead_i_refuse(&ring->refusal, BULKHEAD_DETACHED, 0, 0);
  if (ring->is_gated) {
    return bulkhead_i_refuse(&ring->refusal, BULKHEAD_BAD_KIND, BULKHEAD_KIND_GATED_STREAM, BULKHEAD_KIND_STREAM);
  }
  if (stem == 0 || stem >= sizeof page || reader == NULL || reader[0] == 0 || strchr(reader, '/') != NULL) {
    return bulkhead_i_refuse(&ring->refusal, BULKHEAD_ARGUMENT, 0, 0);
  }
  if (stem >= 5 && memcmp(path + stem - 5, ".ring", 5) == 0) stem -= 5;
  length = snprintf(page, sizeof page, "%.*s.%s.cursor", (int)stem, path, reader);
  if (length < 0 || (size_t)length >= sizeof page) {
    return bulkhead_i_refuse(&ring->refusal, BULKHEAD_ARGUMENT, 0, 0);
  }
  descriptor =
      bulkhead_i_open(page, O_RDWR, BULKHEAD_CURSOR_BYTES, BULKHEAD_NOT_A_CURSOR, &status, &ring->refusal);
  if (descriptor < 0) return ring->refusal.status;
  memset(&cursor, 0, sizeof cursor);
  result = bulkhead_i_map(descriptor, BULKHEAD_CURSOR_BYTES, PROT_READ | PROT_WRITE, &cursor, &ring->refusal);
  close(descriptor);
  if (result != BULKHEAD_OK) return result;
  found = bulkhead_i_acquire(cursor.base);
  if (found != BULKHEAD_CURSOR_MAGIC) {
    bulkhead_i_unmap(&cursor);
    return bulkhead_i_refuse(&ring->refusal, BULKHEAD_NOT_A_CURSOR, found, BULKHEAD_CURSOR_MAGIC);
  }
  found = bulkhead_i_relaxed(cursor.base + BULKHEAD_CURSOR_OFFSET_VERSION);
  if (found != BULKHEAD_CURSOR_VERSION) {
    bulkhead_i_unmap(&cursor);
    return bulkhead_i_refuse(&ring->refusal, BULKHEAD_OTHER_LAYOUT, found, BULKHEAD_CURSOR_VERSION);
  }
  bulkhead_i_unmap(&ring->cursor);
  ring->cursor = cursor;
  was_used = bulkhead_i_relaxed(cursor.base + BULKHEAD_CURSOR_OFFSET_READER_PID);
  bulkhead_i_store(cursor.base + BULKHEAD_CURSOR_OFFSET_READER_PID, (uint64_t)getpid());
  /* A reader that died asleep must not cost the producer a wake for each batch. */
  bulkhead_i_store(cursor.base + BULKHEAD_CURSOR_OFFSET_SLEEPING, 0);
  syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
  return bulkhead_start(ring, was_used != 0 ? BULKHEAD_FROM_CURSOR : BULKHEAD_FROM_OLDEST, 0);
}

/* First half of a sleep: announces it, so that from here on the producer wakes this reader. Returns OK and sets
 * *word, the value to wait on at bulkhead_park_word; READY when a poll would return more than EMPTY; DAMAGED, or
 * NO_CURSOR without a cursor page. The announcement stands only with OK.
 *
 * The announcement carries the published position that this reader has seen. The producer stores `published`, then
 * loads `sleeping`, without a fence between; the barrier that keeps the two in order is this reader's membarrier,
 * which the kernel runs on the producer's core. So either the producer sees the announcement, or this reader sees
 * the record. */
BULKHEAD_API bulkhead_status bulkhead_prepare_to_park(bulkhead_ring *ring, uint32_t *word) {
  uint64_t ticket, stamp, claimed;
  bulkhead_status found;
  if (ring->fatal != BULKHEAD_OK) return ring->fatal;
  if (ring->cursor.base == NULL) return bulkhead_i_refuse(&ring->refusal, BULKHEAD_NO_CURSOR, 0, 0);
  *word = (uint32_t)bulkhead_i_acquire(ring->ring.base + BULKHEAD_OFFSET_PUBLISHED);
  ticket = (bulkhead_i_relaxed(ring->cursor.base + BULKHEAD_CURSOR_OFFSET_LAST_TICKET) + 1) & 0xFFFFFFFFu;
  bulkhead_i_store(ring->cursor.base + BULKHEAD_CURSOR_OFFSET_LAST_TICKET, ticket);
  bulkhead_i_store(
      ring->cursor.base + BULKHEAD_CURSOR_OFFSET_SLEEPING, (ticket == 0 ? 1 : ticket) << 32 | *word);
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) != 0) {
    ring->barrier_refused = 1;
    bulkhead_i_full_fence();
  }
  stamp = bulkhead_i_acquire(bulkhead_i_cell(ring, ring->position));
  claimed = bulkhead_i_claimed_after(ring);
  if (bulkhead_i_matches(ring, stamp, ring->position) || !bulkhead_i_holds(ring, ring->position, claimed) ||
      bulkhead_i_relaxed(ring->ring.base + BULKHEAD_OFFSET_EPOCH) != ring->epoch) {
    found = BULKHEAD_READY;
  } else {
    found = bulkhead_i_settle(ring, &claimed);
  }
  if (found != BULKHEAD_OK) bulkhead_i_store(ring->cursor.base + BULKHEAD_CURSOR_OFFSET_SLEEPING, 0);
  return found;
}

/* Withdraws the announcement after a sleep. */
BULKHEAD_API void bulkhead_finish_park(bulkhead_ring *ring) {
  if (ring->cursor.base != NULL) bulkhead_i_store(ring->cursor.base + BULKHEAD_CURSOR_OFFSET_SLEEPING, 0);
}

/* The futex word of the ring: the low half of the published position. To wait on several rings, use it with
 * futex_waitv between bulkhead_prepare_to_park and bulkhead_finish_park of each. */
BULKHEAD_API const void *bulkhead_park_word(const bulkhead_ring *ring) {
  return ring->ring.base == NULL ? NULL : ring->ring.base + BULKHEAD_OFFSET_PUBLISHED;
}

/* Sleeps until a record comes in, a signal does, or `nanoseconds` (not negative) have passed. Reports the position
 * first. Returns OK when a poll is worth while, EMPTY after the time was up, NO_CURSOR, DAMAGED or ARGUMENT. */
BULKHEAD_API bulkhead_status bulkhead_park(bulkhead_ring *ring, int64_t nanoseconds) {
  struct timespec limit;
  uint32_t word = 0;
  bulkhead_status found;
  long slept;
  int timed_out;
  if (nanoseconds < 0) return bulkhead_i_refuse(&ring->refusal, BULKHEAD_ARGUMENT, (uint64_t)nanoseconds, 0);
  bulkhead_report_position(ring);
  found = bulkhead_prepare_to_park(ring, &word);
  if (found != BULKHEAD_OK) return found < 0 ? found : BULKHEAD_OK;
  /* Without the barrier a wake-up can be missed, at the price of one short sleep. */
  if (ring->barrier_refused && nanoseconds > 1000000) nanoseconds = 1000000;
  limit.tv_sec = nanoseconds / 1000000000;
  limit.tv_nsec = nanoseconds % 1000000000;
  slept = syscall(SYS_futex, bulkhead_park_word(ring), FUTEX_WAIT, word, &limit, NULL, 0);
  timed_out = slept != 0 && errno == ETIMEDOUT;
  bulkhead_finish_park(ring);
  return timed_out ? BULKHEAD_EMPTY : BULKHEAD_OK;
}

/* For readers without a cursor page, between two fruitless polls. */
BULKHEAD_API void bulkhead_yield(void) { sched_yield(); }

/* ---- Tables: the last value per key ---- */

/* Maps the table at `path` read-only. As bulkhead_attach. */
BULKHEAD_API bulkhead_status bulkhead_table_attach(
    bulkhead_table *table, const char *path, const uint64_t *configuration) {
  bulkhead_i_identity identity;
  bulkhead_status result;
  memset(table, 0, sizeof *table);
  memset(&identity, 0, sizeof identity);
  if (path == NULL) return bulkhead_i_refuse(&table->refusal, BULKHEAD_ARGUMENT, 0, 0);
  result = bulkhead_i_attach(
      path, BULKHEAD_KIND_TABLE, configuration, &table->table, &identity, table->name, &table->refusal);
  if (result != BULKHEAD_OK) return result;
  table->entries = identity.cells;
  table->configuration = identity.configuration;
  return BULKHEAD_OK;
}

BULKHEAD_API void bulkhead_table_detach(bulkhead_table *table) { bulkhead_i_unmap(&table->table); }
/* Keys are 0 ..< this. */
BULKHEAD_API uint64_t bulkhead_table_entries(const bulkhead_table *table) { return table->entries; }
BULKHEAD_API const bulkhead_refusal *bulkhead_table_why(const bulkhead_table *table) { return &table->refusal; }

/* Copies the value of `key`, BULKHEAD_TABLE_VALUE_BYTES bytes. Tries a bounded number of times and never waits.
 * Returns VALUE, ABSENT (also for a key outside the table), BUSY or DETACHED; `value` counts only with VALUE. */
BULKHEAD_API bulkhead_status bulkhead_table_read(const bulkhead_table *table, uint64_t key, void *value) {
  const unsigned char *entry;
  uint64_t before;
  int attempt;
  if (table->table.base == NULL) return BULKHEAD_DETACHED;
  if (key >= table->entries) return BULKHEAD_ABSENT;
  entry = table->table.base + BULKHEAD_HEADER_BYTES + (size_t)key * BULKHEAD_CELL_BYTES;
  for (attempt = 0; attempt < 64; attempt++) {
    before = bulkhead_i_acquire(entry);
    if (before == 0) return BULKHEAD_ABSENT;
    if ((before & 1) != 0) continue;
    bulkhead_i_copy(value, entry + 8, BULKHEAD_TABLE_VALUE_BYTES);
    bulkhead_i_acquire_fence();
    if (bulkhead_i_relaxed(entry) == before) return BULKHEAD_VALUE;
  }
  return BULKHEAD_BUSY;
}

/* ---- What the records say (Sources/StageRecords) ---- */

#define BULKHEAD_ASSERT_FIELD(type, field, offset) \
  BULKHEAD_STATIC_ASSERT(offsetof(type, field) == (offset), #type "." #field " lies elsewhere")

/* Record kinds of the ring `book`. */
typedef enum bulkhead_event_kind {
  BULKHEAD_EVENT_DEFINITION = 1, BULKHEAD_EVENT_ORDER_ADD = 2, BULKHEAD_EVENT_ORDER_REDUCE = 3,
  BULKHEAD_EVENT_ORDER_DELETE = 4, BULKHEAD_EVENT_ORDER_EXECUTE = 5, BULKHEAD_EVENT_LEVEL = 6,
  BULKHEAD_EVENT_BEST_PRICES = 7, BULKHEAD_EVENT_TRADE = 8, BULKHEAD_EVENT_TRADE_BROKEN = 9,
  BULKHEAD_EVENT_TRADING_STATE = 10, BULKHEAD_EVENT_NOTICE = 11, BULKHEAD_EVENT_TRUST = 12,
  BULKHEAD_EVENT_GAP = 13, BULKHEAD_EVENT_END_OF_SESSION = 14
} bulkhead_event_kind;

/* Bits of bulkhead_event.flags. */
#define BULKHEAD_FLAG_SELL 0x01u          /* sell side; clear: buy side, or no side */
#define BULKHEAD_FLAG_LAST 0x02u          /* last event of its venue message */
#define BULKHEAD_FLAG_STALE 0x04u         /* the instrument's book is not to be trusted at this event */
#define BULKHEAD_FLAG_REPLACE 0x08u       /* the delete and the add that together replace an order */
#define BULKHEAD_FLAG_NOT_PRINTABLE 0x10u /* an execution that the venue marks as not printable */

/* The 32 bytes in front of every book event's body. (channel, sequence, index) is the event's identity. Prices are in
 * the venue's units (ITCH: 1/10000). */
typedef struct bulkhead_event {
  uint64_t sequence;     /* venue sequence number of the message that caused the event */
  uint64_t venue_time;   /* the venue's stamp (ITCH: ns since midnight) */
  uint64_t receive_time; /* stamp of the packet, ns since the Unix epoch */
  uint32_t instrument;   /* venue instrument number; 0: the whole channel */
  uint16_t index;        /* position among the events of this message, from 0 */
  uint8_t channel;       /* channel number of the topology */
  uint8_t flags;         /* BULKHEAD_FLAG_... */
} bulkhead_event;
BULKHEAD_ASSERT_FIELD(bulkhead_event, sequence, 0);
BULKHEAD_ASSERT_FIELD(bulkhead_event, venue_time, 8);
BULKHEAD_ASSERT_FIELD(bulkhead_event, receive_time, 16);
BULKHEAD_ASSERT_FIELD(bulkhead_event, instrument, 24);
BULKHEAD_ASSERT_FIELD(bulkhead_event, index, 28);
BULKHEAD_ASSERT_FIELD(bulkhead_event, channel, 30);
BULKHEAD_ASSERT_FIELD(bulkhead_event, flags, 31);
BULKHEAD_STATIC_ASSERT(sizeof(bulkhead_event) == 32, "the event header is 32 bytes");

typedef struct bulkhead_order { /* ORDER_ADD; ORDER_DELETE: quantity that was left */
  uint64_t reference;
  int64_t price;
  uint64_t quantity;
} bulkhead_order;
BULKHEAD_ASSERT_FIELD(bulkhead_order, reference, 0);
BULKHEAD_ASSERT_FIELD(bulkhead_order, price, 8);
BULKHEAD_ASSERT_FIELD(bulkhead_order, quantity, 16);

typedef struct bulkhead_level { /* LEVEL: aggregate after the event; size 0: the level is gone */
  int64_t price;
  uint64_t size;
  uint32_t orders, zero;
} bulkhead_level;
BULKHEAD_ASSERT_FIELD(bulkhead_level, price, 0);
BULKHEAD_ASSERT_FIELD(bulkhead_level, size, 8);
BULKHEAD_ASSERT_FIELD(bulkhead_level, orders, 16);

/* A value of the table `best_prices`, keyed by instrument. The body of BEST_PRICES is its first four fields. An empty
 * side has price 0 and size 0. */
typedef struct bulkhead_best_prices {
  int64_t bid_price;
  uint64_t bid_size;
  int64_t ask_price;
  uint64_t ask_size;
  uint64_t sequence, venue_time, flags;
} bulkhead_best_prices;
BULKHEAD_ASSERT_FIELD(bulkhead_best_prices, bid_price, 0);
BULKHEAD_ASSERT_FIELD(bulkhead_best_prices, bid_size, 8);
BULKHEAD_ASSERT_FIELD(bulkhead_best_prices, ask_price, 16);
BULKHEAD_ASSERT_FIELD(bulkhead_best_prices, ask_size, 24);
BULKHEAD_ASSERT_FIELD(bulkhead_best_prices, sequence, 32);
BULKHEAD_ASSERT_FIELD(bulkhead_best_prices, venue_time, 40);
BULKHEAD_ASSERT_FIELD(bulkhead_best_prices, flags, 48);
BULKHEAD_STATIC_ASSERT(sizeof(bulkhead_best_prices) == BULKHEAD_TABLE_VALUE_BYTES, "a table value is 56 bytes");

typedef struct bulkhead_trade { /* TRADE */
  int64_t price;
  uint64_t quantity, match;
  uint8_t type, printable, zero[6];
} bulkhead_trade;
BULKHEAD_ASSERT_FIELD(bulkhead_trade, price, 0);
BULKHEAD_ASSERT_FIELD(bulkhead_trade, quantity, 8);
BULKHEAD_ASSERT_FIELD(bulkhead_trade, match, 16);
BULKHEAD_ASSERT_FIELD(bulkhead_trade, type, 24);
BULKHEAD_ASSERT_FIELD(bulkhead_trade, printable, 25);

typedef struct bulkhead_trust { /* TRUST: state 0 live, 1 stale: do not trade on it */
  uint8_t state, reason, zero[6];
  uint64_t first, last;
} bulkhead_trust;
BULKHEAD_ASSERT_FIELD(bulkhead_trust, state, 0);
BULKHEAD_ASSERT_FIELD(bulkhead_trust, reason, 1);
BULKHEAD_ASSERT_FIELD(bulkhead_trust, first, 8);
BULKHEAD_ASSERT_FIELD(bulkhead_trust, last, 16);

/* Decodes the header of a book event that was polled, `bytes` long. Returns 0 if it is too short to be one. */
BULKHEAD_API int bulkhead_decode_event(const void *payload, size_t bytes, bulkhead_event *event) {
  if (bytes < sizeof *event) return 0;
  memcpy(event, payload, sizeof *event);
  return 1;
}

/* Decodes the body behind the header into one of the structs above: its `body_bytes`, or what of them the record
 * has, the rest zero. Returns 0 if there is no body at all. */
BULKHEAD_API int bulkhead_decode_body(const void *payload, size_t bytes, void *body, size_t body_bytes) {
  memset(body, 0, body_bytes);
  if (bytes <= sizeof(bulkhead_event)) return 0;
  bytes -= sizeof(bulkhead_event);
  memcpy(body, (const unsigned char *)payload + sizeof(bulkhead_event), bytes < body_bytes ? bytes : body_bytes);
  return 1;
}

#ifdef BULKHEAD_SHARED
/* How much room a caller that cannot see the structs has to reserve, aligned to 8 bytes. */
BULKHEAD_API size_t bulkhead_ring_bytes(void) { return sizeof(bulkhead_ring); }
BULKHEAD_API size_t bulkhead_table_bytes(void) { return sizeof(bulkhead_table); }
#endif

#ifdef __cplusplus
}
#endif
#endif
