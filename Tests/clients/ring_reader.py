#!/usr/bin/env python3
"""Reads rings and tables through ctypes: `ring_reader.py LIBRARY`, where LIBRARY was made from bulkhead.h by
`cc -shared -fPIC -x c -DBULKHEAD_SHARED bulkhead.h -o libbulkhead.so`. Standard library only.

Commands come on standard input, one a line; each is answered by lines of JSON and a line ".". The commands and
their answers are those of ring_reader.c.
"""

import ctypes
import json
import struct
import sys

STATUS = {
    0: "OK", 1: "EMPTY", 2: "LAPPED", 3: "EPOCH_CHANGED", 4: "VALUE", 5: "ABSENT", 6: "BUSY", 7: "READY",
}
FROM = {"oldest": 0, "newest": 1, "cursor": 2, "position": 3}
INVERSE = 0xF1DE83E19937733D
MASK = (1 << 64) - 1
END_KIND = 254
EVENT = struct.Struct("<QQQIHBB")


class Record(ctypes.Structure):
    """bulkhead_record."""

    _fields_ = [
        ("position", ctypes.c_uint64), ("lost_from", ctypes.c_uint64), ("lost_to", ctypes.c_uint64),
        ("epoch_from", ctypes.c_uint64), ("epoch", ctypes.c_uint64), ("bytes", ctypes.c_uint32),
        ("kind", ctypes.c_uint8), ("zero", ctypes.c_uint8 * 3),
    ]


def load_library(path):
    """Binds every function that is used; arguments of the right width matter more here than anywhere."""
    library = ctypes.CDLL(path)
    pointer, text, word, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_size_t
    for name, result, arguments in [
        ("ring_bytes", size, []), ("table_bytes", size, []),
        ("status_name", text, [ctypes.c_int]), ("explain", ctypes.c_int, [pointer, pointer, size]),
        ("why", pointer, [pointer]), ("table_why", pointer, [pointer]),
        ("attach", ctypes.c_int, [pointer, text, ctypes.POINTER(word)]), ("detach", None, [pointer]),
        ("start", ctypes.c_int, [pointer, ctypes.c_int, word]),
        ("poll", ctypes.c_int, [pointer, pointer, size, ctypes.POINTER(Record)]),
        ("position", word, [pointer]), ("published", word, [pointer]), ("oldest", word, [pointer]),
        ("epoch", word, [pointer]), ("producer_pid", word, [pointer]), ("producer_start", word, [pointer]),
        ("record_bytes_limit", ctypes.c_uint32, [pointer]), ("name", text, [pointer]),
        ("configuration", word, [pointer]), ("is_replaced", ctypes.c_int, [pointer, text]),
        ("report_position", None, [pointer]), ("open_cursor", ctypes.c_int, [pointer, text, text]),
        ("park", ctypes.c_int, [pointer, ctypes.c_int64]), ("yield", None, []),
        ("table_attach", ctypes.c_int, [pointer, text, ctypes.POINTER(word)]), ("table_detach", None, [pointer]),
        ("table_read", ctypes.c_int, [pointer, word, pointer]),
    ]:
        function = getattr(library, "bulkhead_" + name)
        function.restype, function.argtypes = result, arguments
    return library


def hash_of(payload):
    """FNV-1a, as the other readers compute it."""
    value = 0xCBF29CE484222325
    for byte in payload:
        value = (value ^ byte) * 0x100000001B3 & MASK
    return f"{value:016x}"


def number_of(payload):
    """The number from which every word of the payload is derived, or None when they disagree."""
    if len(payload) < 8 or len(payload) % 8 != 0:
        return None
    words = struct.unpack(f"<{len(payload) // 8}Q", payload)
    if any(word != (words[0] + 8 * index) & MASK for index, word in enumerate(words)):
        return None
    return words[0] * INVERSE & MASK


class Reader:
    """One ring handle and one table handle, and the commands that work on them."""

    def __init__(self, library):
        self.library = library
        self.ring = ctypes.create_string_buffer(library.bulkhead_ring_bytes())
        self.table = ctypes.create_string_buffer(library.bulkhead_table_bytes())
        self.path = b""
        self.record = Record()
        self.buffer = ctypes.create_string_buffer(8)
        self.payload = None

    def answer(self, status, why=None):
        """A status; refusals with the header's own sentence."""
        result = {"status": self.library.bulkhead_status_name(status).decode()}
        if status >= 0 and result["status"] != STATUS[status]:
            raise SystemExit(f"status {status} is called {result['status']} by the library")
        if status < 0 and why is not None:
            text = ctypes.create_string_buffer(400)
            self.library.bulkhead_explain(why, text, len(text))
            result["text"] = text.value.decode()
        return result

    def ring_answer(self, status):
        return self.answer(status, self.library.bulkhead_why(self.ring))

    def attach(self, path, configuration=None):
        self.library.bulkhead_detach(self.ring)
        self.path = path.encode()
        expected = None if configuration is None else ctypes.byref(ctypes.c_uint64(int(configuration, 16)))
        status = self.library.bulkhead_attach(self.ring, self.path, expected)
        if status == 0:
            self.set_buffer(self.library.bulkhead_record_bytes_limit(self.ring))
        yield self.ring_answer(status)

    def set_buffer(self, count):
        # create_string_buffer adds no byte of its own when it is given a number.
        self.buffer = ctypes.create_string_buffer(int(count))
        return ()

    def detach(self):
        self.library.bulkhead_detach(self.ring)
        return ()

    def cursor(self, reader):
        yield self.ring_answer(self.library.bulkhead_open_cursor(self.ring, self.path, reader.encode()))

    def start(self, where, position="0"):
        yield self.ring_answer(self.library.bulkhead_start(self.ring, FROM[where], int(position)))

    def take(self):
        """One poll: its status and, for a record, the payload."""
        status = self.library.bulkhead_poll(
            self.ring, self.buffer, len(self.buffer), ctypes.byref(self.record))
        self.payload = self.buffer.raw[: self.record.bytes] if status == 0 else None
        return status

    def poll(self, count):
        for _ in range(int(count)):
            status = self.take()
            result = self.ring_answer(status)
            if status == 0:
                result.update(position=self.record.position, kind=self.record.kind, bytes=self.record.bytes,
                              hash=hash_of(self.payload))
            elif status == 2:
                result.update({"from": self.record.lost_from, "to": self.record.lost_to})
            elif status == 3:
                result.update({"from": self.record.epoch_from, "to": self.record.epoch})
            yield result
            if status == 1 or status < 0:
                return

    def info(self):
        library, ring = self.library, self.ring
        yield {
            "position": library.bulkhead_position(ring), "published": library.bulkhead_published(ring),
            "oldest": library.bulkhead_oldest(ring), "epoch": library.bulkhead_epoch(ring),
            "pid": library.bulkhead_producer_pid(ring), "start": library.bulkhead_producer_start(ring),
            "limit": library.bulkhead_record_bytes_limit(ring), "name": library.bulkhead_name(ring).decode(),
            "configuration": f"{library.bulkhead_configuration(ring):016x}",
            "replaced": library.bulkhead_is_replaced(ring, self.path),
        }

    def report(self):
        self.library.bulkhead_report_position(self.ring)
        return ()

    def park(self, nanoseconds):
        yield self.ring_answer(self.library.bulkhead_park(self.ring, int(nanoseconds)))

    def follow(self, wait):
        saw = dict.fromkeys(
            ["records", "torn", "backwards", "skipped", "overlaps", "laps", "lost", "epochs", "parks", "late", "last"],
            0)
        expected = end = final = 0
        lost, timed_out = True, False
        while True:
            status = self.take()
            if status == 0:
                number = number_of(self.payload)
                saw["late"] += timed_out
                timed_out = False
                if number is None:
                    saw["torn"] += 1
                else:
                    saw["backwards"] += number < expected
                    saw["skipped"] += number > expected and not lost
                    expected, saw["last"] = number + 1, number
                saw["overlaps"] += self.record.position < end
                end = self.record.position + (self.record.bytes + 71) // 64
                lost = False
                saw["records"] += 1
                if self.record.kind == END_KIND:
                    break
            elif status == 1:
                timed_out = False
                if wait == "park":
                    saw["parks"] += 1
                    parked = self.library.bulkhead_park(self.ring, 2_000_000_000)
                    timed_out = parked == 1
                    if parked < 0:
                        final = parked
                        break
                elif wait == "yield":
                    self.library.bulkhead_yield()
            elif status == 2:
                saw["overlaps"] += self.record.lost_from < end or self.record.lost_to <= self.record.lost_from
                saw["laps"] += 1
                saw["lost"] += self.record.lost_to - self.record.lost_from
                end, lost = self.record.lost_to, True
            elif status == 3:
                saw["epochs"] += 1
            else:
                final = status
                break
        self.report()
        yield {**self.answer(final), **saw}

    def attach_table(self, path):
        self.library.bulkhead_table_detach(self.table)
        status = self.library.bulkhead_table_attach(self.table, path.encode(), None)
        yield self.answer(status, self.library.bulkhead_table_why(self.table))

    def value(self, key):
        words = (ctypes.c_uint64 * 7)()
        return self.library.bulkhead_table_read(self.table, int(key), words), list(words)

    def load(self, key):
        status, words = self.value(key)
        yield {**self.answer(status), "words": words if status == 4 else []}

    def watch(self, key, last):
        saw = {"records": 0, "torn": 0, "backwards": 0, "busy": 0}
        newest = 0
        while newest != int(last):
            status, words = self.value(key)
            saw["busy"] += status == 6
            if status < 0:
                break
            if status != 4:
                continue
            saw["records"] += 1
            saw["torn"] += words != [words[0] + index for index in range(7)]
            saw["backwards"] += words[0] < newest
            newest = words[0]
        yield {"status": "OK", **saw}

    def event(self):
        fields = EVENT.unpack_from(self.payload)
        yield {"status": "OK", "kind": self.record.kind, "event": list(fields)}


def main():
    reader = Reader(load_library(sys.argv[1]))
    commands = {
        "attach": reader.attach, "detach": reader.detach, "cursor": reader.cursor, "start": reader.start,
        "buffer": reader.set_buffer, "poll": reader.poll, "info": reader.info, "report": reader.report,
        "park": reader.park, "follow": reader.follow, "table": reader.attach_table, "load": reader.load,
        "watch": reader.watch, "event": reader.event,
    }
    for line in sys.stdin:
        words = line.split()
        for result in commands[words[0]](*words[1:]):
            print(json.dumps(result))
        print(".", flush=True)


if __name__ == "__main__":
    main()
