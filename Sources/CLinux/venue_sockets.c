#define _GNU_SOURCE
#include "venue_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int venue_send_pairs(int descriptor, struct iovec *parts, unsigned datagrams) {
  struct mmsghdr messages[VENUE_BATCH];
  if (datagrams > VENUE_BATCH) datagrams = VENUE_BATCH;
  memset(messages, 0, datagrams * sizeof messages[0]);
  for (unsigned index = 0; index < datagrams; index++) {
    messages[index].msg_hdr.msg_iov = &parts[2 * index];
    messages[index].msg_hdr.msg_iovlen = 2;
  }
  int sent = sendmmsg(descriptor, messages, datagrams, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

int venue_send_pair_to(int descriptor, uint32_t address, uint16_t port, struct iovec *parts) {
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
  struct msghdr message = {
      .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = parts, .msg_iovlen = 2};
  return sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

long venue_receive_from(int descriptor, void *buffer, unsigned long capacity, uint32_t *address,
                        uint16_t *port) {
  struct sockaddr_in from = {0};
  socklen_t length = sizeof from;
  ssize_t got = recvfrom(descriptor, buffer, capacity, MSG_DONTWAIT | MSG_TRUNC,
                         (struct sockaddr *)&from, &length);
  if (got < 0) return -(long)errno;
  *address = ntohl(from.sin_addr.s_addr);
  *port = ntohs(from.sin_port);
  return got;
}

int venue_termination_descriptor(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0) return -errno;
  int descriptor = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  return descriptor < 0 ? -errno : descriptor;
}

int venue_wait_any(struct pollfd *descriptors, unsigned count, uint64_t nanoseconds) {
  struct timespec time = {.tv_sec = (time_t)(nanoseconds / 1000000000u),
                          .tv_nsec = (long)(nanoseconds % 1000000000u)};
  int ready = ppoll(descriptors, count, &time, NULL);
  return ready < 0 ? -errno : ready;
}

int venue_open_listener(uint32_t address, uint16_t port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return -errno;
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in at = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 64) != 0) {
    int error = errno;
    close(listener);
    return -error;
  }
  return listener;
}

int venue_accept(int listener) {
  int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (descriptor < 0) return -errno;
  int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return descriptor;
}
