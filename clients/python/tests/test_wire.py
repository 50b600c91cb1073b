"""Bytes: events of every kind, frames, WebSocket framing, books and digests, without a connection."""

from __future__ import annotations

import random
import struct
import unittest

from bulkhead import (
    XXH64,
    BestPrices,
    Book,
    BookMismatch,
    Definition,
    EndOfSession,
    Gap,
    Level,
    Notice,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    OrderReduce,
    ProtocolError,
    StreamDigest,
    Trade,
    TradeBroken,
    TradingState,
    Trust,
    UnknownEvent,
    UnsupportedVersion,
    book_digest,
    websocket,
    wire,
)
from bulkhead.records import SELL, STALE, encode_body, make_event

HEADER = (70, 34_200_000_000_000, 1_700_000_000_000_000_000, 13, 2, 3, SELL)
COMMON = dict(
    sequence=70,
    index=2,
    channel=3,
    instrument=13,
    venue_time=34_200_000_000_000,
    receive_time=1_700_000_000_000_000_000,
    flags=SELL,
    snapshot=False,
)


def q(*words: int) -> bytes:
    return b"".join((word & (1 << 64) - 1).to_bytes(8, "little") for word in words)


# Bodies as docs/PUBLISH_PROTOCOL.md lays them out, written byte by byte.
BODIES = [
    (
        1,
        b"AAPL    " + struct.pack("<I", 100) + b"QNCP1N" + bytes(6),
        Definition(
            **COMMON,
            symbol="AAPL",
            round_lot=100,
            market_category="Q",
            financial_status="N",
            issue_class="C",
            authenticity="P",
            luld_tier="1",
            etp_flag="N",
        ),
    ),
    (2, q(5, -7, 9), OrderAdd(**COMMON, reference=5, price=-7, quantity=9)),
    (3, q(5, 6, 7), OrderReduce(**COMMON, reference=5, remaining=6, reduced=7)),
    (4, q(5, -7, 9), OrderDelete(**COMMON, reference=5, price=-7, quantity=9)),
    (
        5,
        q(5, -7, 9, 10, 11),
        OrderExecute(**COMMON, reference=5, price=-7, executed=9, remaining=10, match=11),
    ),
    (6, q(-7, 9, 3), Level(**COMMON, price=-7, size=9, orders=3)),
    (7, q(-7, 9, 8, 10), BestPrices(**COMMON, bid_price=-7, bid_size=9, ask_price=8, ask_size=10)),
    (
        8,
        q(-7, 9, 11) + b"P\x01" + bytes(6),
        Trade(**COMMON, price=-7, quantity=9, match=11, type="P", printable=True),
    ),
    (9, q(11), TradeBroken(**COMMON, match=11)),
    (10, b"Hh\0\0T1  ", TradingState(**COMMON, source="H", state="h", market="", reason="T1  ")),
    (11, b"S" + bytes(7) + b"payload", Notice(**COMMON, type="S", message=b"payload")),
    (
        12,
        b"\1\2\1" + bytes(5) + q(3, 4),
        Trust(**COMMON, live=False, reason="unknown reference", quarantined=True, first=3, last_lost=4),
    ),
    (13, q(3, 4, 2), Gap(**COMMON, first=3, last_lost=4, reason="retransmission exhausted")),
    (14, q(1000, 2), EndOfSession(**COMMON, applied=1000, lost=2)),
]


class EventTests(unittest.TestCase):
    def test_every_kind(self) -> None:
        for kind, body, expected in BODIES:
            with self.subTest(type(expected).__name__):
                self.assertEqual(make_event(kind, HEADER, body, 0, len(body), False), expected)
                self.assertEqual(encode_body(expected), (kind, body))
                if kind != 11:
                    self.assertEqual(
                        make_event(kind, HEADER, body + b"newer", 0, len(body) + 5, False), expected
                    )
                with self.assertRaises(ProtocolError):
                    make_event(kind, HEADER, body[:7], 0, 7, False)

    def test_an_unknown_kind(self) -> None:
        self.assertEqual(make_event(99, HEADER, b"abc", 0, 3, True).body, b"abc")
        self.assertIsInstance(make_event(99, HEADER, b"abc", 0, 3, True), UnknownEvent)

    def test_flags(self) -> None:
        event = OrderAdd(**{**COMMON, "flags": 0x1E}, reference=1, price=1, quantity=1)
        self.assertEqual(
            (event.sell, event.last, event.stale, event.replace, event.identity),
            (False, True, True, True, (3, 70, 2)),
        )


class FrameTests(unittest.TestCase):
    def frame(self, count: int = 3) -> bytes:
        entries = tuple(
            wire.encode_entry(kind, struct.pack("<QQQIHBB", *HEADER) + body)
            for kind, body, _ in BODIES[:count]
        )
        return wire.encode_frame(wire.EVENTS, 41, 70, 69, b"", entries)

    def test_layout(self) -> None:
        data = self.frame()
        self.assertEqual(data[:2], b"\x42\x4b")
        frame = wire.decode_frame(data)
        self.assertEqual(
            (frame.template, frame.epoch, frame.sequence, frame.previous, frame.count), (1, 41, 70, 69, 3)
        )
        self.assertEqual(list(frame.events(False)), [event for _, _, event in BODIES[:3]])

    def test_hostile_frames_are_refused_and_never_misread(self) -> None:
        """Every truncation, and a hundred thousand changed bytes:
        a ProtocolError or a whole decoding, nothing else."""
        data = self.frame(len(BODIES))
        for size in range(len(data)):
            with self.assertRaises(ProtocolError, msg=f"{size} bytes of {len(data)}"):
                list(wire.decode_frame(data[:size]).events(False))
        with self.assertRaises(ProtocolError):
            list(wire.decode_frame(data + bytes(8)).events(False))
        generator = random.Random(20_261_121)
        for _ in range(20_000):
            changed = bytearray(data)
            for _ in range(generator.randint(1, 4)):
                changed[generator.randrange(len(data))] = generator.randrange(256)
            try:
                list(wire.decode_frame(bytes(changed)).events(False))
            except (ProtocolError, UnsupportedVersion):
                pass


class WebSocketTests(unittest.TestCase):
    def test_any_cut_gives_the_same_messages(self) -> None:
        generator = random.Random(7)
        sent = [
            (
                generator.choice((1, 2)),
                generator.randbytes(generator.choice((0, 1, 125, 126, 127, 65_535, 65_536, 70_000))),
            )
            for _ in range(40)
        ]
        for masked in (False, True):
            stream = b"".join(websocket.encode(opcode, payload, masked) for opcode, payload in sent)
            receiver, got, at = websocket.Receiver(masked), [], 0
            while at < len(stream):
                step = generator.choice((1, 2, 3, 1000, 100_000))
                got += receiver.feed(stream[at : at + step])
                at += step
            self.assertEqual(got, sent)

    def test_refusals(self) -> None:
        encode = websocket.encode
        for name, data in {
            "reserved bits": b"\xc2\x00",
            "masked by a server": encode(2, b"x", True),
            "unknown opcode": b"\x83\x00",
            "continuation of nothing": encode(0, b"x", False),
            "two messages at once": encode(2, b"x", False, final=False) + encode(2, b"y", False),
            "a control frame in parts": encode(9, b"x", False, final=False),
            "a long control frame": encode(9, b"x" * 126, False),
            "a message without end": b"\x82\x7f" + b"\x7f" + b"\xff" * 7,
        }.items():
            with self.subTest(name), self.assertRaises(ProtocolError):
                websocket.Receiver().feed(data)
        with self.assertRaises(ProtocolError):
            websocket.Receiver(masked=True).feed(encode(2, b"x", False))

    def test_handshake_answers(self) -> None:
        address = websocket.Address.parse("ws://localhost")
        self.assertEqual((address.port, address.path, address.is_secure), (9443, "/v1/stream", False))
        secure = websocket.Address.parse("wss://[::1]:77/other")
        self.assertEqual((secure.host, secure.port, secure.path, secure.is_secure), ("::1", 77, "/other", True))
        local = websocket.Address.parse("unix:/run/bulkhead/demo/publish.sock")
        self.assertEqual(local.socket_path, "/run/bulkhead/demo/publish.sock")
        for wrong in ("http://localhost", "unix:", "ws://", "localhost:9443"):
            with self.assertRaises(ValueError):
                websocket.Address.parse(wrong)
        # The token goes over TCP alone: a local socket asks for none.
        said = [b"Authorization: Bearer abc\r\n" in websocket.Handshake(each, "abc").request for each in (secure, local)]
        self.assertEqual(said, [True, False])
        opening = websocket.Handshake(address)
        good = (
            f"HTTP/1.1 101 Switching\r\nsec-websocket-accept: {websocket.accept_key(opening.key)}\r\n"
            "Sec-WebSocket-Protocol: bulkhead.v1.bin\r\n\r\nrest"
        ).encode()
        self.assertIsNone(opening.feed(good[:-10]))
        self.assertEqual(opening.feed(good[-10:]), b"rest")
        for bad in (
            good.replace(b"accept: ", b"accept: x"),
            good.replace(b".bin", b".json"),
            b"SMTP 220\r\n\r\n",
            b"x" * 20_000,
            good.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: deflate\r\n\r\n"),
        ):
            opening = websocket.Handshake(address)
            opening.key = websocket.Handshake(address).key if bad is good else opening.key
            with self.assertRaises(ProtocolError):
                opening.feed(bad)


class BookTests(unittest.TestCase):
    def test_random_books_against_lists(self) -> None:
        """A thousand random operations on a book and on plain lists of orders:
        the same ladder, queue by queue."""
        generator = random.Random(5)
        book, model, sequence = Book(13), [], 0
        book.live = book.complete = True
        for step in range(3000):
            sequence += 1
            head = dict(
                sequence=sequence,
                index=0,
                channel=1,
                instrument=13,
                venue_time=0,
                receive_time=0,
                snapshot=False,
            )
            action = generator.random()
            if action < 0.5 or not model:
                sell = generator.random() < 0.5
                order = [sequence, sell, generator.randint(1, 12), generator.randint(1, 100)]
                model.append(order)
                book.apply(
                    OrderAdd(**head, flags=int(sell), reference=order[0], price=order[2], quantity=order[3])
                )
                continue
            order = generator.choice(model)
            flags = int(order[1])
            if action < 0.7:
                model.remove(order)
                book.apply(
                    OrderDelete(**head, flags=flags, reference=order[0], price=order[2], quantity=order[3])
                )
                continue
            taken = generator.randint(1, order[3])
            order[3] -= taken
            if action < 0.85:
                book.apply(
                    OrderReduce(**head, flags=flags, reference=order[0], remaining=order[3], reduced=taken)
                )
            else:
                book.apply(
                    OrderExecute(
                        **head,
                        flags=flags,
                        reference=order[0],
                        price=order[2],
                        executed=taken,
                        remaining=order[3],
                        match=1,
                    )
                )
            if order[3] == 0:
                model.remove(order)
            if step % 50 == 0:
                for sell in (False, True):
                    wanted = sorted(
                        (each for each in model if each[1] == sell),
                        key=lambda each: each[2] * (1 if sell else -1),
                    )
                    self.assertEqual(
                        [(each.reference, each.price, each.quantity) for each in book.orders(sell)],
                        [(each[0], each[2], each[3]) for each in wanted],
                        f"step {step}",
                    )
                    self.assertEqual(
                        [(level.price, level.size, level.orders) for level in book.levels(sell)],
                        [
                            (
                                price,
                                sum(each[3] for each in wanted if each[2] == price),
                                sum(each[2] == price for each in wanted),
                            )
                            for price in dict.fromkeys(each[2] for each in wanted)
                        ],
                    )

    def test_what_does_not_fit(self) -> None:
        head = dict(index=0, channel=1, instrument=13, venue_time=0, receive_time=0, flags=0, snapshot=False)
        wrong = [
            OrderAdd(**head, sequence=2, reference=1, price=5, quantity=5),
            OrderDelete(**head, sequence=2, reference=2, price=5, quantity=5),
            OrderDelete(**head, sequence=2, reference=1, price=5, quantity=4),
            OrderDelete(**head, sequence=2, reference=1, price=6, quantity=5),
            OrderReduce(**head, sequence=2, reference=1, remaining=3, reduced=1),
            OrderExecute(**head, sequence=2, reference=1, price=5, executed=6, remaining=0, match=1),
            Level(**head, sequence=2, price=5, size=6, orders=1),
            Level(**head, sequence=2, price=5, size=5, orders=2),
            BestPrices(**head, sequence=2, bid_price=4, bid_size=5, ask_price=0, ask_size=0),
        ]
        for event in wrong:
            for stale in (False, True):
                book = Book(13)
                book.live = book.complete = True
                book.apply(OrderAdd(**head, sequence=1, reference=1, price=5, quantity=5))
                event.flags = STALE if stale else 0
                with self.subTest(event=event, stale=stale):
                    if stale:
                        book.apply(event)
                        self.assertEqual(book.stale_mismatches, 1)
                    else:
                        with self.assertRaises(BookMismatch):
                            book.apply(event)


class DigestTests(unittest.TestCase):
    def test_known_values(self) -> None:
        """Values of the XXH64 reference, and of books without an order (docs/DIGESTS.md)."""
        for text, wanted in {
            b"": "ef46db3751d8e999",
            b"a": "d24ec4f1a98c6e5b",
            b"abc": "44bc2cf5ad770999",
            b"Nobody inspects the spammish repetition": "fbcea83c8a378bf1",
        }.items():
            digest = XXH64()
            for at in range(len(text)):
                digest.update(text[at : at + 1])
            self.assertEqual(digest.hexdigest(), wanted)
        self.assertEqual(book_digest([Book(1)]), "ef46db3751d8e999")

    def test_against_the_library(self) -> None:
        try:
            import xxhash
        except ImportError:
            self.skipTest("xxhash is not installed")
        generator = random.Random(3)
        for size in [*range(70), 1000, 4097]:
            data = generator.randbytes(size)
            digest = XXH64()
            digest.update(data[: size // 3])
            digest.update(data[size // 3 :])
            self.assertEqual(digest.hexdigest(), xxhash.xxh64(data).hexdigest(), size)

    def test_arrival_times_are_no_part_of_it(self) -> None:
        digests = []
        for change in ({}, {"receive_time": 5}, {"index": 3}):
            digest = StreamDigest()
            digest.update(OrderAdd(**{**COMMON, **change}, reference=1, price=1, quantity=1))
            digests.append(digest.hexdigest())
        self.assertEqual(digests[0], digests[1])
        self.assertNotEqual(digests[0], digests[2])


if __name__ == "__main__":
    unittest.main()
