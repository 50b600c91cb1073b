#define _GNU_SOURCE
#include "journal_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int bulkhead_open_journal_socket(void) {
  int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  // As much as the host allows: an entry is one datagram.
  int wanted = 8 << 20;
  setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
  return descriptor;
}

static int journal_address(const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
  strcpy(address->sun_path, path);
  return 0;
}

int bulkhead_send_journal_entry(int descriptor, const char *path, const void *bytes, size_t count) {
  struct sockaddr_un address;
  int result = journal_address(path, &address);
  if (result != 0) return result;
  ssize_t sent = sendto(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address,
                        sizeof address);
  return sent < 0 ? -errno : 0;
}

int bulkhead_send_journal_file(int descriptor, const char *path, const void *bytes, size_t count) {
  struct sockaddr_un address;
  int result = journal_address(path, &address);
  if (result != 0) return result;
  int file = memfd_create("bulkhead-journal-entry", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  if (file < 0) return -errno;
  for (size_t done = 0; done < count && result == 0;) {
    ssize_t written = write(file, (const char *)bytes + done, count - done);
    if (written > 0) done += (size_t)written;
    else if (written == 0 || errno != EINTR) result = written == 0 ? -EIO : -errno;
  }
  // The journal takes only what nobody can change any more.
  if (result == 0 && fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    result = -errno;
  if (result == 0) {
    union {
      struct cmsghdr header;
      char space[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &file, sizeof(int));
    struct msghdr message = {.msg_name = &address,
                             .msg_namelen = sizeof address,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    if (sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) result = -errno;
  }
  close(file);
  return result;
}
