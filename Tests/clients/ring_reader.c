/* Reads rings and tables through bulkhead.h and says on standard output what it found: one JSON object a line, a
 * line "." after the last of each command. Commands come on standard input, one a line; CReaderTests sends them.
 * Tests/clients/ring_reader.py answers the same commands through ctypes. */
#include "bulkhead.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define NUMBER_FACTOR UINT64_C(0x9E3779B97F4A7C15)
#define NUMBER_INVERSE UINT64_C(0xF1DE83E19937733D)
#define END_KIND 254

static bulkhead_ring ring;
static bulkhead_table table;
static char ring_path[512];
static unsigned char *buffer;
static size_t capacity;
static bulkhead_record record;
static int has_record;

static void answer(int status) { printf("{\"status\":\"%s\"}\n", bulkhead_status_name(status)); }

static void answer_refusal(int status, const bulkhead_refusal *why) {
  char text[400];
  bulkhead_explain(why, text, sizeof text);
  printf("{\"status\":\"%s\",\"text\":\"%s\"}\n", bulkhead_status_name(status), status < 0 ? text : "");
}

static uint64_t hash_of(const unsigned char *bytes, size_t count) {
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (size_t i = 0; i < count; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001B3);
  return hash;
}

/* No access behind or before the ring's mapping goes unnoticed: the pages beside it, where free, may not be read. */
static void guard_mapping(void) {
  unsigned char *end = ring.ring.base + ((ring.ring.bytes + 4095) & ~(size_t)4095);
#ifndef MAP_ANONYMOUS
  const int MAP_ANONYMOUS = 0x20;
#endif
  const int fixed_no_replace = 0x100000;
  mmap(end, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | fixed_no_replace, -1, 0);
  mmap(ring.ring.base - 65536, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | fixed_no_replace, -1, 0);
}

static void set_buffer(size_t bytes) {
  free(buffer);
  buffer = malloc(bytes == 0 ? 1 : bytes);
  capacity = bytes;
}

static void attach(const char *path, const char *configuration) {
  uint64_t expected = configuration == NULL ? 0 : strtoull(configuration, NULL, 16);
  bulkhead_detach(&ring);
  snprintf(ring_path, sizeof ring_path, "%s", path);
  int status = bulkhead_attach(&ring, path, configuration == NULL ? NULL : &expected);
  if (status == BULKHEAD_OK) {
    guard_mapping();
    set_buffer(bulkhead_record_bytes_limit(&ring));
  }
  answer_refusal(status, bulkhead_why(&ring));
}

static void start(const char *from, const char *position) {
  bulkhead_from where = strcmp(from, "oldest") == 0   ? BULKHEAD_FROM_OLDEST
                        : strcmp(from, "newest") == 0 ? BULKHEAD_FROM_NEWEST
                        : strcmp(from, "cursor") == 0 ? BULKHEAD_FROM_CURSOR
                                                      : BULKHEAD_FROM_POSITION;
  int status = bulkhead_start(&ring, where, position == NULL ? 0 : strtoull(position, NULL, 10));
  answer_refusal(status, bulkhead_why(&ring));
}

static void poll_records(long count) {
  for (long i = 0; i < count; i++) {
    int status = bulkhead_poll(&ring, buffer, capacity, &record);
    has_record = status == BULKHEAD_OK;
    switch (status) {
      case BULKHEAD_OK:
        printf("{\"status\":\"OK\",\"position\":%" PRIu64 ",\"kind\":%u,\"bytes\":%u,\"hash\":\"%016" PRIx64 "\"}\n",
               record.position, record.kind, record.bytes, hash_of(buffer, record.bytes));
        break;
      case BULKHEAD_LAPPED:
        printf("{\"status\":\"LAPPED\",\"from\":%" PRIu64 ",\"to\":%" PRIu64 "}\n", record.lost_from, record.lost_to);
        break;
      case BULKHEAD_EPOCH_CHANGED:
        printf("{\"status\":\"EPOCH_CHANGED\",\"from\":%" PRIu64 ",\"to\":%" PRIu64 "}\n", record.epoch_from,
               record.epoch);
        break;
      case BULKHEAD_EMPTY: answer(status); return;
      default: answer_refusal(status, bulkhead_why(&ring)); return;
    }
  }
}

static void information(void) {
  printf("{\"position\":%" PRIu64 ",\"published\":%" PRIu64 ",\"oldest\":%" PRIu64 ",\"epoch\":%" PRIu64
         ",\"pid\":%" PRIu64 ",\"start\":%" PRIu64 ",\"limit\":%u,\"name\":\"%s\",\"configuration\":\"%016" PRIx64
         "\",\"replaced\":%d}\n",
         bulkhead_position(&ring), bulkhead_published(&ring), bulkhead_oldest(&ring), bulkhead_epoch(&ring),
         bulkhead_producer_pid(&ring), bulkhead_producer_start(&ring), bulkhead_record_bytes_limit(&ring),
         bulkhead_name(&ring), bulkhead_configuration(&ring), bulkhead_is_replaced(&ring, ring_path));
}

/* The number from which every word of a payload is derived; 0 in *whole if the words disagree. */
static uint64_t number_of(const unsigned char *bytes, size_t count, int *whole) {
  uint64_t first, word;
  *whole = count >= 8 && count % 8 == 0;
  if (!*whole) return 0;
  memcpy(&first, bytes, 8);
  for (size_t offset = 8; offset < count; offset += 8) {
    memcpy(&word, bytes + offset, 8);
    if (word != first + offset) *whole = 0;
  }
  return first * NUMBER_INVERSE;
}

/* What a reader at full speed saw. */
struct summary {
  uint64_t records, torn, backwards, skipped, overlaps, laps, lost_cells, epochs, parks, late, last;
  int status;
};

/* Reads numbered records until one of kind END_KIND, checking each. `wait`: spin, yield or park. */
static struct summary follow(bulkhead_ring *from, unsigned char *into, size_t room, const char *wait) {
  struct summary saw = {0};
  bulkhead_record found;
  uint64_t expected = 0, end = 0;
  int lost = 1, timed_out = 0, whole;
  for (;;) {
    int status = bulkhead_poll(from, into, room, &found);
    if (status == BULKHEAD_OK) {
      uint64_t number = number_of(into, found.bytes, &whole);
      /* A sleep that ran into its limit although a record had come is a lost wake-up. */
      if (timed_out) saw.late++;
      timed_out = 0;
      if (!whole) {
        saw.torn++;
      } else if (number < expected) {
        saw.backwards++;
      } else if (number > expected && !lost) {
        saw.skipped++;
      }
      if (found.position < end) saw.overlaps++;
      end = found.position + (found.bytes + 71) / 64;
      lost = 0;
      expected = number + 1;
      saw.last = number;
      saw.records++;
      if (found.kind == END_KIND) break;
    } else if (status == BULKHEAD_EMPTY) {
      timed_out = 0;
      if (strcmp(wait, "park") == 0) {
        saw.parks++;
        status = bulkhead_park(from, INT64_C(2000000000));
        timed_out = status == BULKHEAD_EMPTY;
        if (status < 0) {
          saw.status = status;
          break;
        }
      } else if (strcmp(wait, "yield") == 0) {
        bulkhead_yield();
      }
    } else if (status == BULKHEAD_LAPPED) {
      if (found.lost_from < end || found.lost_to <= found.lost_from) saw.overlaps++;
      saw.laps++;
      saw.lost_cells += found.lost_to - found.lost_from;
      end = found.lost_to;
      lost = 1;
    } else if (status == BULKHEAD_EPOCH_CHANGED) {
      saw.epochs++;
    } else {
      saw.status = status;
      break;
    }
  }
  bulkhead_report_position(from);
  return saw;
}

static void print_summary(const struct summary *saw) {
  printf("{\"status\":\"%s\",\"records\":%" PRIu64 ",\"torn\":%" PRIu64 ",\"backwards\":%" PRIu64 ",\"skipped\":%" PRIu64
         ",\"overlaps\":%" PRIu64 ",\"laps\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"epochs\":%" PRIu64 ",\"parks\":%" PRIu64
         ",\"late\":%" PRIu64 ",\"last\":%" PRIu64 "}\n",
         bulkhead_status_name(saw->status), saw->records, saw->torn, saw->backwards, saw->skipped, saw->overlaps,
         saw->laps, saw->lost_cells, saw->epochs, saw->parks, saw->late, saw->last);
}

static void load(uint64_t key) {
  uint64_t words[7] = {0};
  int status = bulkhead_table_read(&table, key, words);
  printf("{\"status\":\"%s\",\"words\":[", bulkhead_status_name(status));
  for (int i = 0; i < 7 && status == BULKHEAD_VALUE; i++) printf("%s%" PRIu64, i == 0 ? "" : ",", words[i]);
  printf("]}\n");
}

/* Reads one entry until its first word is `last`; word k of value n is n + k. */
static void watch(uint64_t key, uint64_t last) {
  uint64_t words[7] = {0}, newest = 0, values = 0, torn = 0, backwards = 0, busy = 0;
  while (newest != last) {
    int status = bulkhead_table_read(&table, key, words);
    if (status == BULKHEAD_BUSY) busy++;
    if (status < 0) break;
    if (status != BULKHEAD_VALUE) continue;
    values++;
    for (uint64_t i = 1; i < 7; i++) {
      if (words[i] != words[0] + i) torn++;
    }
    if (words[0] < newest) backwards++;
    newest = words[0];
  }
  printf("{\"status\":\"OK\",\"records\":%" PRIu64 ",\"torn\":%" PRIu64 ",\"backwards\":%" PRIu64 ",\"busy\":%" PRIu64
         "}\n", values, torn, backwards, busy);
}

/* The last record that was polled, as a book event. */
static void event(void) {
  bulkhead_event header;
  uint64_t body[7];
  if (!has_record || !bulkhead_decode_event(buffer, record.bytes, &header)) {
    answer(BULKHEAD_ARGUMENT);
    return;
  }
  printf("{\"status\":\"OK\",\"kind\":%u,\"event\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%u,%u,%u,%u],\"words\":[",
         record.kind, header.sequence, header.venue_time, header.receive_time, header.instrument, header.index,
         header.channel, header.flags);
  int count = 0;
  if (record.kind == BULKHEAD_EVENT_ORDER_ADD || record.kind == BULKHEAD_EVENT_ORDER_DELETE) {
    bulkhead_order order;
    bulkhead_decode_body(buffer, record.bytes, &order, sizeof order);
    body[0] = order.reference, body[1] = (uint64_t)order.price, body[2] = order.quantity, count = 3;
  } else if (record.kind == BULKHEAD_EVENT_LEVEL) {
    bulkhead_level level;
    bulkhead_decode_body(buffer, record.bytes, &level, sizeof level);
    body[0] = (uint64_t)level.price, body[1] = level.size, body[2] = level.orders, count = 3;
  } else if (record.kind == BULKHEAD_EVENT_BEST_PRICES) {
    bulkhead_best_prices best;
    bulkhead_decode_body(buffer, record.bytes, &best, 32);
    body[0] = (uint64_t)best.bid_price, body[1] = best.bid_size;
    body[2] = (uint64_t)best.ask_price, body[3] = best.ask_size, count = 4;
  } else if (record.kind == BULKHEAD_EVENT_TRADE) {
    bulkhead_trade trade;
    bulkhead_decode_body(buffer, record.bytes, &trade, sizeof trade);
    body[0] = (uint64_t)trade.price, body[1] = trade.quantity, body[2] = trade.match;
    body[3] = trade.type, body[4] = trade.printable, count = 5;
  } else if (record.kind == BULKHEAD_EVENT_TRUST) {
    bulkhead_trust trust;
    bulkhead_decode_body(buffer, record.bytes, &trust, sizeof trust);
    body[0] = trust.state, body[1] = trust.reason, body[2] = trust.first, body[3] = trust.last, count = 4;
  }
  for (int i = 0; i < count; i++) printf("%s%" PRIu64, i == 0 ? "" : ",", body[i]);
  printf("]}\n");
}

#define CONSTANT(name) printf("{\"name\":\"%s\",\"value\":%" PRIu64 "}\n", #name, (uint64_t)(name))

static void layout(void) {
  CONSTANT(BULKHEAD_MAGIC), CONSTANT(BULKHEAD_LAYOUT_VERSION), CONSTANT(BULKHEAD_BYTE_ORDER_MARK);
  CONSTANT(BULKHEAD_HEADER_BYTES), CONSTANT(BULKHEAD_CELL_BYTES), CONSTANT(BULKHEAD_STAMP_BYTES);
  CONSTANT(BULKHEAD_NAME_BYTES), CONSTANT(BULKHEAD_CELLS_MINIMUM), CONSTANT(BULKHEAD_CELLS_MAXIMUM);
  CONSTANT(BULKHEAD_RECORD_BYTES_MAXIMUM), CONSTANT(BULKHEAD_OFFSET_MAGIC), CONSTANT(BULKHEAD_OFFSET_VERSION);
  CONSTANT(BULKHEAD_OFFSET_KIND), CONSTANT(BULKHEAD_OFFSET_BYTE_ORDER), CONSTANT(BULKHEAD_OFFSET_CELL_BYTES);
  CONSTANT(BULKHEAD_OFFSET_CELLS), CONSTANT(BULKHEAD_OFFSET_SEGMENT_CELLS), CONSTANT(BULKHEAD_OFFSET_DATA_OFFSET);
  CONSTANT(BULKHEAD_OFFSET_FILE_BYTES), CONSTANT(BULKHEAD_OFFSET_CONFIGURATION), CONSTANT(BULKHEAD_OFFSET_NAME);
  CONSTANT(BULKHEAD_OFFSET_PUBLISHED), CONSTANT(BULKHEAD_OFFSET_CLAIMED), CONSTANT(BULKHEAD_OFFSET_RETIRED),
  CONSTANT(BULKHEAD_OFFSET_EPOCH);
  CONSTANT(BULKHEAD_OFFSET_PRODUCER_PID), CONSTANT(BULKHEAD_OFFSET_PRODUCER_START);
  CONSTANT(BULKHEAD_OFFSET_RECORDS), CONSTANT(BULKHEAD_OFFSET_BATCHES), CONSTANT(BULKHEAD_KIND_STREAM), CONSTANT(BULKHEAD_KIND_GATED_STREAM);
  CONSTANT(BULKHEAD_KIND_TABLE), CONSTANT(BULKHEAD_PAD_RECORD), CONSTANT(BULKHEAD_TABLE_VALUE_BYTES);
  CONSTANT(BULKHEAD_CURSOR_MAGIC), CONSTANT(BULKHEAD_CURSOR_VERSION), CONSTANT(BULKHEAD_CURSOR_BYTES);
  CONSTANT(BULKHEAD_CURSOR_OFFSET_VERSION), CONSTANT(BULKHEAD_CURSOR_OFFSET_READER_PID);
  CONSTANT(BULKHEAD_CURSOR_OFFSET_POSITION), CONSTANT(BULKHEAD_CURSOR_OFFSET_LAPS);
  CONSTANT(BULKHEAD_CURSOR_OFFSET_LOST_CELLS), CONSTANT(BULKHEAD_CURSOR_OFFSET_SLEEPING);
  CONSTANT(BULKHEAD_CURSOR_OFFSET_LAST_TICKET), CONSTANT(sizeof(bulkhead_event));
  CONSTANT(offsetof(bulkhead_event, sequence)), CONSTANT(offsetof(bulkhead_event, venue_time));
  CONSTANT(offsetof(bulkhead_event, receive_time)), CONSTANT(offsetof(bulkhead_event, instrument));
  CONSTANT(offsetof(bulkhead_event, index)), CONSTANT(offsetof(bulkhead_event, channel));
  CONSTANT(offsetof(bulkhead_event, flags)), CONSTANT(BULKHEAD_FLAG_SELL), CONSTANT(BULKHEAD_FLAG_LAST);
  CONSTANT(BULKHEAD_FLAG_STALE), CONSTANT(BULKHEAD_FLAG_REPLACE), CONSTANT(BULKHEAD_FLAG_NOT_PRINTABLE);
  CONSTANT(BULKHEAD_EVENT_DEFINITION), CONSTANT(BULKHEAD_EVENT_ORDER_ADD), CONSTANT(BULKHEAD_EVENT_ORDER_REDUCE);
  CONSTANT(BULKHEAD_EVENT_ORDER_DELETE), CONSTANT(BULKHEAD_EVENT_ORDER_EXECUTE), CONSTANT(BULKHEAD_EVENT_LEVEL);
  CONSTANT(BULKHEAD_EVENT_BEST_PRICES), CONSTANT(BULKHEAD_EVENT_TRADE), CONSTANT(BULKHEAD_EVENT_TRADE_BROKEN);
  CONSTANT(BULKHEAD_EVENT_TRADING_STATE), CONSTANT(BULKHEAD_EVENT_NOTICE), CONSTANT(BULKHEAD_EVENT_TRUST);
  CONSTANT(BULKHEAD_EVENT_GAP), CONSTANT(BULKHEAD_EVENT_END_OF_SESSION);
}

static void statuses(void) {
#define STATUS(name, value, text) \
  printf("{\"status\":\"%s\",\"name\":\"%s\",\"text\":\"%s\"}\n", #name, bulkhead_status_name(value), \
         bulkhead_strerror(value));
  BULKHEAD_STATUSES(STATUS)
#undef STATUS
}

/* ---- A writer in this process, so that ThreadSanitizer sees both sides of the protocol ---- */

struct writer {
  unsigned char *base;
  uint64_t cells, segment, records;
};

static void put(void *word, uint64_t value, int order) { __atomic_store_n((uint64_t *)word, value, order); }

static void *write_records(void *context) {
  const struct writer *writer = context;
  unsigned char *data = writer->base + BULKHEAD_HEADER_BYTES;
  uint64_t position = 0, claimed = writer->segment, mask = writer->cells - 1;
  for (uint64_t number = 0; number < writer->records; number++) {
    /* One record of one to three cells a batch, within a segment of four. */
    uint64_t cells = 1 + number % 3, bytes = cells * 64 - 8, left = writer->segment - position % writer->segment;
    uint64_t start = cells > left ? position + left : position, end = start + cells;
    unsigned char *cell = data + (start & mask) * 64;
    if (end + 1 > claimed) {
      claimed = (end + writer->segment) / writer->segment * writer->segment;
      put(writer->base + BULKHEAD_OFFSET_CLAIMED, claimed, __ATOMIC_RELAXED);
      bulkhead_i_full_fence();
    }
    for (uint64_t offset = 0; offset < bytes; offset += 8) {
      put(cell + 8 + offset, number * NUMBER_FACTOR + offset, __ATOMIC_RELAXED);
    }
    uint64_t kind = number + 1 == writer->records ? END_KIND : 1;
    uint64_t stamp = (start / writer->cells + 1) << 24 | kind << 16 | bytes;
    put(data + (end & mask) * 64, 0, __ATOMIC_RELAXED);
    if (start != position) {
      put(cell, stamp, __ATOMIC_RELAXED);
      stamp = (position / writer->cells + 1) << 24 | BULKHEAD_PAD_RECORD << 16;
    }
    put(data + (position & mask) * 64, stamp, __ATOMIC_RELEASE);
    put(writer->base + BULKHEAD_OFFSET_PUBLISHED, end, __ATOMIC_RELEASE);
    position = end;
    /* So that the readers are lapped now and then, and not all the time. */
    if (number % 8 == 7) sched_yield();
  }
  return NULL;
}

static void *read_records(void *context) {
  bulkhead_ring own;
  unsigned char room[512];
  struct summary *saw = context;
  saw->status = bulkhead_attach(&own, ring_path, NULL);
  if (saw->status == BULKHEAD_OK) saw->status = bulkhead_start(&own, BULKHEAD_FROM_OLDEST, 0);
  if (saw->status == BULKHEAD_OK) *saw = follow(&own, room, sizeof room, "yield");
  bulkhead_detach(&own);
  return NULL;
}

/* One writer and two readers over the new ring at `path`, which has segments of four cells. */
static void race(const char *path, uint64_t records) {
  bulkhead_ring shape;
  struct writer writer;
  struct summary saw[2] = {{0}, {0}};
  pthread_t threads[3];
  snprintf(ring_path, sizeof ring_path, "%s", path);
  int status = bulkhead_attach(&shape, path, NULL);
  int descriptor = open(path, O_RDWR);
  if (status != BULKHEAD_OK || descriptor < 0) {
    answer(status);
    return;
  }
  writer.base = mmap(NULL, shape.ring.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  writer.cells = shape.cell_mask + 1;
  writer.segment = shape.segment_cells;
  writer.records = records;
  close(descriptor);
  pthread_create(&threads[0], NULL, read_records, &saw[0]);
  pthread_create(&threads[1], NULL, read_records, &saw[1]);
  pthread_create(&threads[2], NULL, write_records, &writer);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  munmap(writer.base, shape.ring.bytes);
  bulkhead_detach(&shape);
  print_summary(&saw[0]);
  print_summary(&saw[1]);
}

static int run(char *line) {
  char *words[4] = {NULL, NULL, NULL, NULL};
  char *rest = line;
  for (int i = 0; i < 4; i++) words[i] = strtok_r(rest, " \n", &rest);
  const char *command = words[0] == NULL ? "" : words[0], *first = words[1], *second = words[2];
  uint64_t number = first == NULL ? 0 : strtoull(first, NULL, 10);
  if (strcmp(command, "attach") == 0 && first != NULL) {
    attach(first, second);
  } else if (strcmp(command, "detach") == 0) {
    bulkhead_detach(&ring);
  } else if (strcmp(command, "cursor") == 0 && first != NULL) {
    answer_refusal(bulkhead_open_cursor(&ring, ring_path, first), bulkhead_why(&ring));
  } else if (strcmp(command, "start") == 0 && first != NULL) {
    start(first, second);
  } else if (strcmp(command, "buffer") == 0) {
    set_buffer(number);
  } else if (strcmp(command, "poll") == 0) {
    poll_records((long)number);
  } else if (strcmp(command, "info") == 0) {
    information();
  } else if (strcmp(command, "report") == 0) {
    bulkhead_report_position(&ring);
  } else if (strcmp(command, "follow") == 0 && first != NULL) {
    struct summary saw = follow(&ring, buffer, capacity, first);
    print_summary(&saw);
  } else if (strcmp(command, "park") == 0) {
    answer_refusal(bulkhead_park(&ring, (int64_t)number), bulkhead_why(&ring));
  } else if (strcmp(command, "prepare") == 0) {
    uint32_t word = 0;
    int status = bulkhead_prepare_to_park(&ring, &word);
    printf("{\"status\":\"%s\",\"value\":%u}\n", bulkhead_status_name(status), word);
  } else if (strcmp(command, "finish") == 0) {
    bulkhead_finish_park(&ring);
  } else if (strcmp(command, "table") == 0 && first != NULL) {
    bulkhead_table_detach(&table);
    answer_refusal(bulkhead_table_attach(&table, first, NULL), bulkhead_table_why(&table));
  } else if (strcmp(command, "load") == 0) {
    load(number);
  } else if (strcmp(command, "watch") == 0 && second != NULL) {
    watch(number, strtoull(second, NULL, 10));
  } else if (strcmp(command, "event") == 0) {
    event();
  } else if (strcmp(command, "layout") == 0) {
    layout();
  } else if (strcmp(command, "statuses") == 0) {
    statuses();
  } else if (strcmp(command, "race") == 0 && second != NULL) {
    race(first, strtoull(second, NULL, 10));
  } else {
    return 0;
  }
  puts(".");
  fflush(stdout);
  return 1;
}

int main(void) {
  char line[1024];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (!run(line)) return 64;
  }
  bulkhead_detach(&ring);
  bulkhead_table_detach(&table);
  free(buffer);
  return 0;
}
