#define _GNU_SOURCE
#include "request_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// The address of `directory`/`name` through an open descriptor of the directory, however long the path is.
static int address_in(const char *directory, const char *name, struct sockaddr_un *address) {
  int folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -errno;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  int length = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", folder, name);
  if (length < 0 || (size_t)length >= sizeof address->sun_path) {
    close(folder);
    return -ENAMETOOLONG;
  }
  return folder;
}

int bulkhead_open_request_listener(const char *directory, const char *name) {
  struct sockaddr_un address;
  int folder = address_in(directory, name, &address);
  if (folder < 0) return folder;
  int result = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (result < 0) {
    result = -errno;
  } else {
    unlinkat(folder, name, 0);
    // The mode before anybody can connect: a socket takes what the mask leaves.
    mode_t mask = umask(0177);
    int error = bind(result, (struct sockaddr *)&address, sizeof address) != 0 || listen(result, 8) != 0 ? errno : 0;
    umask(mask);
    if (error != 0) {
      close(result);
      result = -error;
    }
  }
  close(folder);
  return result;
}

int bulkhead_accept_request(int listener, uint32_t *user, int32_t *process) {
  int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (descriptor < 0) return -errno;
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    int error = errno;
    close(descriptor);
    return -error;
  }
  *user = peer.uid;
  *process = peer.pid;
  return descriptor;
}

int bulkhead_connect_request(const char *directory, const char *name) {
  struct sockaddr_un address;
  int folder = address_in(directory, name, &address);
  if (folder < 0) return folder;
  int result = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (result < 0) {
    result = -errno;
  } else if (connect(result, (struct sockaddr *)&address, sizeof address) != 0) {
    int error = errno;
    close(result);
    result = -error;
  }
  close(folder);
  return result;
}
