/* Many clients of the published stream in one process (docs/PUBLISH_PROTOCOL.md): connects, asks, checks the chain of every
   connection, counts, and prints one line of JSON. Knows the wire format and nothing else.

     cc -O2 -std=c11 -Wall -Wextra -Werror -o swarm swarm.c -lxxhash
     swarm --port P [--clients N] [--request JSON]... [--seconds S] [--stall K] [--trickle K] [--storm S] [--digest]
           [--latency] [--record FILE] [--connect-every MS] [--events N] [--retry MS]

   Requests go round: client i sends request i mod their number. It ends when every connection has ended, when each that
   reads has seen the end of the session (or N events), or after S seconds. The first K clients (--stall) read nothing once
   they have subscribed, the next K (--trickle) a byte a second. --storm: after S seconds all drop and come back at once.
   --retry: who was refused or cut tries again about so much later, up to twice. --digest: XXH64 over the canonical
   encoding of all events (docs/DIGESTS.md), of each client that asks for the past. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { max_requests = 8, read_bytes = 1 << 18 };

typedef struct {
  int fd;
  int state; /* 0 not connected, 1 handshake, 2 open, 3 ended */
  int index;
  uint8_t *buffer;
  size_t used, room;
  uint64_t chain, frames, events, bytes, texts;
  uint64_t sequence;
  uint16_t event_index;
  uint64_t violations, caught_up, errors, skipped;
  int status, close_code;
  bool subscribed, session_ended, stalls, trickles, refused, cut;
  double opened, closed, retry_at, settled;
  XXH64_state_t *digest;
} client;

static client *clients;
static int client_count = 1, port, stall_count, trickle_count, open_count, peak_open, done_count;
static uint64_t refusals, cuts;
static const char *requests[max_requests];
static int request_count;
static bool want_digest, want_latency;
static uint64_t want_events;
static double seconds = 60, storm_at, connect_every, retry;
static FILE *record;
static int poller;
static double started;
static unsigned seed = 1;
static uint64_t *latencies;
static size_t latency_count, latency_room;
static char first_error[2048], first_close[64];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t wall(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t number(const uint8_t *p, int count) {
  uint64_t value = 0;
  for (int i = count - 1; i >= 0; i--) value = value << 8 | p[i];
  return value;
}

static void end(client *c) {
  if (c->state == 3) return;
  if (c->state != 0) close(c->fd);
  if (c->state == 2) open_count--;
  c->state = 3;
  c->closed = now() - started;
  c->retry_at = 0;
  refusals += c->refused;
  cuts += c->cut;
  if (retry > 0 && (c->refused || c->cut)) c->retry_at = now() + retry * (0.5 + (double)(rand_r(&seed) % 1000) / 667);
  done_count++;
}

static void start(client *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) {
    perror("socket");
    exit(1);
  }
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (c->stalls || c->trickles) {
    int small = 4096;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }
  c->state = 1;
  c->used = 0;
  c->chain = 0;
  c->sequence = 0;
  c->event_index = 0;
  c->subscribed = c->session_ended = false;
  c->status = c->close_code = 0;
  c->events = 0;
  c->refused = c->cut = false;
  if (c->digest) XXH64_reset(c->digest, 0);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
    end(c);
    return;
  }
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void watch_input(client *c, bool on) {
  struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void send_handshake(client *c) {
  static const char text[] =
      "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Protocol: bulkhead.v1.bin\r\n\r\n";
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0 || send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL) < 0) {
    c->cut = true;
    end(c);
    return;
  }
  watch_input(c, true);
}

static void send_frame(client *c, int opcode, const void *payload, size_t count) {
  uint8_t frame[4096 + 16] = {(uint8_t)(0x80 | opcode)};
  size_t at = 2;
  if (count > 4096) exit(1);
  if (count < 126) {
    frame[1] = (uint8_t)(0x80 | count);
  } else {
    frame[1] = 0x80 | 126;
    frame[2] = (uint8_t)(count >> 8);
    frame[3] = (uint8_t)count;
    at = 4;
  }
  /* A mask of zeros is a mask. */
  memset(frame + at, 0, 4);
  memcpy(frame + at + 4, payload, count);
  if (send(c->fd, frame, at + 4 + count, MSG_NOSIGNAL) < 0) end(c);
}

static void take_event(client *c, const uint8_t *entry) {
  uint16_t length = (uint16_t)number(entry, 2);
  uint8_t kind = entry[2];
  const uint8_t *event = entry + 8;
  uint64_t sequence = number(event, 8);
  uint16_t index = (uint16_t)number(event + 28, 2);
  if (c->events && (sequence < c->sequence || (sequence == c->sequence && index <= c->event_index))) c->violations++;
  c->sequence = sequence;
  c->event_index = index;
  c->events++;
  if (kind == 14) c->session_ended = true;
  if (want_latency) {
    uint64_t stamp = number(event + 16, 8), here = wall();
    if (latency_count < latency_room && stamp != 0) latencies[latency_count++] = here > stamp ? here - stamp : 0;
  }
  if (c->digest) {
    uint8_t head[32];
    memcpy(head, event, 32);
    memset(head + 16, 0, 8);
    head[16] = kind;
    head[18] = (uint8_t)(length - 32);
    head[19] = (uint8_t)((length - 32) >> 8);
    XXH64_update(c->digest, head, 32);
    XXH64_update(c->digest, event + 32, length - 32u);
  }
}

static void take_binary(client *c, const uint8_t *p, size_t count) {
  c->frames++;
  if (record && c->index == 0) {
    uint32_t size = (uint32_t)count;
    fwrite(&size, 4, 1, record);
    fwrite(p, 1, count, record);
  }
  if (count < 32 || number(p, 2) != 0x4B42) {
    c->violations++;
    return;
  }
  uint64_t sequence = number(p + 16, 8), previous = number(p + 24, 8);
  if (previous != c->chain) c->violations++;
  c->chain = sequence;
  int template = (int)number(p + 4, 2);
  if (template != 1 && template != 7) return;
  /* What a heartbeat has passed does not come any more. */
  if (template == 1 && count >= 48 && number(p + 40, 8) < previous) c->violations++;
  if (!c->digest && !want_latency && template == 1 && !want_events) {
    /* The end of the session is the last entry of its frame. */
    c->events += number(p + 14, 2);
    if (count >= 32 + 56 && p[count - 56 + 2] == 14 && number(p + count - 56, 2) == 48) c->session_ended = true;
    return;
  }
  size_t at = 32 + number(p + 2, 2);
  for (uint64_t left = number(p + 14, 2); left > 0; left--) {
    size_t length = at + 2 <= count ? number(p + at, 2) : 0;
    if (length < 32 || at + 8 + length > count) {
      c->violations++;
      return;
    }
    take_event(c, p + at);
    at += (8 + length + 7) & ~(size_t)7;
  }
}

static void take_text(client *c, const char *p, size_t count) {
  c->texts++;
  if (memmem(p, count, "\"type\":\"hello\"", 14)) {
    const char *text = requests[c->index % request_count];
    send_frame(c, 1, text, strlen(text));
  } else if (memmem(p, count, "\"type\":\"subscribed\"", 19)) {
    c->subscribed = true;
  } else if (memmem(p, count, "\"type\":\"caught_up\"", 18)) {
    c->caught_up++;
    c->settled = now() - started;
  } else if (memmem(p, count, "\"type\":\"skipped\"", 16)) {
    c->skipped++;
  } else if (memmem(p, count, "\"type\":\"error\"", 14)) {
    c->errors++;
    if (!first_error[0]) snprintf(first_error, sizeof first_error, "%.*s", (int)(count < 2000 ? count : 2000), p);
  }
}

/* What is whole of the bytes received; the rest stays. */
static void parse(client *c) {
  size_t at = 0;
  if (c->state == 1) {
    uint8_t *finish = memmem(c->buffer, c->used, "\r\n\r\n", 4);
    if (!finish) return;
    c->status = c->used > 12 ? atoi((char *)c->buffer + 9) : 0;
    if (c->status != 101) {
      c->refused = true;
      end(c);
      return;
    }
    at = (size_t)(finish - c->buffer) + 4;
    c->state = 2;
    c->opened = now() - started;
    if (++open_count > peak_open) peak_open = open_count;
  }
  while (c->state == 2 && c->used - at >= 2) {
    uint8_t *p = c->buffer + at;
    uint64_t count = p[1] & 0x7F;
    size_t head = 2;
    if (count == 126) {
      if (c->used - at < 4) break;
      count = (uint64_t)p[2] << 8 | p[3];
      head = 4;
    } else if (count == 127) {
      if (c->used - at < 10) break;
      count = 0;
      for (int i = 2; i < 10; i++) count = count << 8 | p[i];
      head = 10;
    }
    if (c->used - at < head + count) break;
    int opcode = p[0] & 0x0F;
    if (opcode == 2) take_binary(c, p + head, count);
    if (opcode == 1) take_text(c, (char *)p + head, count);
    if (opcode == 9) send_frame(c, 10, p + head, count);
    if (opcode == 8) {
      c->close_code = count >= 2 ? p[head] << 8 | p[head + 1] : 1005;
      if (!first_close[0] && count > 2)
        snprintf(first_close, sizeof first_close, "%.*s", (int)(count - 2), (char *)p + head + 2);
      send_frame(c, 8, p + head, count);
      end(c);
      return;
    }
    at += head + count;
  }
  if (c->state == 2 && (c->stalls || c->trickles) && c->subscribed) watch_input(c, false);
  memmove(c->buffer, c->buffer + at, c->used - at);
  c->used -= at;
}

static void receive(client *c, size_t most) {
  if (c->room - c->used < most) {
    c->room = c->used + most + 4096;
    c->buffer = realloc(c->buffer, c->room);
    if (!c->buffer) exit(1);
  }
  ssize_t count = recv(c->fd, c->buffer + c->used, most, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    c->cut = c->close_code == 0;
    end(c);
    return;
  }
  c->used += (size_t)count;
  c->bytes += (size_t)count;
  parse(c);
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static uint64_t part(double share) {
  return latency_count ? latencies[(size_t)((double)(latency_count - 1) * share)] : 0;
}

static void report(double elapsed, int admitted_first) {
  uint64_t frames = 0, events = 0, bytes = 0, violations = 0, caught_up = 0, errors = 0, texts = 0, skipped = 0;
  int refused = 0, cut = 0, ended = 0, closed_4004 = 0, closed_other = 0, admitted = 0, equal = 0, reading = 0;
  double last_open = 0, stalled_closed = 0, settled = 0;
  uint64_t digest = 0;
  bool has_digest = false;
  for (int i = 0; i < client_count; i++) {
    client *c = &clients[i];
    bool slow = c->stalls || c->trickles;
    frames += slow ? 0 : c->frames;
    events += slow ? 0 : c->events;
    bytes += slow ? 0 : c->bytes;
    texts += c->texts;
    violations += c->violations;
    caught_up += c->caught_up;
    skipped += c->skipped;
    errors += c->errors;
    refused += c->refused;
    cut += c->cut;
    ended += c->session_ended;
    admitted += c->status == 101;
    closed_4004 += c->close_code == 4004;
    closed_other += c->close_code != 0 && c->close_code != 4004;
    if (c->opened > last_open) last_open = c->opened;
    if (c->status == 101 && c->settled > settled) settled = c->settled;
    if (slow && c->closed > stalled_closed) stalled_closed = c->closed;
    if (c->digest && c->status == 101 && !slow) {
      uint64_t value = XXH64_digest(c->digest);
      reading++;
      if (!has_digest) digest = value;
      has_digest = true;
      equal += value == digest;
    }
  }
  qsort(latencies, latency_count, sizeof *latencies, compare);
  printf("{\"clients\":%d,\"admitted\":%d,\"admitted_first\":%d,\"peak_open\":%d,\"refusals\":%llu,\"cuts\":%llu,\"refused\":%d,\"cut\":%d,\"session_ended\":%d,"
         "\"closed_4004\":%d,\"closed_other\":%d,\"violations\":%llu,\"errors\":%llu,\"caught_up\":%llu,"
         "\"skipped\":%llu,\"frames\":%llu,\"events\":%llu,\"bytes\":%llu,\"texts\":%llu,\"seconds\":%.6f,"
         "\"storm_over\":%.6f,\"last_open\":%.6f,\"slow_closed\":%.6f,",
         client_count, admitted, admitted_first, peak_open, (unsigned long long)refusals, (unsigned long long)cuts, refused, cut, ended, closed_4004, closed_other,
         (unsigned long long)violations, (unsigned long long)errors, (unsigned long long)caught_up,
         (unsigned long long)skipped, (unsigned long long)frames, (unsigned long long)events,
         (unsigned long long)bytes, (unsigned long long)texts, elapsed, storm_at > 0 ? settled - storm_at : 0, last_open, stalled_closed);
  if (has_digest)
    printf("\"digest\":\"%016llx\",\"digests_equal\":%d,\"digests\":%d,", (unsigned long long)digest, equal, reading);
  if (want_latency)
    printf("\"latency_ns\":{\"count\":%zu,\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu},", latency_count,
           (unsigned long long)part(.5), (unsigned long long)part(.99), (unsigned long long)part(.999),
           (unsigned long long)part(1));
  printf("\"first_error\":%s,\"first_close\":\"%s\"}\n", first_error[0] ? first_error : "null", first_close);
}

static void options(int count, char **words) {
  for (int i = 1; i < count; i++) {
    const char *name = words[i];
    if (!strcmp(name, "--digest")) { want_digest = true; continue; }
    if (!strcmp(name, "--latency")) { want_latency = true; continue; }
    const char *value = i + 1 < count ? words[++i] : "";
    if (!strcmp(name, "--port")) port = atoi(value);
    else if (!strcmp(name, "--clients")) client_count = atoi(value);
    else if (!strcmp(name, "--seconds")) seconds = atof(value);
    else if (!strcmp(name, "--stall")) stall_count = atoi(value);
    else if (!strcmp(name, "--trickle")) trickle_count = atoi(value);
    else if (!strcmp(name, "--storm")) storm_at = atof(value);
    else if (!strcmp(name, "--events")) want_events = strtoull(value, 0, 10);
    else if (!strcmp(name, "--connect-every")) connect_every = atof(value) / 1000;
    else if (!strcmp(name, "--retry")) retry = atof(value) / 1000;
    else if (!strcmp(name, "--record")) record = fopen(value, "wb");
    else if (!strcmp(name, "--request") && request_count < max_requests) requests[request_count++] = value;
    else {
      fprintf(stderr, "swarm: unknown option %s\n", name);
      exit(64);
    }
  }
  if (request_count == 0)
    requests[request_count++] = "{\"op\":\"subscribe\",\"id\":1,\"symbols\":\"*\",\"channels\":[\"orders\",\"levels\","
                                "\"bbo\",\"trades\",\"status\",\"defs\"],\"start\":\"live\"}";
}

int main(int count, char **words) {
  options(count, words);
  signal(SIGPIPE, SIG_IGN);
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  poller = epoll_create1(EPOLL_CLOEXEC);
  clients = calloc((size_t)client_count, sizeof *clients);
  latency_room = want_latency ? 4000000 : 0;
  latencies = calloc(latency_room + 1, sizeof *latencies);
  if (!clients || !latencies) return 1;
  started = now();
  int next = 0, admitted_first = 0;
  double last_trickle = started, first_frame = 0, last_frame = 0;
  for (int i = 0; i < client_count; i++) {
    clients[i].index = i;
    clients[i].stalls = i < stall_count;
    clients[i].trickles = i >= stall_count && i < stall_count + trickle_count;
    if (want_digest && strstr(requests[i % request_count], "\"seq\"")) clients[i].digest = XXH64_createState();
  }
  bool stormed = storm_at == 0;
  while (now() - started < seconds) {
    double here = now() - started;
    while (next < client_count && here >= next * connect_every) start(&clients[next++]);
    if (!stormed && here >= storm_at) {
      stormed = true;
      admitted_first = open_count;
      for (int i = 0; i < client_count; i++) {
        client *c = &clients[i];
        if (c->state == 1 || c->state == 2) close(c->fd);
        c->caught_up = 0;
        c->errors = 0;
      }
      open_count = done_count = 0;
      for (int i = 0; i < client_count; i++) start(&clients[i]);
    }
    bool again = false;
    for (int i = 0; retry > 0 && i < next; i++) {
      client *c = &clients[i];
      if (c->state != 3 || c->retry_at == 0) continue;
      again = true;
      if (now() >= c->retry_at) {
        done_count--;
        start(c);
      }
    }
    int active = 0, finished = 0;
    for (int i = 0; i < client_count; i++) {
      client *c = &clients[i];
      if (c->stalls || c->trickles || c->state == 3) continue;
      active++;
      finished += c->session_ended || (want_events && c->events >= want_events);
    }
    if (next == client_count && stormed && !again && done_count == client_count) break;
    /* Those that do not read cannot see that they were closed. */
    if (next == client_count && stormed && active > 0 && finished == active) break;
    if (trickle_count > 0 && now() - last_trickle >= 1) {
      last_trickle = now();
      for (int i = 0; i < client_count; i++)
        if (clients[i].trickles && clients[i].state == 2) receive(&clients[i], 1);
    }
    /* Whoever stalls finds out that it was closed only by looking: half a second apart, without reading. */
    for (int i = 0; i < stall_count && i < client_count; i++) {
      client *c = &clients[i];
      struct tcp_info info;
      socklen_t size = sizeof info;
      if (c->state == 2 && getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
          info.tcpi_state != TCP_ESTABLISHED) {
        c->cut = true;
        end(c);
      }
    }
    struct epoll_event events[256];
    int ready = epoll_wait(poller, events, 256, connect_every > 0 && next < client_count ? 1 : 20);
    for (int i = 0; i < ready; i++) {
      client *c = events[i].data.ptr;
      if (c->state == 1 && (events[i].events & EPOLLOUT)) {
        send_handshake(c);
      } else if (c->state == 1 || c->state == 2) {
        uint64_t before = c->frames;
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c, c->stalls || c->trickles ? 512 : read_bytes);
        if (c->frames > before) {
          last_frame = now();
          if (first_frame == 0) first_frame = last_frame;
        }
      }
    }
  }
  if (record) fclose(record);
  report(last_frame - first_frame, admitted_first);
  return 0;
}
