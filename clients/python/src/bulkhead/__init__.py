"""Order books from Bulkhead: over WebSocket (`Client`, `AsyncClient`, `Pair`), or from shared memory on the same host
(`RingReader`, `Table`). Nothing is started on import."""

from .aio import AsyncClient
from .books import Best, Book, Order, PriceLevel
from .client import Client, connect
from .cursor import Cursor, CursorFile
from .digest import XXH64, StreamDigest, book_digest
from .errors import (
    BookMismatch, BulkheadError, ClientClosed, CompilerMissing, ConnectError, ConnectionLost, ContinuityError,
    CursorDamaged, FutureCursor, HandshakeRefused, HeartbeatTimeout, MissedEvents, ProtocolError, RefillUnavailable,
    RequestError, ResumeError, RetriesExhausted, RingError, StreamChanged, UnsupportedVersion,
)
from .pair import AsyncPair, Pair
from .records import (
    PRICE_UNITS, BestPrices, CaughtUp, Connected, Definition, Disconnected, EndOfSession, Event, FromSide, Gap, Heartbeat,
    InputChanged, Level, Missed, Notice, OrderAdd, OrderDelete, OrderExecute, OrderReduce, Record, RequestFailed,
    Resolved, Resumed, Shutdown, SideChanged, SnapshotBegin, SnapshotEnd, Subscribed, Trade, TradeBroken, TradingState,
    Trust, UnknownEvent,
)
from .ring import BestPricesRow, EpochChanged, Lapped, RingReader, RingRecord, RingRefill, Table
from .session import Backoff, Refill, Subscription, TrustReport

__all__ = [name for name in dir() if not name.startswith("_")]
