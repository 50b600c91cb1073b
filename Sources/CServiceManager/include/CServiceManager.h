// systemd through its bus (libsystemd), as far as the supervisor needs it; sd-bus has variadic functions, which Swift cannot
// call. One call, one wrapper; requests are not waited for.
#ifndef BULKHEAD_CSERVICEMANAGER_H
#define BULKHEAD_CSERVICEMANAGER_H

#include <stdbool.h>
#include <stdint.h>

struct bulkhead_bus;

// Connects to the system bus. Returns 0, or -errno.
int bulkhead_bus_open(struct bulkhead_bus **bus);
void bulkhead_bus_close(struct bulkhead_bus *bus);

// Asks for something to be done to a unit; bulkhead_bus_next tells how it went. Started regardless of what its unit is ordered
// behind: whoever asks knows the order. Return 0, or -errno.
int bulkhead_bus_start_unit(struct bulkhead_bus *bus, const char *unit, int tag);
int bulkhead_bus_stop_unit(struct bulkhead_bus *bus, const char *unit, int tag);
int bulkhead_bus_kill_unit(struct bulkhead_bus *bus, const char *unit, int signal, int tag);

// The next answer: 1 = there is one, 0 = none yet, -errno = the connection is lost. `error` is 0 or an errno; `text` (of at
// least 256 bytes) says why.
int bulkhead_bus_next(struct bulkhead_bus *bus, int *tag, int *error, char *text);

// What systemd knows of a service.
struct bulkhead_unit_state {
  // The process that runs; the one that ran last, and how it ended: code 0 while it runs, then CLD_EXITED, CLD_KILLED, CLD_DUMPED.
  uint32_t main_pid, last_pid;
  int32_t code, status;
  // Neither active, nor about to end; and nothing is queued to be done to it.
  bool is_down;
};
// Asks for it, and does not wait; bulkhead_bus_next takes the answer in. `tag`: one question of a tag is under way at a time, and
// another one is that one. Returns 0, or -errno.
enum { bulkhead_questions_limit = 16 };
int bulkhead_bus_ask_unit(struct bulkhead_bus *bus, const char *unit, int tag);
// What came of it: 1 = the answer, once; 0 = none yet, or nothing was asked; -errno: it could not be had, -ETIMEDOUT within 2 s.
int bulkhead_bus_unit_state(struct bulkhead_bus *bus, int tag, struct bulkhead_unit_state *state);
// Lets a question go: what was asked before something happened says nothing about it.
void bulkhead_bus_forget(struct bulkhead_bus *bus, int tag);
// Whether a stop or restart of the unit is queued: 1, 0, or -errno. Waits for the answer, 200 ms at most.
int bulkhead_bus_is_stopping(struct bulkhead_bus *bus, const char *unit);

#endif
