#define _GNU_SOURCE
#include "CServiceManager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

static const char manager_name[] = "org.freedesktop.systemd1";
static const char manager_path[] = "/org/freedesktop/systemd1";
static const char manager_interface[] = "org.freedesktop.systemd1.Manager";
static const char unit_interface[] = "org.freedesktop.systemd1.Unit";
static const char service_interface[] = "org.freedesktop.systemd1.Service";

// The first request may have to wait for the authority to be started.
enum { request_microseconds = 10 * 1000 * 1000, property_microseconds = 200 * 1000, answers_limit = 64 };

struct answer {
  int tag, error;
  char text[256];
};

struct bulkhead_bus {
  sd_bus *bus;
  struct answer answers[answers_limit];
  int answer_count;
};

struct request {
  struct bulkhead_bus *bus;
  int tag;
};

int bulkhead_bus_open(struct bulkhead_bus **result) {
  struct bulkhead_bus *bus = calloc(1, sizeof *bus);
  if (!bus) return -ENOMEM;
  int code = sd_bus_open_system(&bus->bus);
  if (code < 0) {
    free(bus);
    return code;
  }
  sd_bus_set_method_call_timeout(bus->bus, property_microseconds);
  *result = bus;
  return 0;
}

void bulkhead_bus_close(struct bulkhead_bus *bus) {
  // Without waiting: what is queued for a bus that hangs is not worth it.
  sd_bus_close_unref(bus->bus);
  free(bus);
}

static int take_answer(sd_bus_message *message, void *data, sd_bus_error *ignored) {
  (void)ignored;
  struct request *request = data;
  struct bulkhead_bus *bus = request->bus;
  if (bus->answer_count < answers_limit) {
    struct answer *answer = &bus->answers[bus->answer_count++];
    const sd_bus_error *error = sd_bus_message_get_error(message);
    answer->tag = request->tag;
    answer->error = error ? sd_bus_message_get_errno(message) : 0;
    snprintf(answer->text, sizeof answer->text, "%s", error && error->message ? error->message : "");
  }
  return 0;
}

static int send_request(struct bulkhead_bus *bus, sd_bus_message *message, int tag) {
  struct request *request = malloc(sizeof *request);
  if (!request) {
    sd_bus_message_unref(message);
    return -ENOMEM;
  }
  *request = (struct request){bus, tag};
  sd_bus_slot *slot = NULL;
  int code = sd_bus_call_async(bus->bus, &slot, message, take_answer, request, request_microseconds);
  sd_bus_message_unref(message);
  if (code < 0) {
    free(request);
    return code;
  }
  sd_bus_slot_set_destroy_callback(slot, free);
  sd_bus_slot_set_floating(slot, 1);
  sd_bus_slot_unref(slot);
  // Out now, not at the next look.
  sd_bus_flush(bus->bus);
  return 0;
}

static int request_unit(struct bulkhead_bus *bus, const char *method, const char *unit, const char *mode, int tag) {
  sd_bus_message *message = NULL;
  int code = sd_bus_message_new_method_call(bus->bus, &message, manager_name, manager_path, manager_interface, method);
  if (code >= 0) code = sd_bus_message_append(message, "ss", unit, mode);
  if (code < 0) {
    sd_bus_message_unref(message);
    return code;
  }
  return send_request(bus, message, tag);
}

int bulkhead_bus_start_unit(struct bulkhead_bus *bus, const char *unit, int tag) {
  return request_unit(bus, "StartUnit", unit, "ignore-dependencies", tag);
}

int bulkhead_bus_stop_unit(struct bulkhead_bus *bus, const char *unit, int tag) {
  return request_unit(bus, "StopUnit", unit, "ignore-dependencies", tag);
}

int bulkhead_bus_kill_unit(struct bulkhead_bus *bus, const char *unit, int signal, int tag) {
  sd_bus_message *message = NULL;
  int code =
      sd_bus_message_new_method_call(bus->bus, &message, manager_name, manager_path, manager_interface, "KillUnit");
  if (code >= 0) code = sd_bus_message_append(message, "ssi", unit, "main", (int32_t)signal);
  if (code < 0) {
    sd_bus_message_unref(message);
    return code;
  }
  return send_request(bus, message, tag);
}

int bulkhead_bus_next(struct bulkhead_bus *bus, int *tag, int *error, char *text) {
  // A bounded number: whatever else comes waits for the next look.
  for (int i = 0; i < answers_limit && bus->answer_count == 0; i++) {
    int code = sd_bus_process(bus->bus, NULL);
    if (code < 0) return code;
    if (code == 0) break;
  }
  if (bus->answer_count == 0) return 0;
  struct answer *answer = &bus->answers[0];
  *tag = answer->tag;
  *error = answer->error;
  memcpy(text, answer->text, sizeof answer->text);
  bus->answer_count--;
  memmove(bus->answers, bus->answers + 1, (size_t)bus->answer_count * sizeof *bus->answers);
  return 1;
}

static int read_number(struct bulkhead_bus *bus, const char *path, const char *property, char type, void *value) {
  return sd_bus_get_property_trivial(bus->bus, manager_name, path, service_interface, property, NULL, type, value);
}

static int has_job(struct bulkhead_bus *bus, const char *path) {
  sd_bus_message *reply = NULL;
  uint32_t job = 0;
  int code = sd_bus_get_property(bus->bus, manager_name, path, unit_interface, "Job", NULL, &reply, "(uo)");
  if (code >= 0) code = sd_bus_message_read(reply, "(uo)", &job, NULL);
  sd_bus_message_unref(reply);
  return code < 0 ? code : job != 0;
}

int bulkhead_bus_unit_state(struct bulkhead_bus *bus, const char *unit, struct bulkhead_unit_state *state) {
  char *path = NULL, *active = NULL;
  int code = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
  if (code < 0) return code;
  memset(state, 0, sizeof *state);
  // The job first: what it does is seen in the state that is read behind it.
  int job = has_job(bus, path);
  code = job < 0 ? job : read_number(bus, path, "MainPID", 'u', &state->main_pid);
  if (code >= 0) code = read_number(bus, path, "ExecMainPID", 'u', &state->last_pid);
  if (code >= 0) code = read_number(bus, path, "ExecMainCode", 'i', &state->code);
  if (code >= 0) code = read_number(bus, path, "ExecMainStatus", 'i', &state->status);
  if (code >= 0)
    code = sd_bus_get_property_string(bus->bus, manager_name, path, unit_interface, "ActiveState", NULL, &active);
  if (code >= 0) state->is_down = !job && (strcmp(active, "failed") == 0 || strcmp(active, "inactive") == 0);
  free(active);
  free(path);
  return code < 0 ? code : 0;
}

int bulkhead_bus_is_stopping(struct bulkhead_bus *bus, const char *unit) {
  char *path = NULL;
  int code = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
  if (code < 0) return code;
  code = has_job(bus, path);
  free(path);
  return code;
}
