"""Rings and tables in shared memory, read on the same host without a server, through bulkhead.h
(docs/C_READER.md).

The header is compiled once with the machine's C compiler and kept in a cache folder. `BULKHEAD_LIBRARY` names
a library that is used instead, where there is no compiler.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Union

from .errors import CompilerMissing, RefillUnavailable, RingError
from .records import EVENT_HEADER, STALE, Event, make_event

OK, EMPTY, LAPPED, EPOCH_CHANGED, VALUE, ABSENT, BUSY = 0, 1, 2, 3, 4, 5, 6
_FROM = {"oldest": 0, "newest": 1, "cursor": 2, "position": 3}
_BATCH = 4096
_BUFFER = 1 << 20


@dataclass(slots=True)
class RingRecord:
    """A record as it lies in a ring."""

    kind: int
    payload: bytes


@dataclass(slots=True)
class Lapped:
    """The producer overwrote cells (64 bytes each) that were not read yet."""

    lost_from: int
    lost_to: int  #: one past the last; reading goes on here


@dataclass(slots=True)
class EpochChanged:
    """Another incarnation of the producer took over; no record is missing or repeated."""

    before: int
    epoch: int


class _Record(ctypes.Structure):
    """bulkhead_record."""

    _fields_ = [
        ("position", ctypes.c_uint64),
        ("lost_from", ctypes.c_uint64),
        ("lost_to", ctypes.c_uint64),
        ("epoch_from", ctypes.c_uint64),
        ("epoch", ctypes.c_uint64),
        ("bytes", ctypes.c_uint32),
        ("kind", ctypes.c_uint8),
        ("zero", ctypes.c_uint8 * 3),
    ]


_library: ctypes.CDLL | None = None


def library_path() -> Path:
    """The compiled header; compiles it if need be. Raises CompilerMissing."""
    given = os.environ.get("BULKHEAD_LIBRARY")
    if given:
        return Path(given)
    here = Path(__file__).parent
    header = here / "bulkhead.h"
    if not header.exists():  # a checkout that was not built
        header = here.parents[3] / "include" / "bulkhead.h"
    source = here / "_ring.c"
    digest = hashlib.sha256(header.read_bytes() + source.read_bytes()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bulkhead"
    library = folder / f"bulkhead-{digest}.so"
    if library.exists() and library.stat().st_uid == os.getuid():
        return library
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise CompilerMissing(
            "no C compiler for bulkhead.h: install one, or name a built library in BULKHEAD_LIBRARY"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made = Path(work) / "made.so"
        command = [
            *compiler.split(),
            "-std=gnu11",
            "-O2",
            "-shared",
            "-fPIC",
            f"-I{header.parent}",
            str(source),
            "-o",
            str(made),
        ]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise CompilerMissing(f"{' '.join(command)} failed: {result.stderr.strip()[-1000:]}")
        os.replace(made, library)  # whole or not at all, also with several processes at it
    return library


def load_library() -> ctypes.CDLL:
    """bulkhead.h as a library, with the types of all functions that are used here."""
    global _library
    if _library is not None:
        return _library
    library = ctypes.CDLL(str(library_path()))
    pointer, text, word, size, number = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_uint64,
        ctypes.c_size_t,
        ctypes.c_int,
    )
    signatures: list[tuple[str, Any, list[Any]]] = [
        ("ring_bytes", size, []),
        ("table_bytes", size, []),
        ("status_name", text, [number]),
        ("explain", number, [pointer, pointer, size]),
        ("why", pointer, [pointer]),
        ("table_why", pointer, [pointer]),
        ("attach", number, [pointer, text, ctypes.POINTER(word)]),
        ("detach", None, [pointer]),
        ("start", number, [pointer, number, word]),
        (
            "poll_many",
            size,
            [pointer, pointer, size, size, pointer, pointer, ctypes.POINTER(number), ctypes.POINTER(_Record)],
        ),
        ("position", word, [pointer]),
        ("published", word, [pointer]),
        ("oldest", word, [pointer]),
        ("epoch", word, [pointer]),
        ("producer_pid", word, [pointer]),
        ("name", text, [pointer]),
        ("configuration", word, [pointer]),
        ("is_replaced", number, [pointer, text]),
        ("report_position", None, [pointer]),
        ("open_cursor", number, [pointer, text, text]),
        ("park", number, [pointer, ctypes.c_int64]),
        ("record_bytes_limit", ctypes.c_uint32, [pointer]),
        ("table_attach", number, [pointer, text, ctypes.POINTER(word)]),
        ("table_detach", None, [pointer]),
        ("table_entries", word, [pointer]),
        ("table_read", number, [pointer, word, pointer]),
    ]
    for name, result, arguments in signatures:
        function = getattr(library, "bulkhead_" + name)
        function.restype, function.argtypes = result, arguments
    _library = library
    return library


def _refused(library: ctypes.CDLL, status: int, why: int | None) -> RingError:
    text = ctypes.create_string_buffer(400)
    if why:
        library.bulkhead_explain(why, text, len(text))
    return RingError(library.bulkhead_status_name(status).decode(), text.value.decode("utf-8", "replace"))


Outcome = Union[Event, RingRecord, Lapped, EpochChanged]


class RingReader:
    """Reads a ring, read-only: it can neither change it nor hold its producer up. Not thread-safe.

    On the ring `book` records are events; other rings give RingRecords.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        start: Literal["oldest", "newest"] = "newest",
        reader: str | None = None,
        configuration: int | None = None,
    ) -> None:
        """
        path: such as /dev/shm/bulkhead/live/book.ring
        reader: a name for which the topology has a cursor page: goes on where that reader was,
            can sleep, is seen by `bulkhead rings`. Without one this is a pure observer.
        configuration: the hash that the ring must carry

        Raises RingError.
        """
        self._library = library = load_library()
        self._path = os.fsencode(path)
        self._ring = ctypes.create_string_buffer(library.bulkhead_ring_bytes())
        expected = None if configuration is None else ctypes.byref(ctypes.c_uint64(configuration))
        self._check(library.bulkhead_attach(self._ring, self._path, expected))
        self.is_parking = reader is not None
        try:
            if reader is not None:
                self._check(library.bulkhead_open_cursor(self._ring, self._path, reader.encode()))
            else:
                self._check(library.bulkhead_start(self._ring, _FROM[start], 0))
        except RingError:
            self.close()
            raise
        self.name = library.bulkhead_name(self._ring).decode()
        self.configuration: int = library.bulkhead_configuration(self._ring)
        self._is_book = self.name == "book"
        self._buffer = ctypes.create_string_buffer(
            max(_BUFFER, library.bulkhead_record_bytes_limit(self._ring))
        )
        self._view = memoryview(self._buffer).cast("B")
        self._offsets = (ctypes.c_uint32 * (_BATCH + 1))()
        self._kinds = (ctypes.c_uint8 * _BATCH)()
        self._status = ctypes.c_int()
        self._record = _Record()

    def __enter__(self) -> RingReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmaps the ring. May be called twice."""
        self._library.bulkhead_detach(self._ring)

    def _check(self, status: int) -> int:
        if status < 0:
            raise _refused(self._library, status, self._library.bulkhead_why(self._ring))
        return status

    @property
    def position(self) -> int:
        """Where the next record starts, in cells. Good in another process and after days."""
        position: int = self._library.bulkhead_position(self._ring)
        return position

    @property
    def published(self) -> int:
        """Cells that were published so far; less the position: how far this reader lags."""
        published: int = self._library.bulkhead_published(self._ring)
        return published

    @property
    def oldest(self) -> int:
        oldest: int = self._library.bulkhead_oldest(self._ring)
        return oldest

    @property
    def epoch(self) -> int:
        epoch: int = self._library.bulkhead_epoch(self._ring)
        return epoch

    @property
    def producer_pid(self) -> int:
        pid: int = self._library.bulkhead_producer_pid(self._ring)
        return pid

    def is_replaced(self) -> bool:
        """The path names another file by now: the set was started anew,
        and nothing more comes on this one."""
        return bool(self._library.bulkhead_is_replaced(self._ring, self._path))

    def go_to(self, where: Literal["oldest", "newest"] | int) -> None:
        """Moves to the oldest or behind the newest record, or to a position. Raises RingError (POSITION)."""
        if isinstance(where, int):
            self._check(self._library.bulkhead_start(self._ring, _FROM["position"], where))
        else:
            self._check(self._library.bulkhead_start(self._ring, _FROM[where], 0))

    def report(self) -> None:
        """Says on the cursor page how far this reader is; a successor starts there."""
        self._library.bulkhead_report_position(self._ring)

    def read(self, most: int = _BATCH) -> list[Outcome]:
        """What is there now, at most `most` records: empty when nothing is new. Lapped and EpochChanged stand
        where they happened. Raises RingError: DAMAGED and RETIRED end a reader."""
        return list(self._read(most))

    def _read(self, most: int) -> Iterator[Outcome]:
        count = self._library.bulkhead_poll_many(
            self._ring,
            self._buffer,
            len(self._buffer),
            min(most, _BATCH),
            self._offsets,
            self._kinds,
            ctypes.byref(self._status),
            ctypes.byref(self._record),
        )
        view, kinds = self._view, self._kinds
        offsets = self._offsets[: count + 1]
        for place in range(count):
            begin, end = offsets[place], offsets[place + 1]
            if self._is_book and end - begin >= EVENT_HEADER.size:
                header: Any = EVENT_HEADER.unpack_from(view, begin)
                yield make_event(kinds[place], header, view, begin + EVENT_HEADER.size, end, False)
            else:
                yield RingRecord(kinds[place], bytes(view[begin:end]))
        status, record = self._status.value, self._record
        if status == LAPPED:
            yield Lapped(record.lost_from, record.lost_to)
        elif status == EPOCH_CHANGED:
            yield EpochChanged(record.epoch_from, record.epoch)
        elif status < 0 and count == 0:
            self._check(status)

    def wait(self, seconds: float) -> None:
        """Until something may be there, at most so long.
        Sleeps in the kernel with a cursor page, else in small naps."""
        if self.is_parking:
            self._check(self._library.bulkhead_park(self._ring, int(seconds * 1e9)))
        else:
            time.sleep(min(seconds, 0.0005))

    def follow(self, idle: float | None = None) -> Iterator[Outcome]:
        """Records for ever; ends when nothing came for `idle` seconds,
        or the ring was replaced by another."""
        quiet_since = time.monotonic()
        while True:
            batch = self.read()
            if batch:
                yield from batch
                quiet_since = time.monotonic()
                continue
            quiet = time.monotonic() - quiet_since
            if idle is not None and quiet >= idle or quiet > 0.5 and self.is_replaced():
                return
            self.wait(0.1)


class RingRefill:
    """Fetches from the ring `book` of this host what no server sends any more: a client with it goes on
    exactly, event by event, for as long as the ring holds what it missed."""

    def __init__(self, path: str | os.PathLike[str], seconds: float = 5.0) -> None:
        """seconds: how long to wait for the ring to have the last event that is wanted"""
        self._path = path
        self._seconds = seconds

    def fetch(self, channel: int, complete: int, after: tuple[int, int], before: int) -> Iterable[Event]:
        """See `bulkhead.Refill`."""
        try:
            with RingReader(self._path, start="oldest") as reader:
                _seek(reader, complete)
                return self._collect(reader, channel, complete, after, before)
        except RingError as error:
            raise RefillUnavailable(f"{os.fspath(self._path)}: {error}") from error

    def _collect(
        self, reader: RingReader, channel: int, complete: int, after: tuple[int, int], before: int
    ) -> list[Event]:
        found: list[Event] = []
        first: tuple[int, int] | None = None
        starts_the_stream = reader.position == 0
        limit = time.monotonic() + self._seconds
        target = reader.published
        while True:
            batch = reader.read()
            for event in batch:
                if isinstance(event, Lapped):
                    raise RefillUnavailable(
                        f"the ring has lost the cells {event.lost_from} to {event.lost_to}"
                    )
                if not isinstance(event, Event):
                    continue
                here = (event.sequence, event.index)
                if first is None:
                    first = here
                    # Something at or before the wanted range shows that the ring goes back far enough.
                    if not starts_the_stream and event.sequence > complete:
                        raise RefillUnavailable(
                            f"the ring goes back to message {event.sequence}, wanted is {complete + 1}"
                        )
                if event.channel != channel:
                    raise RefillUnavailable(f"the ring is of channel {event.channel}, wanted is {channel}")
                if here[0] >= before:
                    return found
                if here > after:
                    found.append(event)
            # The server has published up to `before`, from this ring: its published position was beyond that
            # already.
            if not batch and reader.position >= target:
                return found
            if time.monotonic() > limit:
                raise RefillUnavailable(f"the ring did not come to message {before} in {self._seconds} s")


def _seek(reader: RingReader, complete: int) -> None:
    """Moves to a record whose message is at or before `complete`, or to the oldest: by halving, since records
    are in the order of their sequence numbers. A ring of millions of records takes some twenty looks."""
    low, high = reader.position, reader.published
    best = low
    while high - low > 8192:
        middle = _record_at_or_after(reader, (low + high) // 2, high)
        event = (
            next((each for each in reader.read(1) if isinstance(each, Event)), None)
            if middle is not None
            else None
        )
        if middle is None or event is None or event.sequence > complete:
            high = (low + high) // 2
        else:
            low = best = middle
    reader.go_to(best if best >= reader.oldest else "oldest")


def _record_at_or_after(reader: RingReader, position: int, end: int) -> int | None:
    """Most records take one cell or two, so a start is near any position."""
    for candidate in range(position, min(position + 2048, end)):
        try:
            reader.go_to(candidate)
        except RingError as error:
            if error.status != "POSITION":
                raise
        else:
            return candidate
    return None


@dataclass(frozen=True, slots=True)
class BestPricesRow:
    """An instrument's row of `best_prices.table`."""

    bid_price: int
    bid_size: int
    ask_price: int
    ask_size: int
    sequence: int
    venue_time: int
    flags: int

    @property
    def stale(self) -> bool:
        """The book is not to be trusted: look here before acting on a price."""
        return bool(self.flags & STALE)


class Table:
    """A table in shared memory: the newest value of each key. Reading never waits."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """path: such as /dev/shm/bulkhead/live/best_prices.table. Raises RingError."""
        self._library = library = load_library()
        self._table = ctypes.create_string_buffer(library.bulkhead_table_bytes())
        status = library.bulkhead_table_attach(self._table, os.fsencode(path), None)
        if status < 0:
            raise _refused(library, status, library.bulkhead_table_why(self._table))
        self.entries: int = library.bulkhead_table_entries(self._table)
        self._value = (ctypes.c_uint64 * 7)()

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._library.bulkhead_table_detach(self._table)

    def get(self, instrument: int) -> BestPricesRow | None:
        """The row of an instrument; None when there is none. Raises RingError: BUSY (try again), DETACHED."""
        status = self._library.bulkhead_table_read(self._table, instrument, self._value)
        if status == ABSENT:
            return None
        if status != VALUE:
            raise RingError(self._library.bulkhead_status_name(status).decode(), "no whole value")
        words = list(self._value)
        for place in (0, 2):
            words[place] -= (words[place] >> 63) << 64
        return BestPricesRow(*words)


__all__ = [
    "BestPricesRow",
    "EpochChanged",
    "Lapped",
    "RingReader",
    "RingRecord",
    "RingRefill",
    "Table",
    "library_path",
]
