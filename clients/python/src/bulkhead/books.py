"""Price-time order books, rebuilt from events alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from .errors import BookMismatch
from .records import (
    BestPrices,
    Definition,
    Event,
    Level,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderReduce,
    TradingState,
    Trust,
)


@dataclass(slots=True)
class Order:
    """A live order. Read-only."""

    reference: int
    sell: bool
    price: int
    quantity: int


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """All that is on one side at one price."""

    price: int
    size: int
    orders: int


@dataclass(frozen=True, slots=True)
class Best:
    """Best bid and ask; None where a side is empty."""

    bid: PriceLevel | None
    ask: PriceLevel | None


class _Queue:
    """The orders of one price, oldest first (dictionaries keep their order), and their sum."""

    __slots__ = ("orders", "size")

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.size = 0


class _Side:
    """Queues by price; `ranked` holds the prices, best last for bids and first for asks."""

    __slots__ = ("queues", "ranked", "sell")

    def __init__(self, sell: bool) -> None:
        self.sell = sell
        self.queues: dict[int, _Queue] = {}
        self.ranked: list[int] = []

    def add(self, order: Order) -> None:
        queue = self.queues.get(order.price)
        if queue is None:
            queue = self.queues[order.price] = _Queue()
            self.ranked.insert(bisect_left(self.ranked, order.price), order.price)
        queue.orders[order.reference] = order
        queue.size += order.quantity

    def take(self, order: Order, quantity: int) -> None:
        """Takes `quantity` from an order of this side; it leaves when nothing remains."""
        queue = self.queues[order.price]
        order.quantity -= quantity
        queue.size -= quantity
        if order.quantity > 0:
            return
        del queue.orders[order.reference]
        if not queue.orders:
            del self.queues[order.price]
            del self.ranked[bisect_left(self.ranked, order.price)]

    def prices(self) -> Iterator[int]:
        return iter(self.ranked) if self.sell else reversed(self.ranked)

    def total(self, price: int) -> tuple[int, int]:
        """Size and number of the orders at a price."""
        queue = self.queues.get(price)
        return (queue.size, len(queue.orders)) if queue else (0, 0)

    def best(self) -> tuple[int, int]:
        """Best price and its size; 0 and 0 on an empty side."""
        if not self.ranked:
            return 0, 0
        price = self.ranked[0 if self.sell else -1]
        return price, self.queues[price].size


class Book:
    """One instrument. With `orders` subscribed it holds every order;
    with `levels` or `bbo` alone, what those say."""

    def __init__(self, instrument: int) -> None:
        self.instrument = instrument
        self.symbol = ""
        self.definition: Definition | None = None
        self.trading_state: TradingState | None = None
        #: The newest trust event or the snapshot's says that the book is exact.
        self.live = False
        self.stale_reason = "no snapshot"
        #: The state was taken from a snapshot, or the instrument was seen from its definition on, without a
        #: hole since.
        self.complete = False
        #: The stream was resumed since, and the trust in the book may be out of date until its next snapshot.
        self.suspended = False
        #: Given up by the server: empty, until a trust event says live.
        self.quarantined = False
        #: (sequence, index) of the newest event that is in the book; a snapshot counts as all of its message.
        self.position = (0, -1)
        #: Order events are subscribed. Without that, executions (channel `trades`) say nothing about the
        #: book.
        self.tracks_orders = True
        #: Events that did not fit while the book was stale.
        self.stale_mismatches = 0
        self._clear()

    def _clear(self) -> None:
        self._orders: dict[int, Order] = {}
        self._bids, self._asks = _Side(False), _Side(True)
        self._levels: tuple[dict[int, PriceLevel], dict[int, PriceLevel]] = ({}, {})
        self._best: BestPrices | None = None
        self.has_orders = False

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def order_count(self) -> int:
        return len(self._orders)

    def order(self, reference: int) -> Order | None:
        return self._orders.get(reference)

    def orders(self, sell: bool) -> Iterator[Order]:
        """One side in priority order: best price first, within a price the oldest first."""
        side = self._asks if sell else self._bids
        for price in side.prices():
            yield from side.queues[price].orders.values()

    def levels(self, sell: bool, depth: int | None = None) -> list[PriceLevel]:
        """One side from the best price on, at most `depth` levels."""
        if self.has_orders:
            side = self._asks if sell else self._bids
            return [PriceLevel(price, *side.total(price)) for price in islice(side.prices(), depth)]
        levels = self._levels[sell]
        return [levels[price] for price in sorted(levels, reverse=not sell)[:depth]]

    def bids(self, depth: int | None = None) -> list[PriceLevel]:
        return self.levels(False, depth)

    def asks(self, depth: int | None = None) -> list[PriceLevel]:
        return self.levels(True, depth)

    def best(self) -> Best:
        """Best bid and ask. `orders` is 0 where only `bbo` is subscribed:
        that channel does not count them."""
        if not self.has_orders and not self._levels[0] and not self._levels[1] and self._best is not None:
            seen = self._best
            return Best(
                PriceLevel(seen.bid_price, seen.bid_size, 0) if seen.bid_size else None,
                PriceLevel(seen.ask_price, seen.ask_size, 0) if seen.ask_size else None,
            )
        bids, asks = self.levels(False, 1), self.levels(True, 1)
        return Best(bids[0] if bids else None, asks[0] if asks else None)

    # -- writing ---------------------------------------------------------------------------------------------

    def begin(self, sequence: int) -> None:
        """A snapshot as of `sequence` follows."""
        self._clear()
        self.live, self.stale_reason, self.complete = False, "snapshot under way", False
        self.suspended = self.quarantined = False
        self.position = (sequence, 0xFFFF_FFFF)

    def end(self) -> None:
        """The snapshot is whole."""
        self.complete = True
        if self.stale_reason == "snapshot under way":
            self.stale_reason = "the snapshot did not say whether it can be trusted"

    def void(self, why: str) -> None:
        """Events are missing: nothing in the book can be believed until a snapshot begins it anew."""
        self._clear()
        self.live, self.stale_reason, self.complete = False, why, False

    def apply(self, event: Event) -> None:
        """Applies an event of this instrument.
        Raises BookMismatch when it does not fit and the book was exact."""
        if not event.snapshot:
            here = (event.sequence, event.index)
            if here <= self.position:
                return
            self.position = here
        if isinstance(event, (OrderAdd, OrderDelete, OrderExecute, OrderReduce)):
            if self.tracks_orders and (self.complete or event.snapshot):
                self._apply_order(event)
        elif isinstance(event, (Level, BestPrices)):
            if self.complete or event.snapshot:
                self._apply_prices(event)
        elif isinstance(event, Definition):
            self.definition, self.symbol = event, event.symbol
        elif isinstance(event, TradingState):
            self.trading_state = event
        elif isinstance(event, Trust):
            if self.complete or event.snapshot:
                self.live, self.stale_reason = event.live, "" if event.live else event.reason
                self.quarantined = event.quarantined
                if event.quarantined:
                    self._clear()

    def _misfit(self, event: Event, text: str) -> None:
        if not self.live or event.stale:
            self.stale_mismatches += 1
            return
        raise BookMismatch(f"{self.symbol or self.instrument} at {event.sequence}/{event.index}: {text}")

    def _apply_order(self, event: OrderAdd | OrderDelete | OrderExecute | OrderReduce) -> None:
        self.has_orders = True
        if isinstance(event, OrderAdd):
            if event.reference in self._orders:
                return self._misfit(event, f"order {event.reference} is there already")
            order = Order(event.reference, event.sell, event.price, event.quantity)
            self._orders[event.reference] = order
            (self._asks if order.sell else self._bids).add(order)
            return None
        held = self._orders.get(event.reference)
        if held is None:
            return self._misfit(event, f"order {event.reference} is not there")
        if isinstance(event, OrderDelete):
            taken, left = event.quantity, 0
            if event.price != held.price:
                self._misfit(event, f"order {event.reference} is at {held.price}, deleted at {event.price}")
        elif isinstance(event, OrderExecute):
            taken, left = event.executed, event.remaining
        else:
            taken, left = event.reduced, event.remaining
        if held.quantity != taken + left:
            self._misfit(event, f"order {event.reference} has {held.quantity}, {taken} go and {left} stay")
            taken = max(held.quantity - left, 0)
        (self._asks if held.sell else self._bids).take(held, taken)
        if held.quantity <= 0:
            del self._orders[event.reference]
        return None

    def _apply_prices(self, event: Level | BestPrices) -> None:
        """Levels and best prices are kept where there are no orders, and are a check where there are."""
        if isinstance(event, Level):
            if self.has_orders:
                found = (self._asks if event.sell else self._bids).total(event.price)
                if found != (event.size, event.orders):
                    self._misfit(event, f"level {event}, the orders make {found}")
                return
            levels = self._levels[event.sell]
            if event.size:
                levels[event.price] = PriceLevel(event.price, event.size, event.orders)
            else:
                levels.pop(event.price, None)
            return
        self._best = event
        if self.has_orders and not event.snapshot:
            prices = self._bids.best() + self._asks.best()
            if prices != (event.bid_price, event.bid_size, event.ask_price, event.ask_size):
                self._misfit(event, f"best prices {event}, the orders make {prices}")
