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
// A question about a unit that is not answered by then was asked of a bus that hangs, and is asked again.
enum { question_microseconds = 2 * 1000 * 1000 };
// The job first: what it does is seen in the state that is read behind it. systemd answers in order.
enum { job_part, main_pid_part, last_pid_part, code_part, status_part, active_part, parts_count };

struct answer {
  int tag, error;
  char text[256];
};

struct question_part {
  struct bulkhead_bus *bus;
  struct question *question;
  // NULL: answered, or not asked.
  sd_bus_slot *slot;
  int part;
};

// What is asked about one unit: a call for each property.
struct question {
  struct question_part parts[parts_count];
  int open, error;
  bool is_asked, has_job;
  struct bulkhead_unit_state state;
};

struct bulkhead_bus {
  sd_bus *bus;
  struct answer answers[answers_limit];
  int answer_count;
  struct question questions[bulkhead_questions_limit];
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
  for (int i = 0; i < bulkhead_questions_limit; i++) bulkhead_bus_forget(bus, i);
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

static int has_job(struct bulkhead_bus *bus, const char *path) {
  sd_bus_message *reply = NULL;
  uint32_t job = 0;
  int code = sd_bus_get_property(bus->bus, manager_name, path, unit_interface, "Job", NULL, &reply, "(uo)");
  if (code >= 0) code = sd_bus_message_read(reply, "(uo)", &job, NULL);
  sd_bus_message_unref(reply);
  return code < 0 ? code : job != 0;
}

static const struct {
  const char *interface, *name, *type;
} properties[parts_count] = {
    [job_part] = {unit_interface, "Job", "(uo)"},
    [main_pid_part] = {service_interface, "MainPID", "u"},
    [last_pid_part] = {service_interface, "ExecMainPID", "u"},
    [code_part] = {service_interface, "ExecMainCode", "i"},
    [status_part] = {service_interface, "ExecMainStatus", "i"},
    [active_part] = {unit_interface, "ActiveState", "s"},
};

static int take_property(sd_bus_message *message, void *data, sd_bus_error *ignored) {
  (void)ignored;
  struct question_part *part = data;
  struct question *question = part->question;
  part->slot = sd_bus_slot_unref(part->slot);
  question->open--;
  int code = sd_bus_message_is_method_error(message, NULL) ? -sd_bus_message_get_errno(message) : 0;
  if (code >= 0) code = sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, properties[part->part].type);
  if (code > 0) {
    uint32_t job = 0;
    const char *text = NULL;
    switch (part->part) {
      case job_part:
        code = sd_bus_message_read(message, "(uo)", &job, NULL);
        question->has_job = job != 0;
        break;
      case main_pid_part: code = sd_bus_message_read_basic(message, 'u', &question->state.main_pid); break;
      case last_pid_part: code = sd_bus_message_read_basic(message, 'u', &question->state.last_pid); break;
      case code_part: code = sd_bus_message_read_basic(message, 'i', &question->state.code); break;
      case status_part: code = sd_bus_message_read_basic(message, 'i', &question->state.status); break;
      case active_part:
        code = sd_bus_message_read_basic(message, 's', &text);
        question->state.is_down = text && (strcmp(text, "failed") == 0 || strcmp(text, "inactive") == 0);
        break;
    }
  }
  if (code < 0 && question->error == 0) question->error = code;
  return 0;
}

static int ask_property(struct bulkhead_bus *bus, struct question *question, int part, const char *path) {
  sd_bus_message *message = NULL;
  int code =
      sd_bus_message_new_method_call(bus->bus, &message, manager_name, path, "org.freedesktop.DBus.Properties", "Get");
  if (code >= 0) code = sd_bus_message_append(message, "ss", properties[part].interface, properties[part].name);
  struct question_part *place = &question->parts[part];
  *place = (struct question_part){bus, question, NULL, part};
  if (code >= 0) code = sd_bus_call_async(bus->bus, &place->slot, message, take_property, place, question_microseconds);
  if (code >= 0) question->open++;
  sd_bus_message_unref(message);
  return code;
}

void bulkhead_bus_forget(struct bulkhead_bus *bus, int tag) {
  if (tag < 0 || tag >= bulkhead_questions_limit) return;
  struct question *question = &bus->questions[tag];
  // Whatever is answered yet is nobody's.
  for (int i = 0; i < parts_count; i++) sd_bus_slot_unref(question->parts[i].slot);
  memset(question, 0, sizeof *question);
}

int bulkhead_bus_ask_unit(struct bulkhead_bus *bus, const char *unit, int tag) {
  if (tag < 0 || tag >= bulkhead_questions_limit) return -EINVAL;
  struct question *question = &bus->questions[tag];
  if (question->is_asked) return 0;
  char *path = NULL;
  int code = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
  for (int i = 0; i < parts_count && code >= 0; i++) code = ask_property(bus, question, i, path);
  free(path);
  if (code < 0) {
    bulkhead_bus_forget(bus, tag);
    return code;
  }
  question->is_asked = true;
  return 0;
}

int bulkhead_bus_unit_state(struct bulkhead_bus *bus, int tag, struct bulkhead_unit_state *state) {
  if (tag < 0 || tag >= bulkhead_questions_limit) return -EINVAL;
  struct question *question = &bus->questions[tag];
  if (!question->is_asked || question->open > 0) return 0;
  int code = question->error;
  *state = question->state;
  state->is_down = state->is_down && !question->has_job;
  bulkhead_bus_forget(bus, tag);
  return code < 0 ? code : 1;
}

int bulkhead_bus_is_stopping(struct bulkhead_bus *bus, const char *unit) {
  char *path = NULL;
  int code = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
  if (code < 0) return code;
  code = has_job(bus, path);
  free(path);
  return code;
}
