#!/usr/bin/env python3
"""pubd's WebSocket side against RFC 6455, section by section, over plain sockets.

usage: Tests/clients/websocket_checks.py [--short] [--seed N] [HOST PORT]

Without HOST and PORT beside a set of its own, from the binaries in BULKHEAD_BIN (make test-websocket).
Every case makes a connection of its own. Prints a table, one case a line: verdict, section, case, what was seen; `deviates` is a known fault of
the library (docs/PUBLISH_PROTOCOL.md, Limits), which has failed as soon as it is none any more. Ends with `N passed, M failed`.
  --short   fewer random cases (40 instead of 400)
  --seed N  of the random cases (1)
"""
import argparse
import atexit
import base64
import hashlib
import os
import pathlib
import random
import socket
import struct
import sys
import time

parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
parser.add_argument("--short", action="store_true")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("host", nargs="?")
parser.add_argument("port", type=int, nargs="?")
options = parser.parse_args()
own = None
if options.port is None:
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    sys.path[:0] = [str(root / "clients/python/src"), str(root / "clients/python/tests")]
    import set_run

    own = set_run.SetRun(*"--generate 400000 --seed 3 --instruments 50 --rate 2000".split())
    atexit.register(own.close)
    own.wait_for_messages(2000)
HOST, PORT = (options.host, options.port) if own is None else ("127.0.0.1", own.port)
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG, MORE = 1, 2, 8, 9, 10, 0
REQUEST = b'{"op":"subscribe","id":7,"symbols":["NOBODY"],"channels":["bbo"],"start":"live"}'
passed = failed = deviations = 0
LIMIT = 10


def case(section, what, function, deviates=False):
    """Runs one case. One that deviates has to fail: as a fault that is known."""
    global passed, failed, deviations
    begun = time.monotonic()
    try:
        seen, is_right = function(), True
    except (AssertionError, OSError, EOFError) as error:
        seen, is_right = f"{type(error).__name__} {error}".strip(), False
    took = time.monotonic() - begun
    if deviates and not is_right:
        verdict, deviations = "deviates", deviations + 1
    elif is_right and not deviates:
        verdict, passed = "passed", passed + 1
    else:
        verdict, failed = "FAILED", failed + 1
        seen = seen if not is_right else f"{seen}: no fault any more; the limits of docs/PUBLISH_PROTOCOL.md say so"
    slow = f" ({took:.1f} s)" if took > 2 else ""
    print(f"{verdict:<8}  {section:<12}  {what:<58}  {seen}{slow}", flush=True)


class Connection:
    def __init__(self, patience=LIMIT):
        self.patience = patience
        self.socket = socket.create_connection((HOST, PORT), timeout=LIMIT)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65_536)
            if not more:
                raise EOFError
            self.buffer += more
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def response(self):
        """The status and the headers of an answer over HTTP; status 0 when the connection ends instead."""
        try:
            while b"\r\n\r\n" not in self.buffer:
                more = self.socket.recv(65_536)
                if not more:
                    return 0, {}
                self.buffer += more
        except ConnectionResetError:
            return 0, {}
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        return int(lines[0].split()[1]), fields

    def frame(self):
        first, second = self.read(2)
        assert not second & 0x80, "5.1: a server's frame is masked"
        assert not first & 0x70, "5.2: reserved bits are set"
        count = second & 0x7F
        if count == 126:
            count = struct.unpack(">H", self.read(2))[0]
            assert count >= 126, "5.2: the length is not the shortest"
        elif count == 127:
            count = struct.unpack(">Q", self.read(8))[0]
            assert count >= 65_536, "5.2: the length is not the shortest"
        return first & 0x0F, bool(first & 0x80), self.read(count)

    def until(self, opcode, wanted=b""):
        """The next frame of a kind whose payload holds something."""
        limit = time.monotonic() + self.patience
        while time.monotonic() < limit:
            kind, final, payload = self.frame()
            if kind == opcode and wanted in payload:
                return payload
            assert kind != CLOSE, f"closed instead, with {payload!r}"
        raise AssertionError(f"no frame {opcode} with {wanted!r} came")

    def closes(self, *codes):
        """The connection ends; with a close frame, its code is one of these (0: without one)."""
        found = 0
        limit = time.monotonic() + self.patience
        try:
            while True:
                assert time.monotonic() < limit, "the connection stays open"
                kind, _, payload = self.frame()
                if kind == CLOSE:
                    self.socket.sendall(frame(CLOSE, payload))
                    found = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
        except (EOFError, ConnectionResetError, BrokenPipeError):
            pass
        except (TimeoutError, socket.timeout):
            raise AssertionError("the connection stays open") from None
        assert found in codes, f"closed with {found}, not {codes}"
        return f"closed with {found}" if found else "cut"


def handshake(method="GET", path="/v1/stream", version="HTTP/1.1", leave=(), **changes):
    fields = {
        "Host": f"{HOST}:{PORT}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13"}
    fields.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in fields.items() if name not in leave), "", ""]
    return "\r\n".join(lines).encode()


def opened(pieces=1, **changes):
    connection = Connection()
    text = handshake(**changes)
    size = -(-len(text) // pieces)
    for at in range(0, len(text), size):
        connection.socket.sendall(text[at : at + size])
        if pieces > 1:
            time.sleep(0.002)
    status, fields = connection.response()
    assert status == 101, f"status {status}"
    connection.fields = fields
    return connection


def frame(opcode, payload=b"", final=True, reserved=0, mask=b"\x37\xfa\x21\x3d", length=None):
    count = len(payload)
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    bit = 0x80 if mask is not None else 0
    if length is None:
        length = 7 if count < 126 else 16 if count < 65_536 else 64
    if length == 7:
        head += bytes([bit | count])
    else:
        head += bytes([bit | (126 if length == 16 else 127)]) + struct.pack(">H" if length == 16 else ">Q", count)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def refused(*statuses, **changes):
    def check():
        with Connection() as connection:
            connection.socket.sendall(handshake(**changes))
            status, fields = connection.response()
            assert status in statuses, f"status {status}, not {statuses}"
            return f"status {status}" if status else "cut"
    return check


def accepted(**changes):
    def check():
        with opened(**changes) as connection:
            assert b'"type":"hello"' in connection.until(TEXT)
            return "status 101, hello"
    return check


def accept_key():
    key = base64.b64encode(os.urandom(16)).decode()
    with opened(Sec_WebSocket_Key=key) as connection:
        due = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert connection.fields.get("sec-websocket-accept") == due, connection.fields
        assert connection.fields.get("upgrade", "").lower() == "websocket", connection.fields
        assert "upgrade" in connection.fields.get("connection", "").lower(), connection.fields
        assert "sec-websocket-extensions" not in connection.fields, "an extension that was not offered"
        assert "sec-websocket-protocol" not in connection.fields, "a subprotocol that was not offered"
        return "the key of the section"


def subprotocol():
    with opened(Sec_WebSocket_Protocol="chat, bulkhead.v1.bin") as connection:
        assert connection.fields.get("sec-websocket-protocol") == "bulkhead.v1.bin", connection.fields
        return "bulkhead.v1.bin"


def extension():
    with opened(Sec_WebSocket_Extensions="permessage-deflate") as connection:
        assert "sec-websocket-extensions" not in connection.fields, connection.fields
        connection.until(TEXT, b'"type":"hello"')
        return "not taken, hello"


def sent(*frames, answer=b'"type":"subscribed"', kind=TEXT, pieces=None, patience=LIMIT):
    """What these frames are answered with, on a connection that then still answers a ping."""
    def check():
        with opened() as connection:
            connection.patience = patience
            data = b"".join(frames)
            for at in range(0, len(data), pieces or len(data)):
                connection.socket.sendall(data[at : at + (pieces or len(data))])
                if pieces:
                    time.sleep(0.0005)
            connection.until(kind, answer)
            connection.socket.sendall(frame(PING, b"still there"))
            connection.until(PONG, b"still there")
            return f"answered with {NAMES[kind]} {answer.decode()[:24]}".strip()
    return check


def fails(*frames, codes, patience=LIMIT):
    def check():
        with opened() as connection:
            connection.patience = patience
            connection.until(TEXT, b'"type":"hello"')
            connection.socket.sendall(b"".join(frames))
            return connection.closes(*codes)
    return check


def each_answered(*frames, answers):
    """These frames are answered with these, in any order: opcode and a part of the payload."""
    def check():
        with opened() as connection:
            connection.until(TEXT, b'"type":"hello"')
            connection.socket.sendall(b"".join(frames))
            left, seen = list(answers), []
            limit = time.monotonic() + 3
            connection.socket.settimeout(3)
            while left and time.monotonic() < limit:
                found, _, payload = connection.frame()
                # What comes by itself is no answer.
                if found == BINARY:
                    continue
                answer = next((one for one in left if one[0] == found and one[1] in payload), None)
                assert answer is not None, f"{NAMES.get(found, found)} {payload[:60]!r}"
                left.remove(answer)
                seen.append(NAMES[found])
            assert not left, f"without {left}"
            return ", ".join(seen)
    return check


def silent_behind_a_close():
    """5.5.1: what follows a close frame is not read."""
    with opened() as connection:
        connection.until(TEXT, b'"type":"hello"')
        connection.socket.sendall(frame(CLOSE, struct.pack(">H", 1000)) + frame(TEXT, REQUEST) + frame(PING, b"behind"))
        try:
            while True:
                kind, _, payload = connection.frame()
                assert kind != PONG and b"subscribed" not in payload, f"answered: {payload[:60]!r}"
        except (EOFError, ConnectionResetError):
            return "closed, nothing answered"


def at_random(seed):
    """A request in random fragments with random masks, control frames between them, in random segments."""
    def check():
        chance = random.Random(seed)
        identifier = chance.randrange(1, 1 << 40)
        text = REQUEST.replace(b'"id":7', b'"id":%d' % identifier) + b" " * chance.choice((0, 0, 10, 200, 70_000 - 5_000))
        data, pings, at, first = b"", [], 0, True
        while first or at < len(text):
            count = chance.choice((0, 1, 7, 125, 126, 500, 65_536, len(text)))
            part = text[at : at + count]
            at += len(part)
            data += frame(TEXT if first else MORE, part, final=at >= len(text), mask=chance.randbytes(4))
            first = False
            while at < len(text) and chance.random() < 0.3:
                payload = chance.randbytes(chance.randrange(126))
                data += frame(*chance.choice(((PING, payload), (PONG, payload))), mask=chance.randbytes(4))
                if data[-len(payload) - 6] & 0x0F == PING:
                    pings.append(payload)
        with opened() as connection:
            connection.until(TEXT, b'"type":"hello"')
            at = 0
            while at < len(data):
                count = chance.choice((1, 2, 3, 100, 1460, 20_000))
                connection.socket.sendall(data[at : at + count])
                at += count
                if chance.random() < 0.05:
                    time.sleep(0.001)
            pongs = []
            while True:
                kind, _, payload = connection.frame()
                assert kind != CLOSE, f"closed with {payload[:2].hex()}"
                if kind == PONG:
                    pongs.append(payload)
                if kind == TEXT:
                    assert b'"type":"subscribed"' in payload and b'"id":%d,' % identifier in payload, payload[:80]
                    break
            # Of pings that wait together one is answered alone.
            rest = iter(pings)
            assert all(pong in rest for pong in pongs), f"pongs that are none of {len(pings)} pings"
            return True
    return check


def all_at_random(count):
    def check():
        for seed in range(options.seed, options.seed + count):
            try:
                at_random(seed)()
            except (AssertionError, OSError, EOFError) as error:
                raise AssertionError(f"--seed {seed}: {type(error).__name__} {error}") from error
        return f"{count} answered, seeds from {options.seed}"
    return check


def closing(payload, *codes):
    return fails(frame(CLOSE, payload), codes=codes)


NAMES = {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong", MORE: "continuation"}
PROTOCOL_ERROR = (1002, 0)
half = len(REQUEST) // 2
case("1.3, 4.2.2", "the accept key", accept_key)
case("4.1", "the sample handshake, in pieces", accepted(pieces=40))
case("4.1", "words in other case", accepted(Upgrade="WebSocket", Connection="keep-alive, upgrade"))
case("4.2.1", "no upgrade", refused(400, 403, 404, 0, leave=("Upgrade",)))
case("4.2.1", "no key", refused(400, 403, 404, 0, leave=("Sec-WebSocket-Key",)))
case("4.2.1", "another version of the protocol", refused(426, Sec_WebSocket_Version="99"))
case("4.2.1", "POST", refused(400, 403, 404, 405, 0, method="POST"))
case("4.2.1", "another path", refused(404, path="/v2/stream"))
case("4.2.2", "the subprotocol that both have", subprotocol)
case("4.2.2", "only subprotocols that this side has not", refused(400, Sec_WebSocket_Protocol="chat"))
case("9.1", "an extension that is not taken", extension)
case("4.2.1", "an upgrade to something else", refused(400, 403, 404, 0, Upgrade="h2c"))
case("4.2.1", "no version of the protocol", refused(400, 403, 404, 426, 0, leave=("Sec-WebSocket-Version",)))
case("4.2.1", "a header without end", refused(400, 403, 413, 431, 0, X_Long="x" * 100_000))
case("5.1", "an unmasked text", fails(frame(TEXT, REQUEST, mask=None), codes=PROTOCOL_ERROR, patience=3), deviates=True)
case("5.1", "an unmasked ping", fails(frame(PING, b"x", mask=None), codes=PROTOCOL_ERROR, patience=3), deviates=True)
case("5.2", "a text", sent(frame(TEXT, REQUEST)))
case("5.2", "a text with a length of 16 bits", sent(frame(TEXT, REQUEST + b" " * 200)))
case("5.2", "a text byte by byte", sent(frame(TEXT, REQUEST), pieces=1))
case("5.2", "a text longer than allowed", fails(frame(TEXT, b" " * 70_000), codes=(1009,)))
case("5.2", "a length with its highest bit set", fails(b"\x81\xff" + b"\xff" * 8 + b"\0" * 4, codes=(*PROTOCOL_ERROR, 1009)))
for bits in (1, 2, 4, 7):
    case("5.2", f"reserved bits {bits:03b}", fails(frame(TEXT, REQUEST, reserved=bits), codes=PROTOCOL_ERROR))
case("5.2", "the longest text, 65,536 bytes", sent(frame(TEXT, REQUEST + b" " * (65_536 - len(REQUEST)))))
case("5.2", "one byte more", fails(frame(TEXT, REQUEST + b" " * (65_537 - len(REQUEST))), codes=(1009,)))
case("5.2", "longer than allowed in fragments", fails(
    frame(TEXT, b" " * 40_000, final=False), frame(MORE, b" " * 40_000), codes=(1009,)))
case("5.2", "an announced length of 2^62, and 70,000 bytes of it", fails(
    b"\x81\xff" + struct.pack(">Q", 1 << 62) + b"\0" * 4 + b" " * 70_000, codes=(1009, *PROTOCOL_ERROR)))
case("5.2", "reserved bits in a ping", fails(frame(PING, b"x", reserved=4), codes=PROTOCOL_ERROR))
case("5.2", "reserved bits in a continuation", fails(
    frame(TEXT, REQUEST[:half], final=False), frame(MORE, REQUEST[half:], reserved=4), codes=PROTOCOL_ERROR))
for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    case("5.2", f"the reserved opcode {opcode}", fails(frame(opcode, b"x"), codes=PROTOCOL_ERROR))
case("5.3", "a mask of zeros", sent(frame(TEXT, REQUEST, mask=b"\0\0\0\0")))
case("5.3", "another mask for each frame", sent(
    frame(TEXT, REQUEST[:half], final=False, mask=b"\1\2\3\4"), frame(MORE, REQUEST[half:], mask=b"\xff\xfe\xfd\xfc")))
case("5.4", "a text in two fragments", sent(frame(TEXT, REQUEST[:half], final=False), frame(MORE, REQUEST[half:])))
case("5.4", "a text in fragments of one byte", sent(
    frame(TEXT, REQUEST[:1], final=False), *(frame(MORE, REQUEST[at : at + 1], final=False) for at in range(1, len(REQUEST))), frame(MORE)))
case("5.4", "an empty first fragment", sent(frame(TEXT, final=False), frame(MORE, REQUEST)))
case("5.4", "a ping between fragments", sent(
    frame(TEXT, REQUEST[:half], final=False), frame(PING, b"between"), frame(MORE, REQUEST[half:]), answer=b'"type":"subscribed"'))
case("5.4", "a ping between fragments, and the text", each_answered(
    frame(TEXT, REQUEST[:half], final=False), frame(PING, b"between"), frame(MORE, REQUEST[half:]),
    answers=((PONG, b"between"), (TEXT, b'"type":"subscribed"'))))
case("5.4", "ping, pong, ping between every two fragments", sent(
    frame(TEXT, REQUEST[:1], final=False),
    *(part for at in range(1, 40) for part in (frame(PING, b"a"), frame(PONG, b"b"), frame(PING), frame(MORE, REQUEST[at : at + 1], final=False))),
    frame(MORE, REQUEST[40:])))
case("5.4", "a close between fragments", fails(
    frame(TEXT, REQUEST[:half], final=False), frame(CLOSE, struct.pack(">H", 1000)), frame(MORE, REQUEST[half:]), codes=(1000,)))
case("5.4", "a continuation behind a whole text", fails(frame(TEXT, REQUEST), frame(MORE, b"x"), codes=PROTOCOL_ERROR))
case("5.4", "a binary in fragments", fails(frame(BINARY, b"x", final=False), frame(MORE, b"y"), codes=(1003,)))
case("5.4", "a binary inside a fragmented text", fails(
    frame(TEXT, REQUEST[:half], final=False), frame(BINARY, b"x"), codes=(*PROTOCOL_ERROR, 1003)))
case("5.4", "a reserved opcode between fragments", fails(
    frame(TEXT, REQUEST[:half], final=False), frame(5, b"x"), codes=PROTOCOL_ERROR))
case("5.4", "a continuation of nothing", fails(frame(MORE, REQUEST), codes=PROTOCOL_ERROR))
case("5.4", "another text inside a fragmented one", fails(
    frame(TEXT, REQUEST[:half], final=False), frame(TEXT, REQUEST), codes=PROTOCOL_ERROR))
case("5.5", "a fragmented ping", fails(frame(PING, b"x", final=False), codes=PROTOCOL_ERROR))
case("5.5", "a ping of 126 bytes", fails(frame(PING, b"x" * 126), codes=PROTOCOL_ERROR))
case("5.5", "a fragmented close", fails(frame(CLOSE, struct.pack(">H", 1000), final=False), codes=PROTOCOL_ERROR))
case("5.5", "a pong of 126 bytes", fails(frame(PONG, b"x" * 126), codes=PROTOCOL_ERROR))
case("5.5", "a ping with a length of 64 bits", fails(frame(PING, b"x", length=64), codes=PROTOCOL_ERROR))
case("5.5.1", "a close with the longest reason", closing(struct.pack(">H", 1000) + b"r" * 123, 1000))
case("5.5.1", "a close that is too long", closing(struct.pack(">H", 1000) + b"r" * 124, *PROTOCOL_ERROR))
case("5.5.1", "nothing behind a close is read", silent_behind_a_close)
case("5.5.1", "a close without a reason", closing(b"", 1000, 1005, 0))
case("5.5.1", "a close with half a code", closing(b"\x03", *PROTOCOL_ERROR))
for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
    case("5.5.1", f"a close with {code} is echoed", closing(struct.pack(">H", code) + b"bye", code))
for code in (5000, 65_535):
    case("7.4.2", f"a close with {code}, of which nothing is said", closing(struct.pack(">H", code), code, *PROTOCOL_ERROR))
for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999):
    case("7.4", f"a close with {code}, which is none", closing(struct.pack(">H", code), *PROTOCOL_ERROR))
case("5.5.2", "a ping is answered with its payload", sent(frame(PING, b"hello?"), answer=b"hello?", kind=PONG))
case("5.5.2", "an empty ping", sent(frame(PING), answer=b"", kind=PONG))
case("5.5.2", "a ping of 125 bytes", sent(frame(PING, b"y" * 125), answer=b"y" * 125, kind=PONG))
# 5.5.3 lets the newest one be answered alone: libwebsockets 4.1 answers the first one.
case("5.5.3", "the newest of three pings at once", sent(frame(PING, b"1"), frame(PING, b"2"), frame(PING, b"3"), answer=b"3", kind=PONG, patience=3), deviates=True)
case("5.5.2", "a ping byte by byte", sent(frame(PING, b"slowly"), answer=b"slowly", kind=PONG, pieces=1))
case("5.5.3", "a pong that nobody asked for", sent(frame(PONG, b"unasked"), frame(TEXT, REQUEST)))
case("5.6", "a binary message", fails(frame(BINARY, REQUEST), codes=(1003,)))
case("8.1", "a text that is no UTF-8", fails(frame(TEXT, b'{"op":"\xff\xfe"}'), codes=(1007, 1003)))
for name, text in (
        ("a continuation byte alone", b"\x80"), ("a sequence that is cut", b"\xe2\x82"), ("an overlong slash", b"\xc0\xaf"),
        ("an overlong null of three bytes", b"\xe0\x80\x80"), ("a surrogate", b"\xed\xa0\x80"), ("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
        ("five bytes", b"\xf8\x88\x80\x80\x80"), ("0xFF", b"\xff")):
    case("8.1", f"a text that is no UTF-8: {name}", fails(frame(TEXT, b'{"op":"' + text + b'"}'), codes=(1007, 1003)))
case("8.1", "no UTF-8 in the second fragment", fails(
    frame(TEXT, b'{"op":"\xe2', final=False), frame(MORE, b'(\xa1"}'), codes=(1007, 1003)))
for name, text in (("two bytes", "\u00e4"), ("three bytes", "\u20ac"), ("four bytes", "\U0001f6a2"), ("the last one", "\U0010ffff")):
    case("8.1", f"UTF-8 of {name}", sent(frame(TEXT, REQUEST.replace(b"NOBODY", text.encode())), answer=b'"code":"bad_symbol"'))
case("8.1", "a reason of a close that is no UTF-8", closing(struct.pack(">H", 1000) + b"\xff\xfe", 1007, *PROTOCOL_ERROR))
case("8.1", "UTF-8 cut between fragments", sent(
    frame(TEXT, b'{"op":"subscribe","id":7,"symbols":["\xc3', final=False), frame(MORE, b'\xa4"],"channels":["bbo"],"start":"live"}'),
    answer=b'"id":7'))
case("5.2 to 5.5", "requests in random fragments, masks and segments", all_at_random(40 if options.short else 400))
print(f"{deviations} known deviations")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
