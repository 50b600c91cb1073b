#!/usr/bin/env python3
"""A stock WebSocket client of the published stream (docs/PUBLISH_PROTOCOL.md).

Knows the wire format and nothing else: PyPI `websockets` carries the bytes, `struct` reads them. Subscribes,
rebuilds every book order by order, checks the chain of sequence numbers, and prints one line of JSON when the
session ends. Exit codes: 0 the session ran, 2 a library is missing, 3 no connection, 4 the stream was wrong.
"""

import argparse
import asyncio
import json
import struct
import sys
import time

try:
    import websockets
except ImportError:
    print(json.dumps({"skip": "the Python package 'websockets' is not installed"}))
    sys.exit(2)

try:
    import xxhash
except ImportError:
    xxhash = None

HEADER = struct.Struct("<HHHHIHHQQ")
PREFIX = struct.Struct("<HB5x")
EVENT = struct.Struct("<QQQIHBB")
EVENTS, SNAPSHOT_BEGIN, SNAPSHOT_ORDERS, SNAPSHOT_END, HEARTBEAT, STATUS = range(1, 7)
DEFINITION, ADD, REDUCE, DELETE, EXECUTE, LEVEL, BEST, TRADE = range(1, 9)
TRUST, GAP, END_OF_SESSION = 12, 13, 14
SELL, LAST, STALE = 0x01, 0x02, 0x04
MESSAGE_CONTINUES = 0x0001


class Wrong(Exception):
    """The stream broke its own rules."""


class Order:
    __slots__ = ("instrument", "sell", "price", "quantity", "arrival")

    def __init__(self, instrument, sell, price, quantity, arrival):
        self.instrument = instrument
        self.sell = sell
        self.price = price
        self.quantity = quantity
        self.arrival = arrival


class StockClient:
    def __init__(self, arguments):
        self.arguments = arguments
        self.frames = 0
        self.texts = 0
        self.events = 0
        self.messages = 0
        self.snapshot_orders = 0
        self.first_seq = None
        self.last_seq = None
        self.chain = None
        self.violations = []
        self.stale_inconsistencies = 0
        self.last_event = {}  # instrument -> (sequence, index): nothing may come twice or out of order
        self.orders = {}  # (instrument, reference) -> Order
        self.arrivals = 0
        self.symbols = {}
        self.trust = {}
        self.gaps = []
        self.hello = None
        self.subscribed = None
        self.caught_up = None
        self.snapshot = None  # (instrument, sequence, orders, entries) while one is under way
        self.snapshot_seq = {}  # instrument -> sequence of its snapshot
        self.heartbeats = 0
        self.ended = False
        self.errors = []
        self.shutdown = False
        self.waits_for_symbols = set()

    def inconsistency(self, text, flags):
        """The book does not fit an event: wrong in a trusted book, to be expected in a stale one."""
        if flags & STALE or self.trust.get(0):
            self.stale_inconsistencies += 1
        else:
            self.violation(text)

    def violation(self, text):
        if len(self.violations) < 20:
            self.violations.append(text)
        if self.arguments.strict:
            raise Wrong(text)

    # -- frames ------------------------------------------------------------------------------------------

    def binary(self, data):
        if len(data) < HEADER.size:
            raise Wrong(f"frame of {len(data)} bytes")
        magic, block, template, version, epoch, flags, count, seq, prev = HEADER.unpack_from(data)
        if magic != 0x4B42 or version < 1:
            raise Wrong(f"magic {magic:#x} version {version}")
        if self.hello and str(epoch) != self.hello["epoch"]:
            self.violation(f"epoch {epoch} in a session of epoch {self.hello['epoch']}")
        self.frames += 1
        if self.chain is None:
            if prev != 0:
                self.violation(f"first frame has prev_seq {prev}")
        elif prev != self.chain:
            self.violation(f"prev_seq {prev} follows seq {self.chain}")
        self.chain = seq
        at = HEADER.size
        body = data[at : at + block]
        at += block
        if template == SNAPSHOT_BEGIN:
            sub, instrument, orders = struct.unpack_from("<IIQ", body)
            if self.snapshot:
                self.violation("snapshotBegin inside a snapshot")
            self.drop_book(instrument)
            self.snapshot = [instrument, seq, 0, 0, orders]
            self.snapshot_seq[instrument] = seq
        for _ in range(count):
            at = self.entry(data, at, template, seq, prev)
        if at != len(data):
            raise Wrong(f"{len(data) - at} bytes after the last entry")
        if template == SNAPSHOT_END:
            sub, instrument, orders, entries = struct.unpack_from("<IIQQ", body)
            want = [instrument, seq, orders, entries]
            if not self.snapshot or self.snapshot[:4] != want or self.snapshot[4] != orders:
                self.violation(f"snapshotEnd {want} of snapshot {self.snapshot}")
            self.snapshot = None
        elif template == HEARTBEAT:
            self.heartbeats += 1

    def entry(self, data, at, template, frame_seq, frame_prev):
        length, kind = PREFIX.unpack_from(data, at)
        seq, venue_time, receive_time, instrument, index, channel, flags = EVENT.unpack_from(data, at + 8)
        body = at + 8 + EVENT.size
        if template == SNAPSHOT_ORDERS:
            if not self.snapshot or self.snapshot[0] != instrument or seq != self.snapshot[1]:
                self.violation(f"snapshot entry of {instrument} at {seq} in {self.snapshot}")
            else:
                self.snapshot[3] += 1
                if kind == ADD:
                    self.snapshot[2] += 1
                    self.snapshot_orders += 1
        elif template == EVENTS:
            self.live(seq, index, instrument, frame_seq, frame_prev)
        self.apply(kind, data, body, instrument, flags)
        return at + ((8 + length + 7) & ~7)

    def live(self, seq, index, instrument, frame_seq, frame_prev):
        self.events += 1
        if self.first_seq is None:
            self.first_seq = seq
        if seq != self.last_seq:
            self.messages += 1
        if self.last_seq is not None and seq < self.last_seq:
            self.violation(f"event {seq} after {self.last_seq}")
        self.last_seq = seq
        if not frame_prev <= seq <= frame_seq:
            self.violation(f"event {seq} in a frame ({frame_prev}, {frame_seq}]")
        if seq <= self.snapshot_seq.get(instrument, -1):
            self.violation(f"event {seq} of {instrument} is in its snapshot already")
        last = self.last_event.get(instrument)
        if last is not None and (seq, index) <= last:
            self.violation(f"event {(seq, index)} of {instrument} after {last}")
        self.last_event[instrument] = (seq, index)

    # -- books -------------------------------------------------------------------------------------------

    def drop_book(self, instrument):
        for key in [key for key in self.orders if key[0] == instrument]:
            del self.orders[key]

    def apply(self, kind, data, body, instrument, flags):
        if kind == ADD:
            reference, price, quantity = struct.unpack_from("<QqQ", data, body)
            if (instrument, reference) in self.orders:
                self.inconsistency(f"order {reference} of {instrument} added twice", flags)
            self.arrivals += 1
            self.orders[instrument, reference] = Order(
                instrument, flags & SELL, price, quantity, self.arrivals)
        elif kind in (REDUCE, EXECUTE, DELETE):
            reference = struct.unpack_from("<Q", data, body)[0]
            order = self.orders.get((instrument, reference))
            if order is None:
                self.inconsistency(f"kind {kind} for unknown order {reference} of {instrument}", flags)
                return
            if kind == DELETE:
                price, quantity = struct.unpack_from("<qQ", data, body + 8)
                if (price, quantity) != (order.price, order.quantity):
                    self.inconsistency(f"order {reference} deleted with {quantity}@{price}, had "
                                       f"{order.quantity}@{order.price}", flags)
                del self.orders[instrument, reference]
            elif kind == REDUCE:
                remaining, reduced = struct.unpack_from("<QQ", data, body + 8)
                self.leave(order, reference, remaining, reduced, flags)
            else:
                price, executed, remaining, match = struct.unpack_from("<qQQQ", data, body + 8)
                self.leave(order, reference, remaining, executed, flags)
        elif kind == DEFINITION:
            self.symbols[instrument] = data[body : body + 8].decode("ascii", "replace").rstrip()
        elif kind == TRUST:
            if instrument == 0 and data[body] == 0 and data[body + 2] == 0:
                self.trust.clear()
            self.trust[instrument] = data[body]
            if data[body + 2] == 1:  # in quarantine its book is empty
                self.drop_book(instrument)
        elif kind == GAP:
            self.gaps.append(struct.unpack_from("<QQ", data, body))
        elif kind == END_OF_SESSION:
            self.ended = True

    def leave(self, order, reference, remaining, taken, flags):
        if order.quantity != remaining + taken:
            self.inconsistency(
                f"order {reference} had {order.quantity}, {taken} went, {remaining} are left", flags)
        order.quantity = remaining
        if remaining == 0:
            del self.orders[order.instrument, reference]

    def book_digest(self):
        """XXH64 (seed 0) over the live orders in canonical order, 40 bytes each; None without xxhash."""
        if xxhash is None:
            return None
        ordered = sorted(
            self.orders.items(),
            key=lambda item: (item[1].instrument, item[1].sell,
                              item[1].price if item[1].sell else -item[1].price, item[1].arrival))
        digest = xxhash.xxh64(seed=0)
        level, position = None, 0
        for (instrument, reference), order in ordered:
            here = (instrument, order.sell, order.price)
            position = position + 1 if here == level else 0
            level = here
            digest.update(struct.pack("<IIqQQQ", instrument, 1 if order.sell else 0, order.price,
                                      order.quantity, reference, position))
        return digest.hexdigest()

    # -- session -----------------------------------------------------------------------------------------

    def text(self, message):
        self.texts += 1
        kind = message["type"]
        if kind == "hello":
            self.hello = message
        elif kind == "subscribed":
            self.subscribed = message
            self.waits_for_symbols = set(message["unresolved"])
        elif kind == "resolved":
            self.waits_for_symbols.discard(message["symbol"])
        elif kind == "caught_up":
            self.caught_up = message
        elif kind == "error":
            self.errors.append(message)
        elif kind == "shutdown":
            self.shutdown = True

    async def run(self):
        options = self.arguments
        close_code = None
        started = time.monotonic()
        async with websockets.connect(
                options.url, subprotocols=["bulkhead.v1.bin"], compression=None, max_size=None,
                ping_interval=None, max_queue=2, open_timeout=10) as socket:
            self.text(json.loads(await asyncio.wait_for(socket.recv(), 10)))
            request = {"op": "subscribe", "id": 1, "symbols": options.symbols,
                       "channels": options.channels, "start": options.start}
            text = options.request or json.dumps(request)
            # A list of texts goes out as one message in as many fragments.
            await socket.send([text[:9], text[9:20], text[20:]] if options.fragments else text)
            if options.sleep:
                await asyncio.sleep(options.sleep)
            try:
                while not (self.ended and not options.stay) and not self.done(started):
                    message = await asyncio.wait_for(socket.recv(), options.idle)
                    if isinstance(message, str):
                        self.text(json.loads(message))
                        if self.errors and options.until_error:
                            break
                    else:
                        self.binary(message)
            except asyncio.TimeoutError:
                pass
            except websockets.ConnectionClosed as closed:
                frame = closed.rcvd
                close_code = frame.code if frame else 1006
        return close_code

    def done(self, started):
        options = self.arguments
        if options.seconds and time.monotonic() - started >= options.seconds:
            return True
        return bool(options.until_seq) and (self.chain or 0) >= options.until_seq

    def report(self, close_code):
        return {
            "frames": self.frames, "messages": self.messages, "events": self.events,
            "snapshot_orders": self.snapshot_orders,
            "first_seq": self.first_seq, "last_seq": self.last_seq, "chain_seq": self.chain,
            "violations": len(self.violations), "first_violations": self.violations[:3],
            "stale_inconsistencies": self.stale_inconsistencies,
            "orders_live": len(self.orders), "instruments": len(self.symbols),
            "book_digest": self.book_digest(), "stale": sorted(i for i, t in self.trust.items() if t),
            "gaps": len(self.gaps), "heartbeats": self.heartbeats, "caught_up": self.caught_up,
            "subscribed": self.subscribed, "hello": self.hello, "errors": self.errors,
            "session_ended": self.ended, "shutdown": self.shutdown, "close_code": close_code,
        }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="ws://127.0.0.1:9443/v1/stream")
    parser.add_argument("--symbols", default="*", help='"*" or a list with commas')
    parser.add_argument("--channels", default="orders,defs", help="a list with commas")
    parser.add_argument("--start", default="snapshot", choices=["live", "snapshot"])
    parser.add_argument("--request", help="send this text in place of the subscribe request")
    parser.add_argument("--fragments", action="store_true", help="send the request in three fragments")
    parser.add_argument("--seconds", type=float, default=0, help="end after this long; 0 = no limit")
    parser.add_argument("--until-seq", type=int, default=0, help="end once complete up to this sequence")
    parser.add_argument("--until-error", action="store_true", help="end at the first error message")
    parser.add_argument("--idle", type=float, default=10, help="end when nothing comes for this long")
    parser.add_argument("--sleep", type=float, default=0, help="read nothing for this long at first")
    parser.add_argument("--stay", action="store_true", help="do not end with the venue's session")
    parser.add_argument("--strict", action="store_true", help="end at the first violation, exit code 4")
    options = parser.parse_args()
    options.symbols = options.symbols if options.symbols == "*" else options.symbols.split(",")
    options.channels = options.channels.split(",")
    return options


def main():
    client = StockClient(arguments())
    code = None
    try:
        code = asyncio.run(client.run())
    except Wrong as wrong:
        client.violations.append(str(wrong))
    except (OSError, websockets.InvalidHandshake, asyncio.TimeoutError) as failure:
        response = getattr(failure, "response", None)
        status = getattr(response, "status_code", None) or getattr(failure, "status_code", None)
        print(json.dumps({"connect_error": str(failure), "http_status": status}), flush=True)
        return 3
    print(json.dumps(client.report(code)), flush=True)
    return 4 if client.violations else 0


if __name__ == "__main__":
    sys.exit(main())
