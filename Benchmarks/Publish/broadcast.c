/* The yardstick of publishbench: sends the frames of a file to every client, with the library and nothing else: no queue, no
   filter, no copy; each client has a place in the same bytes and is written to as fast as it takes them.

     broadcast FRAMES CLIENTS SECONDS       FRAMES: u32 length, bytes, … (swarm --record) */
#include <libwebsockets.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { headroom = LWS_PRE, write_budget = 256 << 10 };

typedef struct {
  size_t place;
  int subscribed, ended;
} session;

static uint8_t **frames;
static uint32_t *lengths;
static size_t frame_count;
static int wanted, subscribed, gone;
static double finish;
static uint64_t sent_frames, sent_bytes;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* An events frame whose one entry ends the session: the clients leave. */
static uint8_t last[headroom + 32 + 56];

static void make_last(void) {
  uint8_t *p = last + headroom;
  p[0] = 0x42, p[1] = 0x4B, p[4] = 1, p[6] = 1, p[14] = 1;
  p[32] = 48, p[34] = 14;
}

static int callback(struct lws *connection, enum lws_callback_reasons reason, void *user, void *in, size_t count) {
  session *s = user;
  static uint8_t hello[headroom + 64];
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: lws_callback_on_writable(connection); break;
    case LWS_CALLBACK_RECEIVE:
      s->subscribed = 2;
      if (++subscribed == wanted) lws_callback_on_writable_all_protocol(lws_get_context(connection), lws_get_protocol(connection));
      break;
    case LWS_CALLBACK_CLOSED: gone++; break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
      if (s->subscribed == 0) {
        s->subscribed = 1;
        memcpy(hello + headroom, "{\"type\":\"hello\"}", 16);
        return lws_write(connection, hello + headroom, 16, LWS_WRITE_TEXT) < 0 ? -1 : 0;
      }
      if (subscribed < wanted || s->ended) break;
      if (finish == 0) finish = now() + (double)(intptr_t)lws_context_user(lws_get_context(connection));
      if (now() >= finish) {
        s->ended = 1;
        return lws_write(connection, last + headroom, 32 + 56, LWS_WRITE_BINARY) < 0 ? -1 : 0;
      }
      for (size_t written = 0; written < write_budget;) {
        /* The library masks nothing and writes its header in front: the same bytes serve everybody. */
        size_t i = s->place++ % frame_count;
        if (lws_write(connection, frames[i] + headroom, lengths[i], LWS_WRITE_BINARY) < 0) return -1;
        sent_frames++;
        sent_bytes += lengths[i];
        written += lengths[i];
        if (lws_send_pipe_choked(connection)) break;
      }
      lws_callback_on_writable(connection);
      break;
    default: return lws_callback_http_dummy(connection, reason, user, in, count);
  }
  return 0;
}

int main(int count, char **words) {
  if (count != 4) return 64;
  wanted = atoi(words[2]);
  FILE *file = fopen(words[1], "rb");
  if (!file) return 66;
  uint32_t length;
  while (fread(&length, 4, 1, file) == 1 && frame_count < 20000) {
    frames = realloc(frames, (frame_count + 1) * sizeof *frames);
    lengths = realloc(lengths, (frame_count + 1) * sizeof *lengths);
    frames[frame_count] = malloc(headroom + length);
    lengths[frame_count] = length;
    if (fread(frames[frame_count] + headroom, 1, length, file) != length) break;
    frame_count++;
  }
  if (frame_count == 0) return 65;
  make_last();
  signal(SIGPIPE, SIG_IGN);
  lws_set_log_level(LLL_ERR, NULL);
  static const struct lws_protocols protocols[] = {
      {"bulkhead.v1.bin", callback, sizeof(session), 4096, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
  struct lws_context_creation_info info;
  memset(&info, 0, sizeof info);
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.gid = info.uid = -1;
  info.options = LWS_SERVER_OPTION_DISABLE_IPV6;
  info.user = (void *)(intptr_t)atoi(words[3]);
  info.port = 0;
  struct lws_context *context = lws_create_context(&info);
  if (!context) return 69;
  printf("port %d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
  fflush(stdout);
  double limit = now() + atoi(words[3]) + 60;
  while (gone < wanted && now() < limit) lws_service(context, -1);
  struct timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  printf("{\"frames\":%llu,\"bytes\":%llu,\"cpu\":%.6f}\n", (unsigned long long)sent_frames,
         (unsigned long long)sent_bytes, (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9);
  lws_context_destroy(context);
  return 0;
}
