// Static probes (USDT), as bpftrace, perf, SystemTap and gdb know them: docs/PROBES.md. Each is one `nop` and a note in the
// program that says where it is and where its arguments are; a tracer that attaches puts a breakpoint in its place.
// Arguments are what is at hand anyhow: nothing is computed for a probe.
#ifndef BULKHEAD_PROBES_H
#define BULKHEAD_PROBES_H

#include <stdint.h>
#include <sys/sdt.h>

#define BULKHEAD_PROBE __attribute__((always_inline, swift_attr("@_noLocks"))) static inline void

// rxd: a datagram is in the ring. Bytes; the kernel's receive time, ns since 1970; the ring's position in front of it.
BULKHEAD_PROBE bulkhead_probe_rx_packet(uint64_t bytes, uint64_t received, uint64_t position) {
  STAP_PROBE3(bulkhead, rx_packet, bytes, received, position);
}

// merged: a range is missing and is asked for. First number; how many; instant, CLOCK_MONOTONIC ns.
BULKHEAD_PROBE bulkhead_probe_gap_requested(uint64_t first, uint64_t count, uint64_t now) {
  STAP_PROBE3(bulkhead, gap_requested, first, count, now);
}

// merged: a missing range has come. First and last number; how (GapOutcome); ns from its detection.
BULKHEAD_PROBE bulkhead_probe_gap_filled(uint64_t first, uint64_t last, uint64_t outcome, uint64_t nanoseconds) {
  STAP_PROBE4(bulkhead, gap_filled, first, last, outcome, nanoseconds);
}

// merged: a range is given up, and goes out as a gap. First and last number; why (GapReason).
BULKHEAD_PROBE bulkhead_probe_gap_lost(uint64_t first, uint64_t last, uint64_t reason) {
  STAP_PROBE3(bulkhead, gap_lost, first, last, reason);
}

// bookd: a message has been applied. Its number; the venue's letter for its type; the events that it made.
BULKHEAD_PROBE bulkhead_probe_book_apply(uint64_t sequence, uint64_t type, uint64_t events) {
  STAP_PROBE3(bulkhead, book_apply, sequence, type, events);
}

// Any reader: the ring's writer has overtaken it. Positions between which records are lost.
BULKHEAD_PROBE bulkhead_probe_ring_lapped(uint64_t from, uint64_t to) { STAP_PROBE2(bulkhead, ring_lapped, from, to); }

// pubd: messages go to the clients. Number of the last one; bytes of their events; clients connected.
BULKHEAD_PROBE bulkhead_probe_publish(uint64_t sequence, uint64_t bytes, uint64_t clients) {
  STAP_PROBE3(bulkhead, publish, sequence, bytes, clients);
}

// pubd: a client is there. Its address and port, IPv4 in host order (zeros: the local socket).
BULKHEAD_PROBE bulkhead_probe_client_open(uint64_t address, uint64_t port) {
  STAP_PROBE2(bulkhead, client_open, address, port);
}

// pubd: a client is closed by this side. Its address and port; the close code; bytes that waited for it; bytes that it got.
BULKHEAD_PROBE bulkhead_probe_client_drop(
    uint64_t address, uint64_t port, uint64_t code, uint64_t waiting, uint64_t sent) {
  STAP_PROBE5(bulkhead, client_drop, address, port, code, waiting, sent);
}

// pubd: another incarnation of the book stage. Its number; 1 when state was lost with the one before.
BULKHEAD_PROBE bulkhead_probe_epoch_change(uint64_t epoch, uint64_t lost) { STAP_PROBE2(bulkhead, epoch_change, epoch, lost); }

#endif
