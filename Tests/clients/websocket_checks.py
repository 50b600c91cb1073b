#!/usr/bin/env python3
"""pubd's WebSocket side against RFC 6455, section by section, over plain sockets.

usage: Tests/clients/websocket_checks.py HOST PORT

Every case makes a connection of its own. Prints each case that fails, and ends with `N passed, M failed`.
"""
import base64
import hashlib
import os
import socket
import struct
import sys
import time

HOST, PORT = sys.argv[1], int(sys.argv[2])
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG, MORE = 1, 2, 8, 9, 10, 0
REQUEST = b'{"op":"subscribe","id":7,"symbols":["NOBODY"],"channels":["bbo"],"start":"live"}'
passed = failed = 0
LIMIT = 10


def case(section, what, function):
    global passed, failed
    begun = time.monotonic()
    try:
        function()
        passed += 1
    except (AssertionError, OSError) as error:
        failed += 1
        print(f"FAILED  {section} {what}: {type(error).__name__} {error}")
    if time.monotonic() - begun > 2:
        print(f"slow    {section} {what}: {time.monotonic() - begun:.1f} s")


class Connection:
    def __init__(self):
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
        limit = time.monotonic() + LIMIT
        while time.monotonic() < limit:
            kind, final, payload = self.frame()
            if kind == opcode and wanted in payload:
                return payload
            assert kind != CLOSE, f"closed instead, with {payload!r}"
        raise AssertionError(f"no frame {opcode} with {wanted!r} came")

    def closes(self, *codes):
        """The connection ends; with a close frame, its code is one of these (0: without one)."""
        found = 0
        try:
            while True:
                kind, _, payload = self.frame()
                if kind == CLOSE:
                    self.socket.sendall(frame(CLOSE, payload))
                    found = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
        except (EOFError, ConnectionResetError, BrokenPipeError):
            pass
        except (TimeoutError, socket.timeout):
            raise AssertionError("the connection stays open") from None
        assert found in codes, f"closed with {found}, not {codes}"


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
    return check


def accepted(**changes):
    def check():
        with opened(**changes) as connection:
            assert b'"type":"hello"' in connection.until(TEXT)
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


def subprotocol():
    with opened(Sec_WebSocket_Protocol="chat, bulkhead.v1.bin") as connection:
        assert connection.fields.get("sec-websocket-protocol") == "bulkhead.v1.bin", connection.fields


def extension():
    with opened(Sec_WebSocket_Extensions="permessage-deflate") as connection:
        assert "sec-websocket-extensions" not in connection.fields, connection.fields
        connection.until(TEXT, b'"type":"hello"')


def sent(*frames, answer=b'"type":"subscribed"', kind=TEXT, pieces=None):
    """What these frames are answered with, on a connection that then still answers a ping."""
    def check():
        with opened() as connection:
            data = b"".join(frames)
            for at in range(0, len(data), pieces or len(data)):
                connection.socket.sendall(data[at : at + (pieces or len(data))])
                if pieces:
                    time.sleep(0.0005)
            connection.until(kind, answer)
            connection.socket.sendall(frame(PING, b"still there"))
            connection.until(PONG, b"still there")
    return check


def fails(*frames, codes):
    def check():
        with opened() as connection:
            connection.until(TEXT, b'"type":"hello"')
            connection.socket.sendall(b"".join(frames))
            connection.closes(*codes)
    return check


def closing(payload, *codes):
    return fails(frame(CLOSE, payload), codes=codes)


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
# 5.1 also wants an unmasked frame of a client to end the connection: libwebsockets 4.1 reads it.
case("5.2", "a text", sent(frame(TEXT, REQUEST)))
case("5.2", "a text with a length of 16 bits", sent(frame(TEXT, REQUEST + b" " * 200)))
case("5.2", "a text byte by byte", sent(frame(TEXT, REQUEST), pieces=1))
case("5.2", "a text longer than allowed", fails(frame(TEXT, b" " * 70_000), codes=(1009,)))
case("5.2", "a length with its highest bit set", fails(b"\x81\xff" + b"\xff" * 8 + b"\0" * 4, codes=(*PROTOCOL_ERROR, 1009)))
for bits in (1, 2, 4, 7):
    case("5.2", f"reserved bits {bits:03b}", fails(frame(TEXT, REQUEST, reserved=bits), codes=PROTOCOL_ERROR))
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
case("5.4", "a continuation of nothing", fails(frame(MORE, REQUEST), codes=PROTOCOL_ERROR))
case("5.4", "another text inside a fragmented one", fails(
    frame(TEXT, REQUEST[:half], final=False), frame(TEXT, REQUEST), codes=PROTOCOL_ERROR))
case("5.5", "a fragmented ping", fails(frame(PING, b"x", final=False), codes=PROTOCOL_ERROR))
case("5.5", "a ping of 126 bytes", fails(frame(PING, b"x" * 126), codes=PROTOCOL_ERROR))
case("5.5.1", "a close without a reason", closing(b"", 1000, 1005, 0))
case("5.5.1", "a close with one byte", closing(b"\x03", *PROTOCOL_ERROR, 1005))
for code in (1000, 1001, 3000, 4999):
    case("5.5.1", f"a close with {code} is echoed", closing(struct.pack(">H", code) + b"bye", code))
for code in (0, 999, 1004, 1005, 1006, 1015):
    case("7.4", f"a close with {code}, which is none", closing(struct.pack(">H", code), *PROTOCOL_ERROR))
case("5.5.2", "a ping is answered with its payload", sent(frame(PING, b"hello?"), answer=b"hello?", kind=PONG))
case("5.5.2", "an empty ping", sent(frame(PING), answer=b"", kind=PONG))
case("5.5.2", "a ping of 125 bytes", sent(frame(PING, b"y" * 125), answer=b"y" * 125, kind=PONG))
case("5.5.3", "a pong that nobody asked for", sent(frame(PONG, b"unasked"), frame(TEXT, REQUEST)))
case("5.6", "a binary message", fails(frame(BINARY, REQUEST), codes=(1003,)))
case("8.1", "a text that is no UTF-8", fails(frame(TEXT, b'{"op":"\xff\xfe"}'), codes=(1007, 1003)))
case("8.1", "UTF-8 cut between fragments", sent(
    frame(TEXT, b'{"op":"subscribe","id":7,"symbols":["\xc3', final=False), frame(MORE, b'\xa4"],"channels":["bbo"],"start":"live"}'),
    answer=b'"id":7'))
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
