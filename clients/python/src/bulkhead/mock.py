"""A server for tests: speaks the protocol on a port of its own, publishes what the test tells it, and fails
on demand.

    with MockServer() as server:
        server.define("AAPL", 13)
        server.add(13, reference=1, sell=False, price=1_000_000, quantity=200)
        client = bulkhead.Client(server.url)

Every call publishes one venue message and returns its sequence number; it comes to every client that
subscribed to it, in order, before the call returns. Books, levels and best prices follow as from the real
publisher.
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
from .digest import new_digest
from .mockmarket import Market, Part
from .records import ADDED_INDEX, ALWAYS, CHANNELS, EVENT_HEADER, LAST, PREFIX, make_event


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
                    self.stream.sendall(data[at : at + pieces])
            else:
                self.stream.sendall(data)
        except OSError:
            self.open = False

    def text(self, message: dict[str, Any]) -> None:
        self.send(websocket.encode(websocket.TEXT, json.dumps(message).encode(), mask=False))

    def frame(
        self,
        template: int,
        sequence: int,
        block: bytes = b"",
        entries: tuple[bytes, ...] = (),
        flags: int = 0,
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


class MockServer(Market):
    """See the module. Give it to `with`, or call `start` and `stop`."""

    def __init__(
        self,
        *,
        instance: str = "mock",
        channel: int = 1,
        epoch: int = 1,
        heartbeat_ms: int = 1000,
        port: int = 0,
        sequence: int = 0,
        session: str = "",
        cursors: bool = False,
        token: str = "",
    ) -> None:
        """
        token: what a handshake must carry; empty: nothing
        session: the venue's, as in the hello
        cursors: whether it keeps the past and takes cursors; without it, it is a publisher of before
        heartbeat_ms: as in the hello; heartbeats come by themselves at that rate
        sequence: number of the last message that was published before
        """
        super().__init__(sequence)
        self.instance, self.channel, self.epoch, self.heartbeat_ms = instance, channel, epoch, heartbeat_ms
        self.port = port
        self.session, self.cursors, self.token = session, cursors, token
        self.retained_from = sequence  #: cursors before this message are refused
        #: The epoch and the message with which a stream that lost its rings was taken up: cursors of an earlier
        #: epoch that lie at this message or behind it are refused.
        self.beginning = (0, 1)
        self.replay_damage = 0  #: that many next replays say another number of records than came
        self._past: list[tuple[int, int, int, int, bytes]] = []
        #: All requests of all clients, in order.
        self.requests: list[dict[str, Any]] = []
        self.handshakes = 0  #: that were accepted
        self.pongs = 0  #: answers to pings
        self.muted = False  #: while set, nothing is sent at all
        self.fragment = False  #: while set, frames come in two fragments with a ping between
        self.piece_bytes = 0  #: while set, bytes are written in pieces of that size
        self.lose_frames = 0  #: that many next frames are not sent, though the chain counts them
        self.corrupt_frames = 0  #: that many next frames are damaged
        self.protocol = 1  #: version that the hello names
        self.input = 0  #: state of the publisher's input in heartbeats: 0 live, 1 stale, 2 catching up
        self._changed = threading.Condition(self._lock)
        self._connections: list[_Connection] = []
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
                raise TimeoutError(
                    f"the mock server waited {seconds} s in vain; requests so far: {self.requests}"
                )

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

    def take_up(self, epoch: int, sequence: int) -> None:
        """Its rings are lost, as when the host starts anew: another epoch goes on with this message, and what was
        there from it on is forgotten."""
        self.down()
        self.cut()
        with self._lock:
            self.epoch, self.beginning, self.sequence = epoch, (epoch, sequence), sequence - 1
            self._past = [entry for entry in self._past if entry[0] < sequence]
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
                entry = wire.encode_entry(kind, EVENT_HEADER.pack(*header) + body)
                entries.append((kind, instrument, entry))
                if self.cursors:
                    self._past.append((here, place + index, kind, instrument, entry))
            for connection in list(self._connections):
                chosen = tuple(entry for kind, number, entry in entries if connection.wants(kind, number))
                if chosen and split:
                    for place, entry in enumerate(chosen):
                        last = place == len(chosen) - 1
                        connection.frame(
                            wire.EVENTS, here, b"", (entry,), 0 if last else wire.MESSAGE_CONTINUES
                        )
                elif chosen:
                    connection.frame(wire.EVENTS, here, b"", chosen)
            self._changed.notify_all()
            return here

    def heartbeat(self) -> None:
        with self._lock:
            for connection in self._connections:
                if connection.open:
                    connection.frame(
                        wire.HEARTBEAT,
                        max(self.sequence, connection.chain),
                        wire.BLOCK_HEARTBEAT.pack(time.time_ns(), self.input),
                    )

    def set_input(self, state: int) -> None:
        """Another state of the publisher's input: 0 live, 1 stale, 2 catching up."""
        with self._lock:
            self.input = state
            self.send_frame(wire.STATUS, wire.BLOCK_STATUS.pack(state, time.time_ns()))

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
            if status == 101 and self.token and headers.get("authorization") != f"Bearer {self.token}":
                status = 401
            if status == 0:
                return False
            if status != 101:
                connection.stream.sendall(f"HTTP/1.1 {status} refused\r\nContent-Length: 0\r\n\r\n".encode())
                return False
            connection.stream.sendall(
                (
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    f"Sec-WebSocket-Accept: {websocket.accept_key(headers.get('sec-websocket-key', ''))}\r\n"
                    f"Sec-WebSocket-Protocol: {websocket.SUBPROTOCOL}\r\n\r\n"
                ).encode()
            )
            self.handshakes += 1
            connection.open = True
            self._connections.append(connection)
            added = {"session": self.session, "on_slow": ["disconnect"], "limits": {}} if self.cursors else {}
            connection.text(
                {
                    "type": "hello",
                    **added,
                    "proto": self.protocol,
                    "schema": {"id": 1, "version": 1, "hash": "0" * 16},
                    "server": "mock",
                    "instance": self.instance,
                    "channel": self.channel,
                    "epoch": str(self.epoch),
                    "config_hash": "00000000",
                    "heartbeat_ms": self.heartbeat_ms,
                    "channels": list(CHANNELS),
                    "max_subscriptions": 16,
                }
            )
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
        known = (
            {}
            if symbols == "*"
            else {symbol: self._symbols[symbol][0] for symbol in symbols if symbol in self._symbols}
        )
        unresolved = [] if symbols == "*" else [symbol for symbol in symbols if symbol not in known]
        kinds = ALWAYS.union(*(CHANNELS[channel] for channel in request["channels"]))
        cursor = request["start"] if isinstance(request["start"], dict) else None
        refused = self._refuse_cursor(cursor) if cursor is not None else None
        if refused is not None:
            return connection.text({"type": "error", "id": request["id"], **refused})
        sub = connection.next_number
        connection.next_number += 1
        snapshot = request["start"] == "snapshot"
        connection.subscriptions[sub] = (symbols, kinds, set(known.values()), set(unresolved), snapshot)
        connection.text(
            {
                "type": "subscribed",
                "id": request["id"],
                "sub": sub,
                "first_seq": (self.sequence if cursor is None else cursor["seq"]) + 1,
                "instruments": known,
                "unresolved": unresolved,
            }
        )
        if cursor is not None:
            self._replay(connection, sub, cursor["seq"], kinds, None if symbols == "*" else set(known.values()))
        if snapshot:
            numbers = (
                sorted({number for number, _ in self._symbols.values()} | set(self.books))
                if symbols == "*"
                else list(known.values())
            )
            orders = sum(self._snapshot(connection, sub, number, kinds) for number in numbers)
            connection.text(
                {
                    "type": "caught_up",
                    "sub": sub,
                    "instruments": len(numbers),
                    "orders": orders,
                    "seq": max(self.sequence, connection.chain),
                }
            )

    def _refuse_cursor(self, cursor: dict[str, Any]) -> dict[str, Any] | None:
        """The error that a cursor is refused with; None: it is taken."""
        session, (epoch, first) = cursor.get("session"), self.beginning
        if session and self.session and session != self.session:
            return {"code": "wrong_session", "msg": f"this is {self.session}", "field": "start.session"}
        if int(cursor["epoch"]) > self.epoch:
            return {"code": "future_cursor", "msg": f"this is epoch {self.epoch}", "field": "start.epoch"}
        if int(cursor["epoch"]) < epoch and cursor["seq"] >= first:
            oldest = {"epoch": str(self.epoch), "seq": first - 1}
            return {
                "code": "outdated_cursor",
                "msg": f"the stream was taken up at {first}",
                "field": "start.epoch",
                "oldest": oldest,
            }
        if cursor["seq"] > self.sequence:
            return {"code": "future_cursor", "msg": f"the stream is at {self.sequence}", "field": "start.seq"}
        if cursor["seq"] < self.retained_from:
            oldest = {"epoch": str(self.epoch), "seq": self.retained_from}
            return {"code": "outdated_cursor", "msg": "not held any more", "oldest": oldest}
        return None

    def _replay(
        self, connection: _Connection, sub: int, start: int, kinds: frozenset[int], numbers: set[int] | None
    ) -> None:
        """Sends what was behind a message, and says how much it was."""
        wanted = [
            (sequence, entry)
            for sequence, index, kind, instrument, entry in self._past
            if (sequence, index) > (start, ADDED_INDEX - 1)
            and kind in kinds
            and (numbers is None or instrument == 0 or instrument in numbers)
        ]
        digest, after = new_digest(), start
        for at in range(0, len(wanted), 3):
            part = wanted[at : at + 3]
            through = part[-1][0]
            for _, entry in part:
                length, kind = PREFIX.unpack_from(entry)
                event = entry[8 : 8 + length]
                digest.update(
                    event[:16] + bytes([kind, 0]) + (length - 32).to_bytes(2, "little") + bytes(4) + event[24:]
                )
            block = wire.BLOCK_REPLAY.pack(sub, after, through)
            connection.frame(wire.REPLAY, connection.chain, block, tuple(entry for _, entry in part))
            after = through
        damage, self.replay_damage = min(self.replay_damage, 1), max(0, self.replay_damage - 1)
        connection.text(
            {
                "type": "caught_up",
                "sub": sub,
                "from": start,
                "seq": self.sequence,
                "records": len(wanted) + damage,
                "xxh64": digest.hexdigest(),
            }
        )

    def _resolve(self, symbol: str, instrument: int) -> None:
        """A symbol that some wait for is about to be defined."""
        for connection in self._connections:
            for sub, (_, kinds, instruments, unresolved, snapshot) in connection.subscriptions.items():
                if symbol in unresolved:
                    unresolved.remove(symbol)
                    instruments.add(instrument)
                    connection.text(
                        {"type": "resolved", "sub": sub, "symbol": symbol, "instrument": instrument}
                    )
                    if snapshot:
                        self._snapshot(connection, sub, instrument, kinds)
                        connection.text(
                            {
                                "type": "caught_up",
                                "sub": sub,
                                "instruments": 1,
                                "orders": 0,
                                "seq": max(self.sequence, connection.chain),
                            }
                        )

    def _snapshot(self, connection: _Connection, sub: int, instrument: int, kinds: frozenset[int]) -> int:
        rows = self._state(instrument, kinds)
        count = sum(kind == 2 for kind, _, _ in rows)
        here = max(self.sequence, connection.chain)
        entries = tuple(
            wire.encode_entry(kind, EVENT_HEADER.pack(here, 0, 0, instrument, place, 0, flags) + body)
            for place, (kind, flags, body) in enumerate(rows)
        )
        connection.frame(wire.SNAPSHOT_BEGIN, here, wire.BLOCK_BEGIN.pack(sub, instrument, count))
        connection.frame(wire.SNAPSHOT_ORDERS, here, b"", entries)
        connection.frame(wire.SNAPSHOT_END, here, wire.BLOCK_END.pack(sub, instrument, count, len(entries)))
        return count
