"""What the protocol means, without sockets and clocks: messages and instants in, requests and records out.

The clients in `client` and `aio` carry its bytes. One session outlives its connections. After an interruption
at message C it asks the server for everything behind C. A server that has not got that any more, or cannot do
it, is asked for what comes from now on, and says the first message F that does: then the session either has the
events between C and F from a refill source, or knows that there are none, or says which messages it missed; in
no case does it guess.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Literal

from . import wire
from .books import Book
from .cursor import Cursor, Origin
from .digest import StreamDigest, has_fast_digest
from .errors import (
    BookMismatch,
    BulkheadError,
    ConnectError,
    ConnectionLost,
    ContinuityError,
    FutureCursor,
    HeartbeatTimeout,
    MissedEvents,
    ProtocolError,
    RefillUnavailable,
    RequestError,
    RetriesExhausted,
    StreamChanged,
    UnsupportedVersion,
)
from .records import (
    ADDED_INDEX,
    CHANNELS,
    CaughtUp,
    Connected,
    Definition,
    Disconnected,
    Event,
    Gap,
    Heartbeat,
    InputChanged,
    Missed,
    Record,
    RequestFailed,
    Resolved,
    Resumed,
    Shutdown,
    Skipped,
    Slow,
    SnapshotBegin,
    SnapshotEnd,
    Subscribed,
    Trust,
)
from .subscription import Backoff, Mark, OnSlow, Refill, Start, Subscription, Symbols, TrustReport

# The last index that a message's own events can have: what the book stage adds to it later is behind that.
_WHOLE = ADDED_INDEX - 1
_HEARTBEATS = 2.5
_LEVEL = Struct("<qQ")
# A server that refuses a cursor for one of these still has what comes from now on.
_NOT_HELD = ("outdated_cursor", "future_cursor", "replay_unavailable")


class _Replay:
    """A subscription's past on its way."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.count = 0
        self.digest = StreamDigest() if has_fast_digest() else None


class Session:
    """One client's view of one stream, over any number of connections. Not thread-safe."""

    def __init__(
        self,
        *,
        cursor: Cursor | None = None,
        since: int | None = None,
        refill: Refill | None = None,
        on_missed: Literal["record", "raise"] = "record",
        backoff: Backoff | None = None,
        timeout: float = 10.0,
        lag: int = 0,
        books: bool = True,
    ) -> None:
        """
        cursor, since: where to go on: a cursor, or everything behind message `since` (0: the whole session)
        lag: messages that a server may be behind this client and still be taken for one of the same stream.
            0 is right for one server; between servers that run side by side a little is normal.
        books: whether to keep books from the events
        """
        self.refill = refill
        self.on_missed = on_missed
        self.backoff = backoff or Backoff()
        self.timeout = timeout
        self.lag = lag
        self.keeps_books = books
        self.outbox: deque[str] = deque()
        self.records: deque[Record | Mark | RequestError] = deque()
        self.subscriptions: dict[int, Subscription] = {}
        self.books: dict[int, Book] = {}
        self.symbols: dict[str, int] = {}
        #: Every event up to this message was received; None before the first subscription.
        self.complete: int | None = None
        #: (sequence, index) of the newest live event that was received.
        self.last = (0, -1)
        self.duplicates = 0
        self.failures = 0
        self.hello: dict[str, Any] = {}
        self.channel: int | None = None
        self.epoch = 0
        self._epochs: dict[tuple[str, str], int] = {}
        #: What `complete` was read from; None: nobody knows, it is the user's word.
        self._origin: Origin | None = None
        self._current = Origin()  # what the last hello named
        self._next_id = 1
        #: The stream is known from its first message on, so a book is exact without a snapshot.
        self._whole = False
        self._tick = 0
        self._channel_trust: tuple[int, bool, str] = (0, True, "")
        self._book_ticks: dict[int, int] = {}
        if cursor is not None:
            self.complete, self.last = cursor.sequence, (cursor.last_sequence, cursor.last_index)
            self.channel, self._origin = cursor.channel, cursor.origin
            if cursor.server:
                self._epochs[cursor.server, cursor.instance] = cursor.epoch
        elif since is not None:
            self.complete, self.last = since, (since, _WHOLE if since else -1)
        self._whole = self.complete == 0
        self._reset()

    def _reset(self) -> None:
        """Everything that belongs to one connection."""
        self.connected = False
        self._resuming = False
        self._chain: int | None = None
        self._pending: dict[int, tuple[str, Subscription]] = {}
        self._held: list[Event] = []
        self._snapshot: list[int] | None = None
        self._identity = (0, -1)
        self._input: str | None = None
        self._last_message = 0.0
        self._silence = 0.0
        self._retries: list[tuple[float, str, Subscription]] = []
        self._replays: dict[int, _Replay] = {}
        # Events that came again, until those of every subscription are there and can be put in order.
        self._replayed: list[Event] = []
        self._replayed_count = 0
        self._resumed_from = 0
        self._uses_cursors = True
        # Another incarnation or another server goes on: what it says of trust is in its snapshots.
        self._is_succeeded = False
        # Where the stream was taken up anew, with what is unknown to this client in front of its place.
        self._taken_up: int | None = None
        self.outbox.clear()
        for subscription in self.subscriptions.values():
            subscription.number = subscription.state_number = None
            subscription.active = False

    # -- what the user asks for ------------------------------------------------------------------------------

    def subscribe(
        self,
        symbols: Symbols,
        channels: Sequence[str],
        start: Start,
        *,
        on_slow: OnSlow = "disconnect",
        checksum: bool = False,
    ) -> Subscription:
        """Makes a subscription; the request goes out now, or when there is a connection."""
        if isinstance(channels, str) or (isinstance(symbols, str) and symbols != "*"):
            raise ValueError('symbols are "*" or a list of symbols, channels a list')
        unknown = [channel for channel in channels if channel not in CHANNELS]
        if unknown or not channels:
            raise ValueError(f"unknown channels {unknown}; there are {sorted(CHANNELS)}")
        if start not in ("live", "snapshot"):
            raise ValueError('start is "live" or "snapshot"')
        subscription = Subscription(
            self._id(),
            "*" if symbols == "*" else tuple(symbols),
            tuple(channels),
            start,
            on_slow,
            checksum,
            caught_up=start == "live",
        )
        self.subscriptions[subscription.key] = subscription
        if self.connected:
            self._request_subscription(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a subscription. What other subscriptions do not cover stops at once."""
        self.subscriptions.pop(subscription.key, None)
        for number in (subscription.number, subscription.state_number):
            if number is not None:
                self._request("unsubscribe", subscription, {"op": "unsubscribe", "sub": number})
        subscription.number = subscription.state_number = None
        subscription.active = False
        for instrument, book in self.books.items():
            if book.tracks_orders and not self._tracks_orders(instrument):
                book.tracks_orders = False
                book.void("not subscribed")

    def _tracks_orders(self, instrument: int) -> bool:
        return any(
            "orders" in each.channels and each.concerns(instrument) for each in self.subscriptions.values()
        )

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _request(self, purpose: str, subscription: Subscription, fields: dict[str, Any]) -> None:
        number = self._id()
        self._pending[number] = (purpose, subscription)
        self.outbox.append(json.dumps({**fields, "id": number}))

    def _request_subscription(self, subscription: Subscription, purpose: str = "first") -> None:
        """purpose: first = new; resume = goes on behind a hole; state = only for its snapshots."""
        start: Any = {"first": subscription.start, "resume": "live", "state": "snapshot"}[purpose]
        if purpose == "resume" and self._uses_cursors:
            origin = self._origin
            is_comparable = origin is not None and not origin.is_elsewhere(self._current)
            start = {"epoch": str(origin.epoch if origin and is_comparable else self.epoch), "seq": self.complete}
            if origin and origin.session:
                start["session"] = origin.session
        symbols = subscription.symbols
        fields = {
            "op": "subscribe",
            "symbols": symbols if symbols == "*" else list(symbols),
            "channels": list(subscription.channels),
            "start": start,
        }
        # Servers of before know no such fields, and need not hear of them unless they are used.
        if subscription.on_slow != "disconnect":
            fields["on_slow"] = subscription.on_slow
        if subscription.checksum:
            fields["checksum"] = "heartbeat"
        self._request(purpose, subscription, fields)

    # -- connection ------------------------------------------------------------------------------------------

    def opened(self, url: str, now: float) -> None:
        """A WebSocket is open; the hello comes next."""
        self._reset()
        self._url = url
        self._last_message, self._silence = now, self.timeout

    def lost(self, error: Exception) -> float:
        """The connection ended, or was never made.
        Returns the seconds to wait before the next attempt, or raises."""
        if self._snapshot is not None:
            self._book(self._snapshot[1]).void("disconnected within its snapshot")
        if isinstance(error, ProtocolError):
            # What was wrong may have been wrong for a while: nothing is built upon it.
            self._void_books(str(error))
        self._reset()
        if isinstance(error, BulkheadError) and not error.retry:
            raise error
        self.failures += 1
        delay = self.backoff.delay(self.failures)
        if delay is None:
            raise RetriesExhausted(f"{self.failures} attempts failed; the last: {error}") from error
        self._emit(Disconnected(error, delay))
        return delay

    def deadline(self) -> float:
        """When `check` has something to do at the latest, unless a message comes."""
        return min([self._last_message + self._silence, *(retry[0] for retry in self._retries)])

    def check(self, now: float) -> None:
        """To be called when nothing is there to be read.
        Raises HeartbeatTimeout when the server is taken for lost."""
        if now >= self._last_message + self._silence:
            if not self.connected:
                raise ConnectError(f"no hello within {self.timeout} s")
            raise HeartbeatTimeout(f"nothing came for {self._silence:.3g} s")
        due = [retry for retry in self._retries if retry[0] <= now]
        self._retries = [retry for retry in self._retries if retry[0] > now]
        for _, purpose, subscription in due:
            if subscription.key in self.subscriptions:
                self._request_subscription(subscription, purpose)

    # -- text ------------------------------------------------------------------------------------------------

    def text(self, payload: bytes, now: float) -> None:
        """A control message of the server."""
        self._last_message = now
        try:
            message = json.loads(payload)
            handler = _HANDLERS.get(message["type"])
            # Messages may be added to the protocol: what is not known is no concern of this client.
            if handler is not None:
                handler(self, message, now)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(f"control message {payload[:200]!r}: {error!r}") from error

    def _on_hello(self, message: dict[str, Any], now: float) -> None:
        if message["proto"] != 1 or message["schema"]["id"] != 1:
            raise UnsupportedVersion(
                f"protocol {message['proto']}, schema {message['schema']}; this package speaks 1 and 1"
            )
        channel, epoch, place = (
            int(message["channel"]),
            int(message["epoch"]),
            (message["server"], message["instance"]),
        )
        if self.channel is not None and channel != self.channel:
            raise StreamChanged(f"the server serves channel {channel}, this client was on {self.channel}")
        # A server that takes cursors says by itself whether the place's epoch is of this stream.
        if epoch < self._epochs.get(place, 0) and "limits" not in message:
            raise StreamChanged(f"epoch {epoch} after {self._epochs[place]}: the set was started anew")
        venue = str(message.get("session", ""))
        origin = self._origin
        if self.complete and origin and origin.session and venue and venue != origin.session:
            raise StreamChanged(f"the venue's session is {venue}, this client was in {origin.session}")
        self._epochs[place] = self.epoch = epoch
        self._current = Origin(*place, epoch, str(message.get("config_hash", "")), venue)
        self.channel, self.hello = channel, message
        self._silence = _HEARTBEATS * int(message["heartbeat_ms"]) / 1000
        self.connected = True
        self._emit(
            Connected(
                self._url,
                message["server"],
                message["instance"],
                epoch,
                message.get("config_hash", ""),
                message,
            )
        )
        self._resuming = self.complete is not None and bool(self.subscriptions)
        self._resumed_from = self.complete or 0
        self._uses_cursors = "limits" in message
        for subscription in self.subscriptions.values():
            self._request_subscription(subscription, "resume" if self._resuming else "first")

    def _on_subscribed(self, message: dict[str, Any], now: float) -> None:
        purpose, subscription = self._pending.pop(message["id"])
        if purpose == "void":
            return self._request("unsubscribe", subscription, {"op": "unsubscribe", "sub": int(message["sub"])})
        subscription.instruments = {
            str(symbol): int(number) for symbol, number in message["instruments"].items()
        }
        subscription.unresolved = list(message["unresolved"])
        self.symbols.update(subscription.instruments)
        number, first = int(message["sub"]), int(message["first_seq"])
        if purpose == "state":
            subscription.state_number = number
            return
        subscription.number, subscription.first = number, first
        subscription.active = subscription.was_active = True
        if subscription.key not in self.subscriptions:  # ended while the answer was on its way
            return self.unsubscribe(subscription)
        self._emit(
            Subscribed(subscription.key, first, dict(subscription.instruments), list(subscription.unresolved))
        )
        if purpose == "resume":
            if self._uses_cursors:
                self._succeed()
                self._replays[number] = _Replay(subscription)
                return None
            return self._finish_resume_when_ready()
        if self.complete is None:
            self.complete, self._origin = first - 1, self._current
            self._whole = first <= 1
            self.failures = 0
            self._mark()
        elif self._resuming:
            self._finish_resume_when_ready()
        return None

    def _on_resolved(self, message: dict[str, Any], now: float) -> None:
        symbol, instrument = str(message["symbol"]), int(message["instrument"])
        subscription = self._by_number(int(message["sub"]))
        self.symbols[symbol] = instrument
        if subscription is None:
            return
        is_news = symbol not in subscription.instruments
        subscription.instruments[symbol] = instrument
        if symbol in subscription.unresolved:
            subscription.unresolved.remove(symbol)
        if is_news:
            self._emit(Resolved(symbol, instrument))

    def _on_caught_up(self, message: dict[str, Any], now: float) -> None:
        number = int(message["sub"])
        if number in self._replays:
            return self._on_replayed(number, message)
        subscription = self._by_number(number)
        if subscription is None:
            return
        subscription.caught_up = True
        self._emit(
            CaughtUp(
                subscription.key, int(message["seq"]), int(message["instruments"]), int(message["orders"])
            )
        )
        if number == subscription.state_number:
            # The events come through the other subscription: this one has done its work.
            subscription.state_number = None
            if not subscription.unresolved:
                self._request("unsubscribe", subscription, {"op": "unsubscribe", "sub": number})

    def _on_error(self, message: dict[str, Any], now: float) -> None:
        error = RequestError(message["code"], message["msg"], message.get("field"), message.get("nearest"))
        purpose, subscription = self._pending.pop(message.get("id", -1), (None, None))
        if purpose == "void":
            return None
        if "sub" in message and self._replays.pop(int(message["sub"]), None) is not None:
            return self._resume_without_cursors(error)
        if purpose == "resume" and self._uses_cursors:
            is_of_another = error.code == "future_cursor" and error.field == "start.epoch"
            if error.code == "wrong_session" or is_of_another:
                raise StreamChanged(error.message)
            if error.code in _NOT_HELD:
                if error.field == "start.epoch":
                    self._taken_up = int(message["oldest"]["seq"]) + 1
                return self._resume_without_cursors(error)
        if subscription is None and "sub" in message:
            subscription, purpose = self._by_number(int(message["sub"])), "ended"
        if subscription is None or purpose is None:
            return self._emit(RequestFailed(None, error, None))
        if error.code == "snapshot_unavailable" and purpose in ("first", "state"):
            self.failures += 1
            delay = self.backoff.delay(self.failures)
            if delay is not None:
                self._retries.append((now + delay, purpose, subscription))
                return self._emit(RequestFailed(subscription.key, error, delay))
        if purpose != "unsubscribe":
            subscription.error = error
            self.unsubscribe(subscription)
        if purpose == "first" or (purpose == "resume" and not subscription.was_active):
            # Never in force: what was asked for was wrong, and somebody has to hear of it.
            self.records.append(error)
        else:
            self._emit(RequestFailed(subscription.key, error, None))
        if self._resuming:
            self._finish_resume_when_ready()
        return None

    def _on_slow(self, message: dict[str, Any], now: float) -> None:
        self._emit(Slow(int(message["queued"]), int(message["capacity"])))

    def _on_skipped(self, message: dict[str, Any], now: float) -> None:
        self._emit(Skipped(int(message["first_seq"]), int(message["last_seq"]), int(message["events"])))

    def _on_unsubscribed(self, message: dict[str, Any], now: float) -> None:
        self._pending.pop(message["id"], None)

    def _on_shutdown(self, message: dict[str, Any], now: float) -> None:
        self._emit(Shutdown())

    def _by_number(self, number: int) -> Subscription | None:
        for subscription in self.subscriptions.values():
            if number in (subscription.number, subscription.state_number):
                return subscription
        return None

    # -- resume ----------------------------------------------------------------------------------------------

    def _on_replay(self, frame: wire.Frame) -> None:
        """Events of the past. One subscription's come in order and are handed out at once; several are put in
        order when all are there."""
        number, _, through = wire.BLOCK_REPLAY.unpack_from(frame.data, frame.block)
        replay = self._replays.get(number)
        if replay is None:
            return
        alone = len(self._replays) == 1 and not self._replayed and not self._pending
        for event in frame.events(False):
            replay.count += 1
            if replay.digest is not None:
                replay.digest.update(event)
            if alone:
                self._deliver(event)
                self._replayed_count += 1
            else:
                self._replayed.append(event)
        if alone and self.complete is not None:
            self.complete = max(self.complete, through - 1)
            self._mark()

    def _on_replayed(self, number: int, message: dict[str, Any]) -> None:
        replay = self._replays[number]
        found = (replay.count, message["xxh64"] if replay.digest is None else replay.digest.hexdigest())
        if found != (message["records"], message["xxh64"]):
            raise ProtocolError(f"replayed {found}, of {message['records']}, {message['xxh64']}")
        replay.subscription.first = int(message["seq"]) + 1
        del self._replays[number]
        if not self._replays:
            self._finish_cursors()

    def _finish_cursors(self) -> None:
        """Once the past of every subscription is there: hands it out, then what came live meanwhile."""
        if any(purpose == "resume" for purpose, _ in self._pending.values()):
            return
        assert self.complete is not None
        subscriptions = [subscription for subscription in self.subscriptions.values() if subscription.active]
        events = {(event.sequence, event.index): event for event in (*self._replayed, *self._held)}
        live = len(self._held)
        self._replayed, self._held, self._resuming = [], [], False
        for place in sorted(events):
            self._deliver(events[place])
        # All are complete up to where the first of them ended; what the others have behind it came live.
        end = min((subscription.first for subscription in subscriptions), default=self.complete + 1) - 1
        again = self._is_succeeded and self.complete > 0
        count = self._replayed_count + max(0, len(events) - live)
        self._emit(Resumed(True, self._resumed_from, end + 1, count))
        self.complete = max(self.complete, end)
        self._mark()
        self.failures = 0
        if again:
            self._suspend_books()
        self._request_states(subscriptions, again)

    def _succeed(self) -> None:
        """From here on places are of the stream that the last hello named."""
        origin, self._origin = self._origin, self._current
        if origin is not None and (origin.epoch != self.epoch or origin.is_elsewhere(self._current)):
            self._is_succeeded = True

    def _resume_without_cursors(self, error: RequestError) -> None:
        """The server has not got what is behind the cursor: from now on, then, and the hole is closed from
        elsewhere or said."""
        self._emit(RequestFailed(None, error, None))
        self._uses_cursors = False
        self._replays.clear()
        self._replayed.clear()
        self._held.clear()
        self._pending = {
            number: ("void" if purpose == "resume" else purpose, subscription)
            for number, (purpose, subscription) in self._pending.items()
        }
        for subscription in self.subscriptions.values():
            if subscription.number is not None:
                self._request("unsubscribe", subscription, {"op": "unsubscribe", "sub": subscription.number})
                subscription.number, subscription.active = None, False
            self._request_subscription(subscription, "resume")

    def _request_states(self, subscriptions: list[Subscription], again: bool = False) -> None:
        """Asks for snapshots, of those that never got theirs, or of all."""
        for subscription in subscriptions:
            if subscription.start == "snapshot" and (again or not subscription.caught_up):
                subscription.caught_up = False
                self._request_subscription(subscription, "state")

    def _finish_resume_when_ready(self) -> None:
        """Once every subscription is in force again: closes the hole, or says how large it is."""
        if any(purpose == "resume" for purpose, _ in self._pending.values()):
            return
        subscriptions = [subscription for subscription in self.subscriptions.values() if subscription.active]
        held, self._held = self._held, []
        assert self.complete is not None
        complete = self.complete
        # With several subscriptions the answers may differ: all deliver from the last one's first message on.
        first = max((subscription.first for subscription in subscriptions), default=complete + 1)
        if first - 1 < complete - self.lag:
            if self._taken_up is not None:  # It will come here again.
                raise ConnectionLost(1006, f"taken up at {self._taken_up}, not yet come to {complete} again")
            raise FutureCursor(complete, first - 1)
        taken_up, self._taken_up = self._taken_up, None
        refilled = self._fetch(complete, first) if taken_up is None else None
        exact = taken_up is None and (refilled is not None or first <= complete + 1)
        if not exact:
            # What an earlier life of the stream said behind the place where it was taken up does not count.
            missed = complete + 1 if taken_up is None else min(taken_up, complete + 1)
            if self.on_missed == "raise":
                raise MissedEvents(missed, max(missed, first - 1))
            self._void_books("events were missed")
            self._emit(Missed(missed, max(missed, first - 1)))
        self._resuming = False
        self._succeed()
        count = 0
        filters = [subscription.filter() for subscription in subscriptions]
        for event in refilled or ():
            if any(wanted(event) for wanted in filters):
                count += 1
                self._deliver(event)
        self._emit(Resumed(exact, complete, first, count))
        self.complete = max(complete, first - 1)
        self._mark()
        for event in held:
            self._deliver(event)
        self.failures = 0
        if refilled is None and complete > 0:
            self._suspend_books()
        self._request_states(subscriptions, again=refilled is None)

    def _fetch(self, complete: int, first: int) -> list[Event] | None:
        """The events between; None when nobody has them."""
        if self.refill is None or first - 1 < complete or self.channel is None:
            return None
        try:
            return list(self.refill.fetch(self.channel, complete, self.last, first))
        except RefillUnavailable as error:
            self._emit(RequestFailed(None, RequestError("refill_unavailable", str(error)), None))
            return None

    def _suspend_books(self) -> None:
        """Events that the book stage added behind the last message may have gone by, which have no number of
        their own: what they said of a book's trust is in its snapshot only."""
        self._whole = False
        for book in self.books.values():
            book.suspended = True

    def _void_books(self, why: str) -> None:
        self._whole = False
        for book in self.books.values():
            book.void(why)
        for subscription in self.subscriptions.values():
            subscription.caught_up = subscription.start == "live"

    # -- frames ----------------------------------------------------------------------------------------------

    def binary(self, payload: bytes, now: float) -> None:
        """A frame. Nothing of it was used when this raises ContinuityError."""
        self._last_message = now
        frame = wire.decode_frame(payload)
        if not self.connected:
            raise ProtocolError("a frame before the hello")
        if frame.epoch != self.epoch & 0xFFFF_FFFF:
            raise ProtocolError(f"a frame of epoch {frame.epoch}, the hello said {self.epoch}")
        expected = 0 if self._chain is None else self._chain
        if frame.previous != expected:
            raise ContinuityError(expected, frame.previous)
        self._chain = frame.sequence
        template = frame.template
        if template == wire.EVENTS:
            self._on_events(frame)
        elif template == wire.SNAPSHOT_BEGIN:
            self._on_snapshot_begin(frame)
        elif template == wire.SNAPSHOT_ORDERS:
            self._on_snapshot_orders(frame)
        elif template == wire.SNAPSHOT_END:
            self._on_snapshot_end(frame)
        elif template == wire.REPLAY:
            self._on_replay(frame)
        elif template == wire.CHECKSUM:
            self._on_checksum(frame)
        elif template == wire.HEARTBEAT:
            time, state = wire.BLOCK_HEARTBEAT.unpack_from(payload, frame.block)
            self._set_input(state, time)
            self._emit(Heartbeat(frame.sequence, time))
        elif template == wire.STATUS:
            state, time = wire.BLOCK_STATUS.unpack_from(payload, frame.block)
            self._set_input(state, time)
        if not self._resuming and self.complete is not None:
            self.complete = max(self.complete, frame.sequence - (frame.flags & wire.MESSAGE_CONTINUES))
            self._origin = self._current
            self._mark()

    def _on_checksum(self, frame: wire.Frame) -> None:
        """Compares a book with the server's."""
        _, instrument, wanted, bids, asks = wire.BLOCK_CHECKSUM.unpack_from(frame.data, frame.block)
        book = self.books.get(instrument)
        if self._resuming or book is None or not book.complete or not book.tracks_orders:
            return
        levels = [level for sell in (False, True) for level in book.levels(sell, 10)]
        found = wire.crc32c(b"".join(_LEVEL.pack(level.price, level.size) for level in levels))
        if found != wanted:
            raise BookMismatch(
                f"the book of instrument {instrument} at {frame.sequence} has the checksum {found:08x}, "
                f"the server's has {wanted:08x} ({bids} bid and {asks} ask levels)"
            )

    def _set_input(self, state: int, time: int) -> None:
        name = wire.INPUT_STATES[state] if state < len(wire.INPUT_STATES) else f"state {state}"
        if name != self._input:
            self._input = name
            self._emit(InputChanged(name, time))

    def _on_events(self, frame: wire.Frame) -> None:
        low, high = frame.previous, frame.sequence
        newest = low
        for event in frame.events(False):
            newest = event.sequence
            here = (newest, event.index)
            if not low <= newest <= high:
                raise ProtocolError(f"event {here} in a frame of the messages {low} to {high}")
            if here <= self._identity:
                raise ProtocolError(f"event {here} after {self._identity}")
            self._identity = here
            if self._resuming:
                self._held.append(event)
            else:
                self._deliver(event)
        if newest != high:
            raise ProtocolError(f"an events frame up to {high} whose last event is of {newest}")

    def _on_snapshot_begin(self, frame: wire.Frame) -> None:
        _, instrument, orders = wire.BLOCK_BEGIN.unpack_from(frame.data, frame.block)
        if self._snapshot is not None:
            raise ProtocolError("a snapshot inside another")
        self._snapshot = [frame.sequence, instrument, orders, 0, 0]
        if self.keeps_books:
            book = self._book(instrument)
            book.tracks_orders = self._tracks_orders(instrument)
            book.begin(frame.sequence)
            self._tick += 1
            self._book_ticks[instrument] = self._tick
        self._emit(SnapshotBegin(instrument, frame.sequence, orders))

    def _on_snapshot_orders(self, frame: wire.Frame) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            raise ProtocolError("entries of a snapshot that has not begun")
        for event in frame.events(True):
            if event.instrument != snapshot[1] or event.sequence != snapshot[0]:
                raise ProtocolError(f"{event} in the snapshot of {snapshot[1]} at {snapshot[0]}")
            snapshot[3] += type(event).__name__ == "OrderAdd"
            snapshot[4] += 1
            self._apply(event)
            self._emit(event)

    def _on_snapshot_end(self, frame: wire.Frame) -> None:
        _, instrument, orders, entries = wire.BLOCK_END.unpack_from(frame.data, frame.block)
        if self._snapshot != [frame.sequence, instrument, orders, orders, entries]:
            raise ProtocolError(
                f"the end of a snapshot: {orders} orders, {entries} entries; there were {self._snapshot}"
            )
        self._snapshot = None
        if self.keeps_books:
            self._book(instrument).end()
        self._emit(SnapshotEnd(instrument, frame.sequence, orders))

    # -- events ----------------------------------------------------------------------------------------------

    def _deliver(self, event: Event) -> None:
        """A live event, in order. Hands it out unless it was handed out before."""
        self._apply(event)
        here = (event.sequence, event.index)
        if here <= self.last:
            self.duplicates += 1
            return
        self.last = here
        self.records.append(event)

    def _apply(self, event: Event) -> None:
        if isinstance(event, Definition):
            self.symbols[event.symbol] = event.instrument
        if not self.keeps_books:
            return
        if event.instrument:
            self._book(event.instrument).apply(event)
        elif isinstance(event, (Trust, Gap)):
            self._tick += 1
            live = isinstance(event, Trust) and event.live
            self._channel_trust = (self._tick, live, event.reason)
            if isinstance(event, Gap):
                self._whole = False

    def _book(self, instrument: int) -> Book:
        book = self.books.get(instrument)
        if book is None:
            book = self.books[instrument] = Book(instrument)
            book.tracks_orders = self._tracks_orders(instrument)
            if self._whole:
                book.live, book.complete, book.stale_reason = True, True, ""
        return book

    def _emit(self, record: Record) -> None:
        self.records.append(record)

    def _mark(self) -> None:
        """A place in the row of records where all messages up to `complete` are in front."""
        if self.complete is not None:
            self.records.append(Mark(self.complete, self.last, self._origin or self._current))

    # -- trust -----------------------------------------------------------------------------------------------

    def book(self, symbol: str | int) -> Book | None:
        """The book of a symbol or an instrument number."""
        instrument = self.symbols.get(symbol) if isinstance(symbol, str) else symbol
        return None if instrument is None else self.books.get(instrument)

    def trust(self, symbol: str | int, now: float) -> TrustReport:
        """Whether the book of a symbol can be believed now."""
        reasons = []
        age = now - self._last_message if self.connected else None
        if not self.connected:
            reasons.append("not connected")
        elif age is not None and age > self._silence:
            reasons.append(f"nothing came for {age:.3g} s")
        if self._resuming:
            reasons.append("resuming")
        if self.connected and self._input != "live":
            reasons.append(
                "no heartbeat yet" if self._input is None else f"the server's input is {self._input}"
            )
        book = self.book(symbol)
        if book is None:
            reasons.append("no such book")
        else:
            if self.connected and not any(
                each.active and each.concerns(book.instrument) for each in self.subscriptions.values()
            ):
                reasons.append("not subscribed")
            tick, live, why = self._channel_trust
            if not live and tick > self._book_ticks.get(book.instrument, 0):
                reasons.append(f"the channel is stale: {why}")
            if book.suspended and book.complete:
                reasons.append("no snapshot since the stream was resumed")
            if not book.live or not book.complete:
                reasons.append(book.stale_reason or "no snapshot")
        return TrustReport(not reasons, tuple(dict.fromkeys(reasons)), age)

    def cursor(self, mark: Mark) -> Cursor | None:
        """The cursor for a place in the row of records."""
        if self.channel is None:
            return None
        origin = mark.origin
        return Cursor(
            origin.instance,
            self.channel,
            origin.epoch,
            origin.config_hash,
            mark.complete,
            *mark.last,
            session=origin.session,
            server=origin.server,
        )


_HANDLERS: dict[str, Callable[[Session, dict[str, Any], float], None]] = {
    "hello": Session._on_hello,
    "subscribed": Session._on_subscribed,
    "resolved": Session._on_resolved,
    "caught_up": Session._on_caught_up,
    "error": Session._on_error,
    "unsubscribed": Session._on_unsubscribed,
    "shutdown": Session._on_shutdown,
    "slow": Session._on_slow,
    "skipped": Session._on_skipped,
}
