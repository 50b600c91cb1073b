"""The market of the mock server: operations on books,
and the events that a real publisher would make of them."""

from __future__ import annotations

import struct
import threading

from .books import Best, Book
from .records import (
    REPLACE,
    SELL,
    STALE,
    Event,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderReduce,
    make_event,
)

_THREE, _ORDER = struct.Struct("<QQQ"), struct.Struct("<QqQ")
Part = tuple[int, int, int, bytes]  # kind, instrument, flags, body


def best_fields(best: Best) -> list[int]:
    """Price and size of the best bid, then of the best ask; zeros for an empty side."""
    return [value for side in (best.bid, best.ask) for value in ((side.price, side.size) if side else (0, 0))]


class Market:
    """What `MockServer` has to publish.
    Every operation is one venue message and returns its sequence number."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.books: dict[int, Book] = {}
        self._symbols: dict[str, tuple[int, bytes]] = {}
        self._states: dict[int, bytes] = {}
        self._trust: dict[int, tuple[bool, int]] = {}
        self._lock = threading.RLock()

    def message(self, *parts: Part, split: bool = False, sequence: int | None = None, index: int = 0) -> int:
        """Publishes one venue message."""
        raise NotImplementedError

    def _resolve(self, symbol: str, instrument: int) -> None:
        """A symbol that some wait for is about to be defined."""

    def define(self, symbol: str, instrument: int) -> int:
        body = symbol.encode().ljust(8) + struct.pack("<I", 100) + b"QNCP1N" + bytes(6)
        with self._lock:
            self._resolve(symbol, instrument)
            self._symbols[symbol] = (instrument, body)
            return self.message((1, instrument, 0, body))

    def add(self, instrument: int, reference: int, sell: bool, price: int, quantity: int) -> int:
        return self._order(
            instrument, (2, instrument, SELL if sell else 0, _ORDER.pack(reference, price, quantity))
        )

    def delete(self, instrument: int, reference: int) -> int:
        with self._lock:
            return self._order(instrument, self._delete(instrument, reference))

    def reduce(self, instrument: int, reference: int, by: int) -> int:
        with self._lock:
            sell, _, left = self._held(instrument, reference)
            return self._order(instrument, (3, instrument, sell, _THREE.pack(reference, left - by, by)))

    def execute(
        self, instrument: int, reference: int, quantity: int, match: int = 1, price: int | None = None
    ) -> int:
        with self._lock:
            sell, at, left = self._held(instrument, reference)
            body = struct.pack(
                "<QqQQQ", reference, at if price is None else price, quantity, left - quantity, match
            )
            return self._order(instrument, (5, instrument, sell, body))

    def replace(self, instrument: int, old: int, new: int, price: int, quantity: int) -> int:
        with self._lock:
            kind, _, flags, body = self._delete(instrument, old)
            add = (2, instrument, flags & SELL | REPLACE, _ORDER.pack(new, price, quantity))
            return self._order(instrument, (kind, instrument, flags | REPLACE, body), add)

    def trade(self, instrument: int, price: int, quantity: int, match: int = 1, type: str = "P") -> int:
        return self.message((8, instrument, 0, struct.pack("<qQQBB6x", price, quantity, match, ord(type), 1)))

    def trading_state(self, instrument: int, state: str = "H", reason: str = "T1") -> int:
        body = b"H" + state.encode() + bytes(2) + reason.encode().ljust(4)
        with self._lock:
            self._states[instrument] = body
            return self.message((10, instrument, 0, body))

    def trust(self, instrument: int, live: bool, reason: int = 2) -> int:
        """A trust event; instrument 0 is the whole channel."""
        with self._lock:
            self._trust[instrument] = (live, reason)
            here = self.sequence + 1
            return self.message((12, instrument, 0, struct.pack("<BB6xQQ", not live, reason, here, here)))

    def gap(self, count: int) -> int:
        """`count` messages are lost for good: the channel is stale from here on.
        Returns the last lost one."""
        with self._lock:
            self._trust[0] = (False, 1)
            first, last = self.sequence + 1, self.sequence + count
            self.message(
                (13, 0, STALE, _THREE.pack(first, last, 2)),
                (12, 0, STALE, struct.pack("<BB6xQQ", 1, 1, first, last)),
            )
            self.sequence = last
            return last

    def end(self) -> int:
        return self.message((14, 0, 0, struct.pack("<QQ", self.sequence, 0)))

    def skip(self, count: int = 1) -> int:
        """Messages that make no event."""
        self.sequence += count
        return self.sequence

    def _book(self, instrument: int) -> Book:
        book = self.books.get(instrument)
        if book is None:
            book = self.books[instrument] = Book(instrument)
            book.live = book.complete = True
        return book

    def _held(self, instrument: int, reference: int) -> tuple[int, int, int]:
        order = self._book(instrument).order(reference)
        if order is None:
            raise ValueError(f"instrument {instrument} has no order {reference}")
        return SELL if order.sell else 0, order.price, order.quantity

    def _delete(self, instrument: int, reference: int) -> Part:
        sell, price, left = self._held(instrument, reference)
        return 4, instrument, sell, _ORDER.pack(reference, price, left)

    def _order(self, instrument: int, *parts: Part) -> int:
        """An order's events with the levels and best prices that follow from them."""
        with self._lock:
            book = self._book(instrument)
            before = book.best()
            trial = self._book_after(book, parts)
            rows = list(parts)
            touched: list[tuple[bool, int]] = []
            for kind, _, flags, body in parts:
                price = self._price(book, kind, body)
                if (bool(flags & SELL), price) not in touched:
                    touched.append((bool(flags & SELL), price))
            for sell, price in touched:
                level = next((each for each in trial.levels(sell) if each.price == price), None)
                rows.append(
                    (
                        6,
                        instrument,
                        SELL if sell else 0,
                        struct.pack(
                            "<qQI4x", price, level.size if level else 0, level.orders if level else 0
                        ),
                    )
                )
            best = trial.best()
            prices, was = best_fields(best), best_fields(before)
            if prices != was:
                rows.append((7, instrument, 0, struct.pack("<qQqQ", *prices)))
            return self.message(*rows)

    @staticmethod
    def _price(book: Book, kind: int, body: bytes) -> int:
        if kind in (2, 4):
            price: int = _ORDER.unpack_from(body)[1]
            return price
        order = book.order(int.from_bytes(body[:8], "little"))
        return order.price if order else 0

    @staticmethod
    def _book_after(book: Book, parts: tuple[Part, ...]) -> Book:
        """A copy of the book with these events applied."""
        copy = Book(book.instrument)
        copy.live = copy.complete = True
        number = 0
        for sell in (False, True):
            for order in book.orders(sell):
                number += 1
                copy.apply(
                    OrderAdd(
                        0,
                        number,
                        0,
                        book.instrument,
                        0,
                        0,
                        SELL if sell else 0,
                        False,
                        order.reference,
                        order.price,
                        order.quantity,
                    )
                )
        for place, (kind, instrument, flags, body) in enumerate(parts):
            event: Event = make_event(kind, (1, 0, 0, instrument, place, 0, flags), body, 0, len(body), False)
            assert isinstance(event, (OrderAdd, OrderDelete, OrderExecute, OrderReduce))
            copy.apply(event)
        return copy

    def _state(self, instrument: int, kinds: frozenset[int]) -> list[tuple[int, int, bytes]]:
        """Kind, flags and body of the events that make an instrument's state,
        as far as a subscription asks for them."""
        book = self._book(instrument)
        live, reason = self._trust.get(0, (True, 0))
        if live:
            live, reason = self._trust.get(instrument, (True, 0))
        flags = 0 if live else STALE
        rows: list[tuple[int, int, bytes]] = [
            (1, 0, body) for number, body in self._symbols.values() if number == instrument
        ]
        if 10 in kinds and instrument in self._states:
            rows.append((10, 0, self._states[instrument]))
        rows.append((12, 0, struct.pack("<BB6xQQ", not live, 0 if live else reason, 0, 0)))
        for sell in (False, True):
            if 2 in kinds:
                rows += [
                    (2, SELL if sell else 0, _ORDER.pack(order.reference, order.price, order.quantity))
                    for order in book.orders(sell)
                ]
        for sell in (False, True):
            if 6 in kinds:
                rows += [
                    (6, SELL if sell else 0, struct.pack("<qQI4x", level.price, level.size, level.orders))
                    for level in book.levels(sell)
                ]
        if 7 in kinds:
            rows.append((7, 0, struct.pack("<qQqQ", *best_fields(book.best()))))
        return [(kind, flags | own, body) for kind, own, body in rows]
