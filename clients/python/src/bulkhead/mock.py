"""A server for tests: speaks the protocol on a port of its own, publishes what the test tells it, and fails on demand.

    with MockServer() as server:
        server.define("AAPL", 13)
        server.add(13, reference=1, sell=False, price=1_000_000, quantity=200)
        client = bulkhead.Client(server.url)

Every call publishes one venue message and returns its sequence number; it comes to every client that subscribed to it,
in order, before the call returns. Books, levels and best prices follow as from the real publisher.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from . import websocket, wire
from .books import Book
from .records import (
    ALWAYS, CHANNELS, EVENT_HEADER, LAST, REPLACE, SELL, STALE, Event, OrderAdd, OrderDelete, OrderExecute,
    OrderReduce, make_event,
)

_THREE, _ORDER = struct.Struct("<QQQ"), struct.Struct("<QqQ")
Part = tuple[int, int, int, bytes]  # kind, instrument, flags, body


class _Connection:
    """One client. Its socket is written under the server's lock only."""

    def __init__(self, server: MockServer, stream: socket.socket) -> None:
        self.server = server
        self.stream = stream
        self.subscriptions: dict[int, tuple[Any, frozenset[int], set[int], set[str], bool]] = {}
        self.next_number = 1
        self.chain = 0
        self.open = False

    def send(self, data: bytes) -> None:
        if self.server.muted:
            return
        try:
            pieces = self.server.piece_bytes
            if pieces:
                for at in range(0, len(data), pieces):
                    self.stream.sendall(data[at:at + pieces])
            else:
                self.stream.sendall(data)
        except OSError:
            self.open = False

    def text(self, message: dict[str, Any]) -> None:
        self.send(websocket.encode(websocket.TEXT, json.dumps(message).encode(), mask=False))

    def frame(
        self, template: int, sequence: int, block: bytes = b"", entries: tuple[bytes, ...] = (), flags: int = 0
    ) -> None:
        server = self.server
        data = wire.encode_frame(template, server.epoch, sequence, self.chain, block, entries, flags)
        self.chain = sequence
        if server.lose_frames > 0:
            server.lose_frames -= 1
            return
        if server.corrupt_frames > 0:
            server.corrupt_frames -= 1
            data = bytes([data[0] ^ 0xFF]) + data[1:]
        if server.fragment:
            middle = len(data) // 2
            self.send(websocket.encode(websocket.BINARY, data[:middle], mask=False, final=False))
            self.send(websocket.encode(websocket.PING, b"between", mask=False))
            self.send(websocket.encode(websocket.CONTINUATION, data[middle:], mask=False))
        else:
            self.send(websocket.encode(websocket.BINARY, data, mask=False))

    def wants(self, kind: int, instrument: int) -> bool:
        for symbols, kinds, instruments, _, _ in self.subscriptions.values():
            if kind in kinds and (instrument == 0 or symbols == "*" or instrument in instruments):
                return True
        return False


class MockServer:
    """See the module. Give it to `with`, or call `start` and `stop`."""

    def __init__(
        self, *, instance: str = "mock", channel: int = 1, epoch: int = 1, heartbeat_ms: int = 1000, port: int = 0,
        sequence: int = 0,
    ) -> None:
        """
        heartbeat_ms: as in the hello; heartbeats come by themselves at that rate
        sequence: number of the last message that was published before
        """
        self.instance, self.channel, self.epoch, self.heartbeat_ms = instance, channel, epoch, heartbeat_ms
        self.sequence = sequence
        self.port = port
        #: All requests of all clients, in order.
        self.requests: list[dict[str, Any]] = []
        self.handshakes = 0  #: that were accepted
        self.pongs = 0  #: answers to pings
        self.books: dict[int, Book] = {}
        self.muted = False  #: while set, nothing is sent at all
        self.fragment = False  #: while set, frames come in two fragments with a ping between
        self.piece_bytes = 0  #: while set, bytes are written in pieces of that size
        self.lose_frames = 0  #: that many next frames are not sent, though the chain counts them
        self.corrupt_frames = 0  #: that many next frames are damaged
        self.protocol = 1  #: version that the hello names
        self.input = 0  #: state of the publisher's input in heartbeats: 0 live, 1 stale, 2 catching up
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._connections: list[_Connection] = []
        self._symbols: dict[str, tuple[int, bytes]] = {}
        self._states: dict[int, bytes] = {}
        self._trust: dict[int, tuple[bool, int]] = {}
        self._refusals: list[int] = []
        self._rejections: list[tuple[str, str]] = []
        self._listener: socket.socket | None = None
        self._running = False

    # -- life ------------------------------------------------------------------------------------------------

    def __enter__(self) -> MockServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    def start(self) -> None:
        self._running = True
        self.up()
        threading.Thread(target=self._beat, name="mock heartbeats", daemon=True).start()

    def stop(self) -> None:
        with self._changed:
            self._running = False
            self._changed.notify_all()
        self.down()
        self.cut()

    def up(self) -> None:
        """Listens, on the same port as before."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="mock server", daemon=True).start()

    def down(self) -> None:
        """Refuses connections from now on, as a dead process does. Open ones stay."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # close() alone would leave the thread in accept().
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()

    def wait(self, what: Callable[[MockServer], bool], seconds: float = 10) -> None:
        """Waits until `what(server)`; TimeoutError if it does not become true."""
        with self._changed:
            if not self._changed.wait_for(lambda: what(self), seconds):
                raise TimeoutError(f"the mock server waited {seconds} s in vain; requests so far: {self.requests}")

    @property
    def clients(self) -> int:
        with self._lock:
            return sum(connection.open for connection in self._connections)

    # -- faults ----------------------------------------------------------------------------------------------

    def refuse(self, status: int = 503, times: int = 1) -> None:
        """The next handshakes are answered with this HTTP status; 0 answers nothing and closes."""
        self._refusals += [status] * times

    def reject(self, code: str, message: str = "as the test wants it", times: int = 1) -> None:
        """The next subscribe requests are answered with this error."""
        self._rejections += [(code, message)] * times

    def cut(self) -> None:
        """Ends all connections without a close frame, as kill -9 does."""
        with self._lock:
            for connection in self._connections:
                connection.open = False
                try:
                    connection.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.stream.shutdown(socket.SHUT_RD)
                except OSError:
                    pass
                connection.stream.close()
            self._connections.clear()

    def close(self, code: int) -> None:
        """Closes all connections with this code."""
        with self._lock:
            for connection in self._connections:
                connection.send(websocket.encode_close(code, "", mask=False))
                connection.open = False
            self._connections.clear()

    def restart(self, epoch: int | None = None) -> None:
        """Dies and comes back; `epoch` is the new one's."""
        self.down()
        self.cut()
        self.epoch = self.epoch if epoch is None else epoch
        self.up()

    def shutdown(self) -> None:
        """Takes leave as a publisher that is stopped does."""
        self.send_text({"type": "shutdown"})
        self.down()
        self.close(1001)

    def send_text(self, message: dict[str, Any]) -> None:
        """Sends any control message to all."""
        with self._lock:
            for connection in self._connections:
                connection.text(message)

    def send_frame(self, template: int, block: bytes = b"", entries: tuple[bytes, ...] = ()) -> None:
        """Sends any frame to all, in the chain: for templates and blocks of later versions."""
        with self._lock:
            for connection in self._connections:
                connection.frame(template, max(self.sequence, connection.chain), block, entries)

    def send_bytes(self, data: bytes) -> None:
        """Sends bytes that need not be WebSocket to all."""
        with self._lock:
            for connection in self._connections:
                connection.send(data)

    # -- the market ------------------------------------------------------------------------------------------

    def define(self, symbol: str, instrument: int) -> int:
        body = symbol.encode().ljust(8) + struct.pack("<I", 100) + b"QNCP1N" + bytes(6)
        with self._lock:
            self._resolve(symbol, instrument)
            self._symbols[symbol] = (instrument, body)
            return self.message((1, instrument, 0, body))

    def add(self, instrument: int, reference: int, sell: bool, price: int, quantity: int) -> int:
        return self._order(instrument, (2, instrument, SELL if sell else 0, _ORDER.pack(reference, price, quantity)))

    def delete(self, instrument: int, reference: int) -> int:
        with self._lock:
            return self._order(instrument, self._delete(instrument, reference))

    def reduce(self, instrument: int, reference: int, by: int) -> int:
        with self._lock:
            sell, _, left = self._held(instrument, reference)
            return self._order(instrument, (3, instrument, sell, _THREE.pack(reference, left - by, by)))

    def execute(self, instrument: int, reference: int, quantity: int, match: int = 1, price: int | None = None) -> int:
        with self._lock:
            sell, at, left = self._held(instrument, reference)
            body = struct.pack("<QqQQQ", reference, at if price is None else price, quantity, left - quantity, match)
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
        """`count` messages are lost for good: the channel is stale from here on. Returns the last lost one."""
        with self._lock:
            self._trust[0] = (False, 1)
            first, last = self.sequence + 1, self.sequence + count
            self.message(
                (13, 0, STALE, _THREE.pack(first, last, 2)),
                (12, 0, STALE, struct.pack("<BB6xQQ", 1, 1, first, last)))
            self.sequence = last
            return last

    def end(self) -> int:
        return self.message((14, 0, 0, struct.pack("<QQ", self.sequence, 0)))

    def skip(self, count: int = 1) -> int:
        """Messages that make no event."""
        self.sequence += count
        return self.sequence

    def message(self, *parts: Part, split: bool = False, sequence: int | None = None, index: int = 0) -> int:
        """One venue message of any events (kind, instrument, flags, body).

        split: one frame an event, as a message that is longer than a frame comes
        sequence, index: other numbers than the next, for instance 0xFF00 for what a restart adds
        """
        with self._changed:
            self.sequence = self.sequence + 1 if sequence is None else sequence
            here, now = self.sequence, time.time_ns()
            entries = []
            for place, (kind, instrument, flags, body) in enumerate(parts):
                flags |= LAST if place == len(parts) - 1 else 0
                header = (here, here * 1000, now, instrument, place + index, self.channel, flags)
                event = make_event(kind, header, body, 0, len(body), False)
                if instrument and kind <= 5:
                    self._book(instrument).apply(event)
                entries.append((kind, instrument, wire.encode_entry(kind, EVENT_HEADER.pack(*header) + body)))
            for connection in list(self._connections):
                chosen = tuple(entry for kind, number, entry in entries if connection.wants(kind, number))
                if chosen and split:
                    for place, entry in enumerate(chosen):
                        last = place == len(chosen) - 1
                        connection.frame(wire.EVENTS, here, b"", (entry,), 0 if last else wire.MESSAGE_CONTINUES)
                elif chosen:
                    connection.frame(wire.EVENTS, here, b"", chosen)
            self._changed.notify_all()
            return here

    def heartbeat(self) -> None:
        with self._lock:
            for connection in self._connections:
                if connection.open:
                    connection.frame(
                        wire.HEARTBEAT, max(self.sequence, connection.chain),
                        wire.BLOCK_HEARTBEAT.pack(time.time_ns(), self.input))

    def set_input(self, state: int) -> None:
        """Another state of the publisher's input: 0 live, 1 stale, 2 catching up."""
        with self._lock:
            self.input = state
            self.send_frame(wire.STATUS, wire.BLOCK_STATUS.pack(state, time.time_ns()))

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
                rows.append((6, instrument, SELL if sell else 0, struct.pack(
                    "<qQI4x", price, level.size if level else 0, level.orders if level else 0)))
            best = trial.best()
            prices = [value for side in (best.bid, best.ask) for value in ((side.price, side.size) if side else (0, 0))]
            was = [value for side in (before.bid, before.ask)
                   for value in ((side.price, side.size) if side else (0, 0))]
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
                copy.apply(OrderAdd(0, number, 0, book.instrument, 0, 0, SELL if sell else 0, False,
                                    order.reference, order.price, order.quantity))
        for place, (kind, instrument, flags, body) in enumerate(parts):
            event: Event = make_event(kind, (1, 0, 0, instrument, place, 0, flags), body, 0, len(body), False)
            assert isinstance(event, (OrderAdd, OrderDelete, OrderExecute, OrderReduce))
            copy.apply(event)
        return copy

    # -- connections -----------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(stream,), name="mock connection", daemon=True).start()

    def _beat(self) -> None:
        with self._changed:
            while self._running:
                self._changed.wait_for(lambda: not self._running, self.heartbeat_ms / 1000)
                self.heartbeat()

    def _serve(self, stream: socket.socket) -> None:
        connection = _Connection(self, stream)
        try:
            received = b""
            while b"\r\n\r\n" not in received:
                data = stream.recv(65_536)
                if not data:
                    return stream.close()
                received += data
            head, _, rest = received.partition(b"\r\n\r\n")
            if not self._open(connection, head):
                return stream.close()
            receiver = websocket.Receiver(masked=True)
            data = rest
            while True:
                for opcode, payload in receiver.feed(data):
                    if opcode == websocket.TEXT:
                        self._request(connection, json.loads(payload))
                    elif opcode == websocket.PONG:
                        with self._changed:
                            self.pongs += 1
                            self._changed.notify_all()
                    elif opcode == websocket.CLOSE:
                        return self._forget(connection)
                data = stream.recv(65_536)
                if not data:
                    return self._forget(connection)
        except OSError:
            return self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        with self._changed:
            connection.open = False
            if connection in self._connections:
                self._connections.remove(connection)
            connection.stream.close()
            self._changed.notify_all()

    def _open(self, connection: _Connection, head: bytes) -> bool:
        """Answers the handshake. False: refused."""
        first, headers = websocket.parse_head(head)
        with self._changed:
            status = self._refusals.pop(0) if self._refusals else 101
            if status == 101 and first.split(" ")[1:2] != ["/v1/stream"]:
                status = 404
            if status == 0:
                return False
            if status != 101:
                connection.stream.sendall(f"HTTP/1.1 {status} refused\r\nContent-Length: 0\r\n\r\n".encode())
                return False
            connection.stream.sendall((
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {websocket.accept_key(headers.get('sec-websocket-key', ''))}\r\n"
                f"Sec-WebSocket-Protocol: {websocket.SUBPROTOCOL}\r\n\r\n").encode())
            self.handshakes += 1
            connection.open = True
            self._connections.append(connection)
            connection.text({
                "type": "hello", "proto": self.protocol, "schema": {"id": 1, "version": 1, "hash": "0" * 16}, "server": "mock",
                "instance": self.instance, "channel": self.channel, "epoch": str(self.epoch),
                "config_hash": "00000000", "heartbeat_ms": self.heartbeat_ms, "channels": list(CHANNELS),
                "max_subscriptions": 16})
            self._changed.notify_all()
            return True

    def _request(self, connection: _Connection, request: dict[str, Any]) -> None:
        with self._changed:
            self.requests.append(request)
            number = request["id"]
            if request["op"] == "unsubscribe":
                connection.subscriptions.pop(request["sub"], None)
                connection.text({"type": "unsubscribed", "id": number, "sub": request["sub"]})
            elif self._rejections:
                code, message = self._rejections.pop(0)
                connection.text({"type": "error", "id": number, "code": code, "msg": message})
            else:
                self._subscribe(connection, request)
            self._changed.notify_all()

    def _subscribe(self, connection: _Connection, request: dict[str, Any]) -> None:
        symbols = request["symbols"]
        known = {} if symbols == "*" else {
            symbol: self._symbols[symbol][0] for symbol in symbols if symbol in self._symbols}
        unresolved = [] if symbols == "*" else [symbol for symbol in symbols if symbol not in known]
        kinds = ALWAYS.union(*(CHANNELS[channel] for channel in request["channels"]))
        sub = connection.next_number
        connection.next_number += 1
        snapshot = request["start"] == "snapshot"
        connection.subscriptions[sub] = (symbols, kinds, set(known.values()), set(unresolved), snapshot)
        connection.text({
            "type": "subscribed", "id": request["id"], "sub": sub, "first_seq": self.sequence + 1,
            "instruments": known, "unresolved": unresolved})
        if snapshot:
            numbers = sorted(
                {number for number, _ in self._symbols.values()} | set(self.books)) if symbols == "*" else list(
                known.values())
            orders = sum(self._snapshot(connection, sub, number, kinds) for number in numbers)
            connection.text({
                "type": "caught_up", "sub": sub, "instruments": len(numbers), "orders": orders,
                "seq": max(self.sequence, connection.chain)})

    def _resolve(self, symbol: str, instrument: int) -> None:
        """A symbol that some wait for is about to be defined."""
        for connection in self._connections:
            for sub, (_, kinds, instruments, unresolved, snapshot) in connection.subscriptions.items():
                if symbol in unresolved:
                    unresolved.remove(symbol)
                    instruments.add(instrument)
                    connection.text({"type": "resolved", "sub": sub, "symbol": symbol, "instrument": instrument})
                    if snapshot:
                        self._snapshot(connection, sub, instrument, kinds)
                        connection.text({"type": "caught_up", "sub": sub, "instruments": 1, "orders": 0,
                                         "seq": max(self.sequence, connection.chain)})

    def _snapshot(self, connection: _Connection, sub: int, instrument: int, kinds: frozenset[int]) -> int:
        book = self._book(instrument)
        live, reason = self._trust.get(0, (True, 0))
        if live:
            live, reason = self._trust.get(instrument, (True, 0))
        flags = 0 if live else STALE
        rows: list[tuple[int, int, bytes]] = [
            (1, 0, body) for number, body in self._symbols.values() if number == instrument]
        if 10 in kinds and instrument in self._states:
            rows.append((10, 0, self._states[instrument]))
        rows.append((12, 0, struct.pack("<BB6xQQ", not live, 0 if live else reason, 0, 0)))
        count = book.order_count if 2 in kinds else 0
        for sell in (False, True):
            if 2 in kinds:
                rows += [(2, SELL if sell else 0, _ORDER.pack(order.reference, order.price, order.quantity))
                         for order in book.orders(sell)]
        for sell in (False, True):
            if 6 in kinds:
                rows += [(6, SELL if sell else 0, struct.pack("<qQI4x", level.price, level.size, level.orders))
                         for level in book.levels(sell)]
        if 7 in kinds:
            best = book.best()
            rows.append((7, 0, struct.pack("<qQqQ", *(
                value for side in (best.bid, best.ask) for value in ((side.price, side.size) if side else (0, 0))))))
        here = max(self.sequence, connection.chain)
        entries = tuple(
            wire.encode_entry(kind, EVENT_HEADER.pack(here, 0, 0, instrument, place, 0, flags | own) + body)
            for place, (kind, own, body) in enumerate(rows))
        connection.frame(wire.SNAPSHOT_BEGIN, here, wire.BLOCK_BEGIN.pack(sub, instrument, count))
        connection.frame(wire.SNAPSHOT_ORDERS, here, b"", entries)
        connection.frame(wire.SNAPSHOT_END, here, wire.BLOCK_END.pack(sub, instrument, count, len(entries)))
        return count
