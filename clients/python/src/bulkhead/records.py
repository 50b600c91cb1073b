"""What a client iterates over: events of the stream, and notices about the connection.

Prices are integers in the venue's units (ITCH: 1/10000), quantities integers. Times are nanoseconds.
Treat records as read-only: they are plain slotted objects because they are made by the million.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Union

from .errors import ProtocolError, RequestError

PRICE_UNITS = 10_000

SELL, LAST, STALE, REPLACE, NOT_PRINTABLE = 0x01, 0x02, 0x04, 0x08, 0x10
#: The events of a message have indices below this. From here on come those that the book stage adds behind a
#: message that is out already: the end of a quarantine, and from 0xFF00 on what a restart has to say.
ADDED_INDEX = 0x8000

TRUST_REASONS = (
    "none",
    "gap",
    "unknown reference",
    "duplicate reference",
    "quantity exceeded",
    "wrong instrument",
    "capacity",
    "malformed message",
)
GAP_REASONS = (
    "none",
    "retransmission off",
    "retransmission exhausted",
    "window exceeded",
    "ring overrun",
    "restart without state",
    "retransmission unavailable",
    "snapshot unavailable",
    "session over",
    "replaced by snapshot",
    "poisoned input",
)


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"reason {number}"


@dataclass(slots=True)
class Event:
    """The part that all events share. (`channel`, `sequence`,
    `index`) is its identity, the same on every server."""

    sequence: int  #: venue sequence number of the message that caused the event
    index: int  #: position among the events of that message
    channel: int
    instrument: int  #: 0: the whole channel
    venue_time: int  #: the venue's stamp (ITCH: ns since midnight); 0 in snapshots
    receive_time: int  #: ns since the Unix epoch; differs from host to host; 0: none
    flags: int
    snapshot: bool  #: part of a snapshot, not a live event

    @property
    def identity(self) -> tuple[int, int, int]:
        return self.channel, self.sequence, self.index

    @property
    def sell(self) -> bool:
        """Sell side; False: buy side, or an event without a side."""
        return bool(self.flags & SELL)

    @property
    def last(self) -> bool:
        """The last event of its venue message: only now is the book between two messages."""
        return bool(self.flags & LAST)

    @property
    def stale(self) -> bool:
        """The instrument's book is not to be trusted at this event."""
        return bool(self.flags & STALE)

    @property
    def replace(self) -> bool:
        """One half of the delete and add that replace an order."""
        return bool(self.flags & REPLACE)


@dataclass(slots=True)
class Definition(Event):
    symbol: str
    round_lot: int
    market_category: str
    financial_status: str
    issue_class: str
    authenticity: str
    luld_tier: str
    etp_flag: str


@dataclass(slots=True)
class OrderAdd(Event):
    reference: int
    price: int
    quantity: int


@dataclass(slots=True)
class OrderReduce(Event):
    reference: int
    remaining: int  #: 0: the order has left the book, no OrderDelete follows
    reduced: int


@dataclass(slots=True)
class OrderDelete(Event):
    reference: int
    price: int
    quantity: int  #: what was left


@dataclass(slots=True)
class OrderExecute(Event):
    reference: int
    price: int
    executed: int
    remaining: int  #: 0: the order has left the book, no OrderDelete follows
    match: int

    @property
    def printable(self) -> bool:
        return not self.flags & NOT_PRINTABLE


@dataclass(slots=True)
class Level(Event):
    price: int
    size: int  #: after the message; 0: the level is gone
    orders: int


@dataclass(slots=True)
class BestPrices(Event):
    bid_price: int
    bid_size: int  #: 0: no bid
    ask_price: int
    ask_size: int  #: 0: no ask


@dataclass(slots=True)
class Trade(Event):
    price: int
    quantity: int
    match: int
    type: str  #: "P": trade of a hidden order; else the cross type
    printable: bool


@dataclass(slots=True)
class TradeBroken(Event):
    match: int


@dataclass(slots=True)
class TradingState(Event):
    source: str  #: "H" trading action, "h" operational halt
    state: str
    market: str
    reason: str


@dataclass(slots=True)
class Notice(Event):
    type: str
    message: bytes  #: the venue's message behind its 11-byte header


@dataclass(slots=True)
class Trust(Event):
    live: bool
    reason: str
    quarantined: bool  #: the book is empty from here on; nothing of its orders follows until it is live again
    first: int
    last_lost: int


@dataclass(slots=True)
class Gap(Event):
    """Venue messages lost for good. The whole channel is stale from here on; with an instrument, that one alone."""

    first: int
    last_lost: int
    reason: str


@dataclass(slots=True)
class EndOfSession(Event):
    applied: int
    lost: int


@dataclass(slots=True)
class UnknownEvent(Event):
    """An event of a kind that this version does not know."""

    kind: int
    body: bytes


# -- what is not an event ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Connected:
    """A connection is up and its hello was understood."""

    url: str
    server: str
    instance: str
    epoch: int
    config_hash: str
    hello: dict[str, Any] = field(repr=False)


@dataclass(slots=True)
class Disconnected:
    """The connection has ended; the next attempt is made after `retry_in` seconds."""

    error: Exception
    retry_in: float


@dataclass(slots=True)
class Subscribed:
    """From `first_sequence` on, every event of the subscription is delivered (snapshot:
    behind its snapshot)."""

    key: int
    first_sequence: int
    instruments: dict[str, int]
    unresolved: list[str]


@dataclass(slots=True)
class Resolved:
    """A symbol that was unknown has been defined."""

    symbol: str
    instrument: int


@dataclass(slots=True)
class SnapshotBegin:
    """The state of an instrument follows: what was known of its book is void."""

    instrument: int
    sequence: int
    orders: int


@dataclass(slots=True)
class SnapshotEnd:
    instrument: int
    sequence: int
    orders: int


@dataclass(slots=True)
class CaughtUp:
    """All snapshots of a subscription have come."""

    key: int
    sequence: int
    instruments: int
    orders: int


@dataclass(slots=True)
class Resumed:
    """The stream goes on after an interruption.

    `exact`: proven that no event is missing or repeated. Else a `Missed` came just before, or the client
    began anew.
    """

    exact: bool
    after: int  #: messages up to this one had been received
    first: int  #: the new connection delivers from this message on
    refilled: int  #: events that came again: from the server, behind this client's cursor, or from the refill source


@dataclass(slots=True)
class Slow:
    """This client's queue at the server is half full (a subscription with `on_slow="warn"`)."""

    queued: int  #: bytes
    capacity: int


@dataclass(slots=True)
class Skipped:
    """Events that the server left out, as a subscription with `on_slow="skip"` allows."""

    first: int  #: the first and the last message of which something was left out
    last: int
    events: int


@dataclass(slots=True)
class Missed:
    """Events of the messages `first` ... `last` that this client asked for did not reach it. Books are
    replaced by snapshots; trades and states of that time are unknown."""

    first: int
    last: int


@dataclass(slots=True)
class InputChanged:
    """What the server knows of the stage in front of it: "live", "stale" or "catching up"."""

    state: str
    server_time: int


@dataclass(slots=True)
class Heartbeat:
    """Nothing is missing up to `sequence`."""

    sequence: int
    server_time: int


@dataclass(slots=True)
class RequestFailed:
    """A request that nobody waits for was refused, for instance one that was repeated after a reconnect."""

    key: int | None
    error: RequestError
    retry_in: float | None


@dataclass(slots=True)
class Shutdown:
    """The server says that it is about to close every connection."""


@dataclass(slots=True)
class SideChanged:
    """`Pair` only: events come from this server now, because they cannot come from the other any more."""

    side: str
    reason: str


@dataclass(slots=True)
class FromSide:
    """`Pair` only: what happened to the connection to one of the servers."""

    side: str
    record: (
        Connected | Disconnected | Subscribed | Resumed | CaughtUp | InputChanged | RequestFailed | Shutdown
    )


Record = Union[
    Event,
    Connected,
    Disconnected,
    Subscribed,
    Resolved,
    SnapshotBegin,
    SnapshotEnd,
    CaughtUp,
    Resumed,
    Missed,
    Slow,
    Skipped,
    InputChanged,
    Heartbeat,
    RequestFailed,
    Shutdown,
    SideChanged,
    FromSide,
]

# -- bytes ---------------------------------------------------------------------------------------------------

PREFIX = Struct("<HB5x")
EVENT_HEADER = Struct("<QQQIHBB")
#: Prefix and header of an entry in one read: length, kind, then the header's fields.
ENTRY = Struct("<HB5xQQQIHBB")

_DEFINITION, _THREE, _ORDER, _EXECUTE = Struct("<8sI6s"), Struct("<QQQ"), Struct("<QqQ"), Struct("<QqQQQ")
_LEVEL, _BEST, _TRADE, _STATE = Struct("<qQI"), Struct("<qQqQ"), Struct("<qQQBB"), Struct("<BBBx4s")
_TRUST, _ONE, _TWO = Struct("<BBB5xQQ"), Struct("<Q"), Struct("<QQ")


def _letter(byte: int) -> str:
    return chr(byte) if byte else ""


def _text(field: bytes) -> str:
    return field.decode("latin-1").rstrip(" \0")


def make_event(
    kind: int,
    header: tuple[int, int, int, int, int, int, int],
    data: bytes | memoryview,
    at: int,
    end: int,
    snapshot: bool,
) -> Event:
    """The event whose body is `data[at:end]`.
    Bodies may be longer than they are known to be, never shorter."""
    sequence, venue, receive, instrument, index, channel, flags = header
    common = (sequence, index, channel, instrument, venue, receive, flags, snapshot)
    size = end - at
    layout = _SIZES.get(kind)
    if layout is None:
        return UnknownEvent(*common, kind, bytes(data[at:end]))
    if size < layout:
        raise ProtocolError(f"event of kind {kind} with a body of {size} bytes, {layout} are needed")
    if kind == 2:
        return OrderAdd(*common, *_ORDER.unpack_from(data, at))
    if kind == 6:
        return Level(*common, *_LEVEL.unpack_from(data, at))
    if kind == 7:
        return BestPrices(*common, *_BEST.unpack_from(data, at))
    if kind == 4:
        return OrderDelete(*common, *_ORDER.unpack_from(data, at))
    if kind == 5:
        return OrderExecute(*common, *_EXECUTE.unpack_from(data, at))
    if kind == 3:
        return OrderReduce(*common, *_THREE.unpack_from(data, at))
    if kind == 8:
        price, quantity, match, type_, printable = _TRADE.unpack_from(data, at)
        return Trade(*common, price, quantity, match, _letter(type_), bool(printable))
    return _make_rare(kind, common, data, at, end)


def _make_rare(
    kind: int,
    common: tuple[int, int, int, int, int, int, int, bool],
    data: bytes | memoryview,
    at: int,
    end: int,
) -> Event:
    if kind == 1:
        symbol, lot, letters = _DEFINITION.unpack_from(data, at)
        return Definition(*common, _text(symbol), lot, *(_letter(byte) for byte in letters))
    if kind == 9:
        return TradeBroken(*common, *_ONE.unpack_from(data, at))
    if kind == 10:
        source, state, market, reason = _STATE.unpack_from(data, at)
        return TradingState(
            *common, _letter(source), _letter(state), _letter(market), reason.decode("latin-1").rstrip("\0")
        )
    if kind == 11:
        return Notice(*common, _letter(data[at]), bytes(data[at + 8 : end]))
    if kind == 12:
        state, code, quarantined, first, last = _TRUST.unpack_from(data, at)
        return Trust(*common, state == 0, _named(TRUST_REASONS, code), quarantined == 1, first, last)
    if kind == 13:
        first, last, code = _THREE.unpack_from(data, at)
        return Gap(*common, first, last, _named(GAP_REASONS, code))
    return EndOfSession(*common, *_TWO.unpack_from(data, at))


#: Smallest body of each kind that is known.
_SIZES = {1: 24, 2: 24, 3: 24, 4: 24, 5: 40, 6: 24, 7: 32, 8: 32, 9: 8, 10: 8, 11: 8, 12: 24, 13: 24, 14: 16}


def _codes(names: tuple[str, ...], name: str) -> int:
    return names.index(name) if name in names else int(name.removeprefix("reason "))


def _byte(letter: str) -> int:
    return ord(letter) if letter else 0


def encode_body(event: Event) -> tuple[int, bytes]:
    """Kind and body of an event as the server made them, as far as this version knows them."""
    if isinstance(event, (OrderAdd, OrderDelete)):
        return 2 if isinstance(event, OrderAdd) else 4, _ORDER.pack(
            event.reference, event.price, event.quantity
        )
    if isinstance(event, Level):
        return 6, _LEVEL.pack(event.price, event.size, event.orders) + bytes(4)
    if isinstance(event, BestPrices):
        return 7, _BEST.pack(event.bid_price, event.bid_size, event.ask_price, event.ask_size)
    if isinstance(event, OrderExecute):
        return 5, _EXECUTE.pack(event.reference, event.price, event.executed, event.remaining, event.match)
    if isinstance(event, OrderReduce):
        return 3, _THREE.pack(event.reference, event.remaining, event.reduced)
    if isinstance(event, Trade):
        return 8, _TRADE.pack(
            event.price, event.quantity, event.match, _byte(event.type), event.printable
        ) + bytes(6)
    if isinstance(event, Definition):
        letters = bytes(
            _byte(letter)
            for letter in (
                event.market_category,
                event.financial_status,
                event.issue_class,
                event.authenticity,
                event.luld_tier,
                event.etp_flag,
            )
        )
        return 1, _DEFINITION.pack(event.symbol.encode("latin-1").ljust(8), event.round_lot, letters) + bytes(
            6
        )
    if isinstance(event, TradeBroken):
        return 9, _ONE.pack(event.match)
    if isinstance(event, TradingState):
        return 10, _STATE.pack(
            _byte(event.source), _byte(event.state), _byte(event.market), event.reason.encode("latin-1")
        )
    if isinstance(event, Notice):
        return 11, event.type.encode("latin-1").ljust(8, b"\0") + event.message
    if isinstance(event, Trust):
        return 12, _TRUST.pack(
            not event.live,
            _codes(TRUST_REASONS, event.reason),
            event.quarantined,
            event.first,
            event.last_lost,
        )
    if isinstance(event, Gap):
        return 13, _THREE.pack(event.first, event.last_lost, _codes(GAP_REASONS, event.reason))
    if isinstance(event, EndOfSession):
        return 14, _TWO.pack(event.applied, event.lost)
    assert isinstance(event, UnknownEvent)
    return event.kind, event.body


KINDS: dict[str, int] = {
    "Definition": 1,
    "OrderAdd": 2,
    "OrderReduce": 3,
    "OrderDelete": 4,
    "OrderExecute": 5,
    "Level": 6,
    "BestPrices": 7,
    "Trade": 8,
    "TradeBroken": 9,
    "TradingState": 10,
    "Notice": 11,
    "Trust": 12,
    "Gap": 13,
    "EndOfSession": 14,
}

#: Which kinds each channel of the protocol carries; trust, gap and endOfSession come with every channel.
CHANNELS: dict[str, frozenset[int]] = {
    "orders": frozenset({2, 3, 4, 5}),
    "levels": frozenset({6}),
    "bbo": frozenset({7}),
    "trades": frozenset({5, 8, 9}),
    "status": frozenset({10, 11}),
    "defs": frozenset({1}),
}
ALWAYS = frozenset({12, 13, 14})
