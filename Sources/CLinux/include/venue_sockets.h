#ifndef BULKHEAD_VENUE_SOCKETS_H
#define BULKHEAD_VENUE_SOCKETS_H

#include <poll.h>
#include <stdint.h>
#include <sys/uio.h>

// The most datagrams of one venue_send_pairs call.
#define VENUE_BATCH 64

// Sends up to VENUE_BATCH datagrams on a connected socket with one sendmmsg call, never blocking.
// Datagram i is parts[2 * i] followed by parts[2 * i + 1]. Returns how many were sent, or -errno when none was.
int venue_send_pairs(int descriptor, struct iovec *parts, unsigned datagrams);

// Sends one datagram made of two parts to an IPv4 address (host byte order), never blocking.
// Returns 0 or -errno.
int venue_send_pair_to(int descriptor, uint32_t address, uint16_t port, struct iovec *parts);

// Takes one datagram, never blocking. Returns its length (which may exceed `capacity`: then it was cut) and
// the sender in host byte order, or -errno.
long venue_receive_from(int descriptor, void *buffer, unsigned long capacity, uint32_t *address,
                        uint16_t *port);

// Blocks SIGTERM and SIGINT and returns a non-blocking descriptor that is readable once one has come,
// or -errno.
int venue_termination_descriptor(void);

// Waits until one of the descriptors has what is asked of it, or the time is over. Returns poll's result, or -errno.
int venue_wait_any(struct pollfd *descriptors, unsigned count, uint64_t nanoseconds);

// Opens a non-blocking TCP socket that listens at an IPv4 address (host byte order). Returns it, or -errno.
int venue_open_listener(uint32_t address, uint16_t port);

// Takes the next connection, non-blocking and without delay. Returns it, or -errno.
int venue_accept(int listener);

#endif
