"""The digests by which two parties find that they hold the same (docs/DIGESTS.md): XXH64, seed 0.

The PyPI package `xxhash` is used when it is there; without it the digest is computed in Python, a few MB a
second.
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterable
from typing import Protocol

from .books import Book
from .records import Event, encode_body

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
_FOUR = struct.Struct("<QQQQ")
_ORDER = struct.Struct("<IIqQQQ")
_EVENT = struct.Struct("<QQBxH4xIHBB")


class Digest(Protocol):
    def update(self, data: bytes) -> None: ...
    def hexdigest(self) -> str: ...


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK


def _round(lane: int, word: int) -> int:
    lane = (lane + word * _P2) & _MASK
    return (lane << 31 | lane >> 33) * _P1 & _MASK


class XXH64:
    """XXH64 with seed 0."""

    def __init__(self) -> None:
        self._lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        self._rest = b""
        self._length = 0

    def update(self, data: bytes) -> None:
        self._length += len(data)
        data = self._rest + data
        whole = len(data) & ~31
        one, two, three, four = self._lanes
        for w1, w2, w3, w4 in _FOUR.iter_unpack(memoryview(data)[:whole]):
            one, two, three, four = _round(one, w1), _round(two, w2), _round(three, w3), _round(four, w4)
        self._lanes = [one, two, three, four]
        self._rest = data[whole:]

    def hexdigest(self) -> str:
        if self._length >= 32:
            value = (
                sum(_rotate(lane, bits) for lane, bits in zip(self._lanes, (1, 7, 12, 18), strict=True))
                & _MASK
            )
            for lane in self._lanes:
                value = ((value ^ _round(0, lane)) * _P1 + _P4) & _MASK
        else:
            value = _P5
        value = (value + self._length) & _MASK
        rest = self._rest
        at = 0
        while at + 8 <= len(rest):
            word = int.from_bytes(rest[at : at + 8], "little")
            value = (_rotate(value ^ _round(0, word), 27) * _P1 + _P4) & _MASK
            at += 8
        if at + 4 <= len(rest):
            word = int.from_bytes(rest[at : at + 4], "little")
            value = (_rotate(value ^ (word * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
            at += 4
        for byte in rest[at:]:
            value = _rotate(value ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
        value = (value ^ value >> 33) * _P2 & _MASK
        value = (value ^ value >> 29) * _P3 & _MASK
        return f"{value ^ value >> 32:016x}"


def new_digest() -> Digest:
    """An XXH64 with seed 0: the one of `xxhash` if that is installed."""
    try:
        import xxhash
    except ImportError:
        return XXH64()
    made: Digest = xxhash.xxh64(seed=0)
    return made


def has_fast_digest() -> bool:
    """Whether `xxhash` is installed."""
    return importlib.util.find_spec("xxhash") is not None


def book_digest(books: Iterable[Book]) -> str:
    """The digest over all live orders of these books;
    `bulkhead book FILE --digest` prints the same for a file."""
    digest = new_digest()
    for book in sorted(books, key=lambda book: book.instrument):
        for sell in (False, True):
            price, place = None, 0
            rows = []
            for order in book.orders(sell):
                place = place + 1 if order.price == price else 0
                price = order.price
                rows.append(_ORDER.pack(book.instrument, sell, price, order.quantity, order.reference, place))
            digest.update(b"".join(rows))
    return digest.hexdigest()


class StreamDigest:
    """The digest over all events of a session, in order: the same for all servers, runs and restarts. Feed it
    every live event of every channel, from the first on; `bulkhead run` and `bulkhead book` print it as the
    stream digest."""

    def __init__(self) -> None:
        self._digest = new_digest()
        self._pending: list[bytes] = []
        self.events = 0

    def update(self, event: Event) -> None:
        kind, body = encode_body(event)
        self.events += 1
        self._pending.append(
            _EVENT.pack(
                event.sequence,
                event.venue_time,
                kind,
                len(body),
                event.instrument,
                event.index,
                event.channel,
                event.flags,
            )
            + body
        )
        if len(self._pending) >= 4096:
            self._flush()

    def _flush(self) -> None:
        self._digest.update(b"".join(self._pending))
        self._pending.clear()

    def hexdigest(self) -> str:
        self._flush()
        return self._digest.hexdigest()
