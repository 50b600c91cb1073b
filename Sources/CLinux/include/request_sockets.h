#ifndef BULKHEAD_REQUEST_SOCKETS_H
#define BULKHEAD_REQUEST_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

// Records between a supervisor and its operators: SOCK_SEQPACKET on a path, mode 0600. All return a descriptor (non-blocking,
// closed on exec) or 0, or -errno. A path may be longer than a socket's address: its directory is opened first.

// Makes the socket anew at `directory`/`name` and listens.
int bulkhead_open_request_listener(const char *directory, const char *name);
// Takes the next connection, and the peer's user and process as the kernel knows them.
int bulkhead_accept_request(int listener, uint32_t *user, int32_t *process);
int bulkhead_connect_request(const char *directory, const char *name);

#endif
