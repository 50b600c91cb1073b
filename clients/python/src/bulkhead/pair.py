"""Two servers, one stream: each event is handed out once, from whichever server it comes first.

The stream is a function of the venue's messages, so two servers of one channel publish the same events under
the same identities (channel, sequence, index). As long as either of them is there, nothing is missed when the
other dies.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from .aio import AsyncClient
from .books import Book
from .client import BaseClient, Client
from .errors import BulkheadError, ClientClosed, MissedEvents
from .iteration import AsyncRecords, Records
from .records import (
    ADDED_INDEX,
    CaughtUp,
    Connected,
    Disconnected,
    EndOfSession,
    Event,
    FromSide,
    Gap,
    InputChanged,
    Missed,
    Record,
    RequestFailed,
    Resumed,
    Shutdown,
    SideChanged,
    SnapshotBegin,
    SnapshotEnd,
    Subscribed,
    Trust,
)
from .subscription import Start, Subscription, Symbols, TrustReport

_HELD = 1 << 18
# What is owed begins behind a message's own events; what the book stage adds to it later is owed as well.
_WHOLE = ADDED_INDEX - 1
_NOTICES = (Connected, Disconnected, Subscribed, Resumed, CaughtUp, InputChanged, RequestFailed, Shutdown)


@dataclass
class _Side:
    """What the arbiter knows of one server."""

    name: str
    connected: bool = False
    start: int | None = None  #: it has delivered everything behind this message; None: not yet caught up
    complete: int = 0  #: ... up to this one
    is_stale: bool = False  #: its stream has a hole, or says that it may be wrong
    held: deque[Event] = field(default_factory=deque)  #: events that cannot be handed out yet

    @property
    def ready(self) -> bool:
        return self.connected and self.start is not None


class Arbiter:
    """Merges the records of two sides. Knows no sockets."""

    def __init__(self, names: Sequence[str]) -> None:
        self.sides = {name: _Side(name) for name in names}
        self.out: deque[Record] = deque()
        #: Everything up to this message was handed out; None until the first side has caught up.
        self.complete: int | None = None
        self.last = (0, -1)
        self.duplicates = 0
        self.current: str | None = (
            None  #: the side whose snapshots were handed out, or that gave the last event
        )

    def offer(self, name: str, record: Record) -> None:
        """A record of a side, in its order."""
        side = self.sides[name]
        if isinstance(record, Event):
            if record.snapshot:
                if self.complete is None and self.current == name:
                    self.out.append(record)
            else:
                self._event(side, record)
        elif isinstance(record, (SnapshotBegin, SnapshotEnd)):
            if self.complete is None and self._elect(side):
                self.out.append(record)
        else:
            if isinstance(record, Connected):
                side.connected = True
            elif isinstance(record, Disconnected):
                side.connected = False
                if self.complete is None and self.current == name:
                    self.current = None
            elif isinstance(record, Resumed) and not record.exact and side.start is not None:
                side.start = record.first - 1
            if isinstance(record, _NOTICES):
                self.out.append(FromSide(name, record))

    def caught_up(self, name: str, start: int) -> None:
        """All snapshots of a side have come: it delivers everything behind message `start`."""
        side = self.sides[name]
        side.start = start
        if self.complete is None and self._elect(side):
            self.complete = start
            self.last = max(self.last, (start, _WHOLE))

    def progress(self, name: str, complete: int) -> None:
        """A side has delivered everything up to this message."""
        side = self.sides[name]
        side.complete = complete
        self.settle()

    def _elect(self, side: _Side) -> bool:
        """Whose snapshots are handed out at the beginning: those of the side that has some first."""
        if self.current is None:
            self.current = side.name
        return self.current == side.name

    def _other(self, side: _Side) -> _Side:
        return next(other for other in self.sides.values() if other is not side)

    def _may_serve(self, side: _Side) -> bool:
        """A side with a hole serves only while the other one cannot."""
        other = self._other(side)
        return side.ready and not (side.is_stale and other.ready and not other.is_stale)

    def _counts(self, side: _Side) -> bool:
        """Its events continue what was handed out, without a hole.
        What it delivered counts also after it has died."""
        if self.complete is None or side.start is None or side.start > self.complete:
            return False
        return not side.is_stale or self._may_serve(side)

    def _event(self, side: _Side, event: Event) -> None:
        if isinstance(event, Gap):
            side.is_stale = True
            if side.start is not None:
                side.start = max(side.start, event.last_lost)
        elif isinstance(event, Trust) and event.instrument == 0:
            side.is_stale = not event.live
        if self.complete is None:
            if self.current == side.name:
                self._hand_out(side, event)
            else:
                self._hold(side, event)
        elif self._counts(side):
            self._hand_out(side, event)
        elif isinstance(event, Gap) and self._may_serve(side) and event.first <= self.complete + 1:
            # Nobody else is there: the hole is everybody's, and the event says so.
            self._hand_out(side, event)
            self.complete = max(self.complete, event.last_lost)
        else:
            self._hold(side, event)

    def _hold(self, side: _Side, event: Event) -> None:
        side.held.append(event)
        if len(side.held) > _HELD:
            dropped = side.held.popleft()
            side.start = max(side.start or 0, dropped.sequence)

    def _hand_out(self, side: _Side, event: Event) -> None:
        here = (event.sequence, event.index)
        if here <= self.last:
            self.duplicates += 1
            return
        self.last = here
        self.current = side.name
        self.out.append(event)

    def settle(self) -> None:
        """Releases what may be handed out by now; crosses a hole that nobody can fill."""
        serving = [side for side in self.sides.values() if self._may_serve(side)]
        if self.complete is None:
            # The side whose snapshots were handed out has died over it, and the other one has caught up
            # meanwhile.
            if self.current is None and serving:
                self.current, self.complete = serving[0].name, serving[0].start
                self.last = max(self.last, (serving[0].start or 0, _WHOLE))
            if self.complete is None:
                return
        self._release()
        if serving and not any(self._counts(side) for side in serving):
            side = min(serving, key=lambda each: each.start or 0)
            assert side.start is not None
            self.out.append(Missed(self.complete + 1, side.start))
            self.complete = side.start
            self.last = max(self.last, (side.start, _WHOLE))
            self._release()
        for side in self.sides.values():
            while side.held and (side.held[0].sequence, side.held[0].index) <= self.last:
                side.held.popleft()
                self.duplicates += 1
        current = self.sides[self.current] if self.current else None
        if current is not None and not self._may_serve(current):
            for side in serving:
                if side is not current:
                    reason = "its stream has a hole" if current.connected else "it is not connected"
                    self.current = side.name
                    self.out.append(SideChanged(side.name, f"{current.name}: {reason}"))
                    break

    def _release(self) -> None:
        """Hands out what was held of sides that count, and lets them say how far everything is."""
        progressed = True
        while progressed and self.complete is not None:
            progressed = False
            for side in self.sides.values():
                if not self._counts(side):
                    continue
                while side.held:
                    self._hand_out(side, side.held.popleft())
                if side.complete > self.complete:
                    self.complete, progressed = side.complete, True


AnyClient = TypeVar("AnyClient", bound=BaseClient)


class _BasePair(Generic[AnyClient]):
    """What both pairs are but for the waiting."""

    def __init__(
        self, clients: dict[str, AnyClient], on_missed: Literal["record", "raise"], stop_at_end: bool
    ) -> None:
        self.clients = clients
        self.arbiter = Arbiter(list(clients))
        self._subscriptions: dict[str, list[Subscription]] = {name: [] for name in clients}
        self._waiting: dict[str, set[int]] = {name: set() for name in clients}
        self._begins: dict[str, int] = {}
        self._dead: dict[str, BulkheadError] = {}
        self._on_missed = on_missed
        self._stop_at_end = stop_at_end
        self._ended = False
        self._started = False
        self._closed = False

    def subscribe(
        self, symbols: Symbols, channels: Sequence[str] = ("orders", "defs"), start: Start = "snapshot"
    ) -> None:
        """As `Client.subscribe`, on both servers; before the first record is asked for."""
        if self._started:
            raise ValueError(
                "subscribe a pair before reading it: later, its servers would begin at different places"
            )
        for name, client in self.clients.items():
            subscription = client.subscribe(symbols, channels, start)
            self._subscriptions[name].append(subscription)
            self._waiting[name].add(subscription.key)

    def trust(self, symbol: str | int) -> TrustReport:
        """Whether the book of a symbol can be believed now: from one server at least."""
        return self._best(symbol).trust(symbol)

    def trustworthy(self, symbol: str | int) -> bool:
        return self.trust(symbol).trustworthy

    def book(self, symbol: str | int) -> Book | None:
        """The book of a symbol, of the server that can be believed and is further."""
        return self._best(symbol).book(symbol)

    def _best(self, symbol: str | int) -> AnyClient:
        return max(
            self.clients.values(),
            key=lambda client: (
                client.trustworthy(symbol),
                client.session.complete or 0,
                self.arbiter.current is not None and client is self.clients[self.arbiter.current],
            ),
        )

    def _take(self) -> Record | None:
        """Moves what the clients have into the arbiter; the next record of that."""
        self._started = True
        out = self.arbiter.out
        if not out:
            for name, client in self.clients.items():
                while name not in self._dead and (record := client._take()) is not None:
                    self.arbiter.offer(name, record)
                    self._note(name, client, record)
                # Only now: all that this says to be complete has been offered.
                if (
                    name not in self._dead
                    and client.session.complete is not None
                    and not client.session._resuming
                ):
                    self.arbiter.progress(name, client.session.complete)
                else:
                    self.arbiter.settle()
        if not out:
            return None
        record = out.popleft()
        if isinstance(record, Missed) and self._on_missed == "raise":
            raise MissedEvents(record.first, record.last)
        if isinstance(record, EndOfSession) and self._stop_at_end:
            self._ended = True
        return record

    def _note(self, name: str, client: AnyClient, record: Record) -> None:
        """A side delivers everything from the moment on at which all its
        subscriptions have begun and caught up."""
        if self.arbiter.sides[name].start is not None or not isinstance(record, (Subscribed, CaughtUp)):
            return
        # The records tell, in their order; the subscriptions themselves are as far as what was received.
        waiting = self._waiting[name]
        if isinstance(record, CaughtUp):
            waiting.discard(record.key)
            here = record.sequence
        else:
            here = record.first_sequence - 1
            if any(each.key == record.key and each.start == "live" for each in self._subscriptions[name]):
                waiting.discard(record.key)
        self._begins[name] = max(self._begins.get(name, 0), here)
        if not waiting:
            self.arbiter.caught_up(name, self._begins[name])

    def _bury(self, name: str, error: BulkheadError) -> None:
        """A server that connecting again does not help with. The other one goes on alone."""
        self._dead[name] = error
        self.arbiter.offer(name, Disconnected(error, float("inf")))
        if len(self._dead) == len(self.clients):
            raise error


def _options(options: dict[str, Any]) -> dict[str, Any]:
    refused = {"cursor", "since", "on_missed", "stop_at_end"} & options.keys()
    if refused:
        raise TypeError(f"a pair has no option {sorted(refused)[0]!r}")
    return options


class Pair(Records, _BasePair[Client]):
    """Two servers of one channel, as one client. `url_a` and `url_b` are called "a" and "b" in records."""

    def __init__(
        self,
        url_a: str,
        url_b: str,
        *,
        on_missed: Literal["record", "raise"] = "record",
        stop_at_end: bool = False,
        **options: Any,
    ) -> None:
        """options: those of `Client`, for both connections"""
        made = {name: Client(url, **_options(options)) for name, url in (("a", url_a), ("b", url_b))}
        super().__init__(made, on_missed, stop_at_end)

    def read(self, timeout: float | None = None) -> Record | None:
        """The next record; None when the session has ended (with
        `stop_at_end`) or after `timeout` seconds."""
        limit = None if timeout is None else time.monotonic() + timeout
        turned = False
        while True:
            if self._closed:
                raise ClientClosed("the pair is closed")
            if self._ended:
                return None
            record = self._take()
            if record is not None:
                return record
            if turned and limit is not None and time.monotonic() >= limit:
                return None
            self._turn(limit)
            turned = True

    def _turn(self, limit: float | None) -> None:
        alive = {name: client for name, client in self.clients.items() if name not in self._dead}
        for client in alive.values():
            if client._link is not None and not client._is_connecting and client._socket is not None:
                self._guarded(client, time.monotonic())
        wake = min(client._wakes_at() for client in alive.values())
        until = wake if limit is None else min(limit, wake)
        sockets = [client._socket for client in alive.values() if client._socket is not None]
        connecting = [client._socket for client in alive.values() if client._wants_writing and client._socket]
        if not self._has_records():
            select.select(sockets, connecting, [], max(0.0, until - time.monotonic()))
        for client in alive.values():
            self._guarded(client, time.monotonic())

    def _has_records(self) -> bool:
        return any(client.session.records for client in self.clients.values())

    def _guarded(self, client: Client, limit: float) -> None:
        """One turn of one side that does not wait."""
        name = next(name for name, each in self.clients.items() if each is client)
        if name in self._dead:
            return
        try:
            client._turn(limit)
        except BulkheadError as error:
            self._bury(name, error)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            for client in self.clients.values():
                client.close()


class AsyncPair(AsyncRecords, _BasePair[AsyncClient]):
    """`Pair` for `async for`."""

    def __init__(
        self,
        url_a: str,
        url_b: str,
        *,
        on_missed: Literal["record", "raise"] = "record",
        stop_at_end: bool = False,
        **options: Any,
    ) -> None:
        made = {name: AsyncClient(url, **_options(options)) for name, url in (("a", url_a), ("b", url_b))}
        super().__init__(made, on_missed, stop_at_end)
        self._turns: dict[str, asyncio.Task[None]] = {}

    async def read(self, timeout: float | None = None) -> Record | None:
        """The next record; None when the session has ended (with
        `stop_at_end`) or after `timeout` seconds."""
        limit = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._closed:
                raise ClientClosed("the pair is closed")
            if self._ended:
                return None
            record = self._take()
            if record is not None:
                return record
            if limit is not None and time.monotonic() >= limit:
                return None
            for name, client in self.clients.items():
                if name not in self._dead and name not in self._turns:
                    self._turns[name] = asyncio.ensure_future(client._turn(None))
            done, _ = await asyncio.wait(
                self._turns.values(),
                timeout=None if limit is None else max(0.0, limit - time.monotonic()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for name in [name for name, turn in self._turns.items() if turn in done]:
                error = self._turns.pop(name).exception()
                if isinstance(error, BulkheadError):
                    self._bury(name, error)
                elif error is not None:
                    raise error

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for turn in self._turns.values():
            turn.cancel()
        await asyncio.gather(*self._turns.values(), return_exceptions=True)
        for client in self.clients.values():
            await client.close()
