"""WebSocket (RFC 6455) as bytes in, messages out, for either end. No socket and no clock.

What the protocol needs and no more: no extensions. TLS is the socket's.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from dataclasses import dataclass
from urllib.parse import urlsplit

from .errors import ConnectionLost, HandshakeRefused, ProtocolError

SUBPROTOCOL = "bulkhead.v1.bin"
DEFAULT_PORT = 9443
_PATH = "/v1/stream"
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEADER_LIMIT = 16_384
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass(frozen=True)
class Address:
    """Where a server is."""

    host: str
    port: int
    path: str
    is_secure: bool = False  #: over TLS
    socket_path: str | None = None  #: a local socket, in place of host and port

    @classmethod
    def parse(cls, url: str) -> Address:
        """`ws://host[:port][/path]`, `wss://` likewise, or `unix:PATH` of a local socket; the path of the first two
        is /v1/stream unless given."""
        if url.startswith("unix:") and (local := url.removeprefix("unix:").removeprefix("//")):
            return cls("localhost", DEFAULT_PORT, _PATH, socket_path=local)
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"{url!r} is not of the form ws://host:port, wss://host:port or unix:PATH")
        return cls(
            parts.hostname,
            parts.port or DEFAULT_PORT,
            parts.path if parts.path not in ("", "/") else _PATH,
            parts.scheme == "wss",
        )

    def __str__(self) -> str:
        return self.socket_path or f"{self.host}:{self.port}"


def accept_key(key: str) -> str:
    """What a server answers to Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest()).decode()


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """XOR with the repeated mask, as one operation on two long integers."""
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(
        len(payload), "little"
    )


def encode(opcode: int, payload: bytes, mask: bool, final: bool = True) -> bytes:
    """One WebSocket frame."""
    first = (0x80 if final else 0) | opcode
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, flag | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack("!BBH", first, flag | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, flag | 127, len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + apply_mask(payload, key)


def encode_close(code: int, reason: str, mask: bool) -> bytes:
    return encode(CLOSE, struct.pack("!H", code) + reason.encode()[:120], mask)


class Handshake:
    """The client's half of the opening."""

    def __init__(self, address: Address, token: str = "") -> None:
        """token: what the server asks for, if it does; a local socket asks for none and is told none"""
        self.key = base64.b64encode(os.urandom(16)).decode()
        host = f"[{address.host}]" if ":" in address.host else address.host
        authorization = (
            f"Authorization: Bearer {token}\r\n" if token and address.socket_path is None else ""
        )
        self.request = (
            f"GET {address.path} HTTP/1.1\r\nHost: {host}:{address.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {self.key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n{authorization}\r\n"
        ).encode()
        self._received = b""

    def feed(self, data: bytes) -> bytes | None:
        """Takes what the server sent. None: more is needed; else the bytes behind the answer.

        Raises HandshakeRefused and ProtocolError.
        """
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator:
            if len(self._received) > _HEADER_LIMIT:
                raise ProtocolError("the answer to the handshake is too long")
            return None
        status, headers = parse_head(head)
        words = status.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
            raise ProtocolError(f"not an HTTP answer: {status[:80]!r}")
        if words[1] != "101":
            raise HandshakeRefused(int(words[1]), words[2] if len(words) > 2 else "")
        if headers.get("sec-websocket-accept") != accept_key(self.key):
            raise ProtocolError("the answer to the handshake does not belong to the request")
        if (
            headers.get("sec-websocket-protocol", SUBPROTOCOL) != SUBPROTOCOL
            or "sec-websocket-extensions" in headers
        ):
            raise ProtocolError("the server chose a subprotocol or an extension that was not offered")
        return rest


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """First line and headers (lower-case names) of an HTTP message."""
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return first, headers


class Receiver:
    """Cuts bytes into messages; answers nothing itself."""

    def __init__(self, masked: bool = False, limit: int = 64 << 20) -> None:
        self._buffer = bytearray()
        self._masked = masked  #: whether the peer has to mask, as clients do
        self._limit = limit
        self._opcode: int | None = None
        self._parts: list[bytes] = []
        self._bytes = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(opcode, payload) of each message that is complete: TEXT, BINARY, PING, PONG or CLOSE."""
        self._buffer += data
        messages = []
        at = 0
        while True:
            frame = self._frame(at)
            if frame is None:
                break
            final, opcode, payload, at = frame
            message = self._assemble(final, opcode, payload)
            if message is not None:
                messages.append(message)
        if at:
            del self._buffer[:at]
        return messages

    def _frame(self, at: int) -> tuple[bool, int, bytes, int] | None:
        buffer = self._buffer
        if len(buffer) < at + 2:
            return None
        first, second = buffer[at], buffer[at + 1]
        if first & 0x70:
            raise ProtocolError("a WebSocket frame with reserved bits")
        length, start = second & 0x7F, at + 2
        if length == 126:
            if len(buffer) < at + 4:
                return None
            length, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
        elif length == 127:
            if len(buffer) < at + 10:
                return None
            length, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
        if length + self._bytes > self._limit:
            raise ProtocolError(f"a WebSocket message of more than {self._limit} bytes")
        if bool(second & 0x80) != self._masked:
            raise ProtocolError("a WebSocket frame that is masked, or is not, against the rules")
        mask = b""
        if self._masked:
            mask, start = bytes(buffer[start : start + 4]), start + 4
        if len(buffer) < start + length:
            return None
        payload = bytes(memoryview(buffer)[start : start + length])
        if self._masked:
            payload = apply_mask(payload, mask)
        return bool(first & 0x80), first & 0x0F, payload, start + length

    def _assemble(self, final: bool, opcode: int, payload: bytes) -> tuple[int, bytes] | None:
        if opcode in (CLOSE, PING, PONG):
            if not final or len(payload) > 125:
                raise ProtocolError("a WebSocket control frame that is too long or in parts")
            return opcode, payload
        if opcode in (TEXT, BINARY):
            if self._opcode is not None:
                raise ProtocolError("a WebSocket message inside another")
            if final:
                return opcode, payload
            self._opcode = opcode
        elif opcode != CONTINUATION or self._opcode is None:
            raise ProtocolError(f"a WebSocket frame with opcode {opcode} has no place here")
        self._parts.append(payload)
        self._bytes += len(payload)
        if not final:
            return None
        message = self._opcode if self._opcode is not None else BINARY, b"".join(self._parts)
        self._opcode, self._parts, self._bytes = None, [], 0
        return message


def closed(payload: bytes) -> ConnectionLost:
    """What a close frame says."""
    if len(payload) < 2:
        return ConnectionLost(1005)
    return ConnectionLost(int.from_bytes(payload[:2], "big"), payload[2:].decode("utf-8", "replace"))
