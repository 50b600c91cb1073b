"""What a session is made of: subscriptions, marks, refill sources,
the pauses between attempts, the verdict on trust."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from .cursor import Origin
from .errors import RequestError
from .records import ALWAYS, CHANNELS, KINDS, Event

Start = Literal["live", "snapshot"]
OnSlow = Literal["disconnect", "warn", "conflate", "skip"]
Symbols = Literal["*"] | Sequence[str]


class Mark(NamedTuple):
    """Stands in the row of records where everything up to message `complete` is in front of it."""

    complete: int
    last: tuple[int, int]
    origin: Origin


class Refill(Protocol):
    """Where events come from that no server sends any more, for instance the ring on the same host."""

    def fetch(self, channel: int, complete: int, after: tuple[int, int], before: int) -> Iterable[Event]:
        """All events with `after < (sequence, index)` and `sequence < before`, in order. Everything up to
        message `complete` was received. Raises RefillUnavailable before the first event unless all are
        there."""


@dataclass
class Backoff:
    """How long to wait before attempt n: a random part of `initial` x 2^n, at most `maximum` seconds, so that
    clients which lost the same server do not come back as one. The count starts anew once a connection
    delivers."""

    initial: float = 0.1
    maximum: float = 10.0
    attempts: int | None = None  #: in a row that may fail; None: no limit
    random: random.Random = field(default_factory=random.Random)

    def delay(self, failures: int) -> float | None:
        """Seconds before the next attempt after this many failures in a row (1...), None: give up."""
        if self.attempts is not None and failures >= self.attempts:
            return None
        bound = min(self.maximum, self.initial * float(1 << min(failures - 1, 32)))
        # Never at once: a server that refuses everybody must not be asked in a tight loop.
        return bound * (0.1 + 0.9 * self.random.random())


@dataclass
class Subscription:
    """A subscription of this client. It outlives connections."""

    key: int
    symbols: Symbols
    channels: tuple[str, ...]
    start: Start
    on_slow: OnSlow = "disconnect"
    checksum: bool = False
    instruments: dict[str, int] = field(default_factory=dict)
    unresolved: list[str] = field(default_factory=list)
    active: bool = False  #: events are coming
    was_active: bool = field(default=False, repr=False)
    caught_up: bool = False  #: all snapshots have come, or none was asked for
    error: RequestError | None = None  #: why it has ended
    number: int | None = field(default=None, repr=False)  # `sub` on this connection
    state_number: int | None = field(
        default=None, repr=False
    )  # `sub` that only brings snapshots after a resume
    first: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        self._kinds = ALWAYS.union(*(CHANNELS[channel] for channel in self.channels))

    def concerns(self, instrument: int) -> bool:
        """Whether it asks for this instrument."""
        return self.symbols == "*" or instrument in self.instruments.values()

    def filter(self) -> Callable[[Event], bool]:
        """Whether the server would send an event for this subscription."""
        kinds, numbers = self._kinds, None if self.symbols == "*" else {0, *self.instruments.values()}
        return lambda event: (
            KINDS.get(type(event).__name__, 0) in kinds and (numbers is None or event.instrument in numbers)
        )


@dataclass(frozen=True)
class TrustReport:
    """Whether a book can be believed, and if not, every reason why."""

    trustworthy: bool
    reasons: tuple[str, ...]
    age: float | None  #: seconds since anything came from the server
