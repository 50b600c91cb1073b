#ifndef BULKHEAD_JOURNAL_SOCKET_H
#define BULKHEAD_JOURNAL_SOCKET_H

#include <stddef.h>

// The system's journal in its own protocol. All return a descriptor (closed on exec) or 0, or -errno.

// Not connected, so that a journal that is started anew is reached again.
int bulkhead_open_journal_socket(void);
// One entry as a datagram, without waiting. -EMSGSIZE for one that is too long for the host's buffers.
int bulkhead_send_journal_entry(int descriptor, const char *path, const void *bytes, size_t count);
// One entry of any length as a sealed file in memory.
int bulkhead_send_journal_file(int descriptor, const char *path, const void *bytes, size_t count);

#endif
