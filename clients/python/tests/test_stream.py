"""The synchronous client against the mock server: what is delivered, and what faults come to."""

from __future__ import annotations

import json
import os
import random
import socket
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from helpers import AAPL, ALL, MSFT, live, make, of, quick, read_to, read_until
from stream_case import StreamCase

import bulkhead
from bulkhead import (
    CaughtUp,
    Connected,
    Disconnected,
    Event,
    Heartbeat,
    Missed,
    OrderAdd,
    OrderDelete,
    OrderExecute,
    RequestFailed,
    Resolved,
    Resumed,
    Subscribed,
    Trade,
)
from bulkhead.mock import MockServer
from bulkhead.records import STALE


class DeliveryTests(StreamCase):
    def test_snapshot_then_every_event(self) -> None:
        client = self.client()
        records = read_until(client, CaughtUp)
        self.assertEqual(
            [type(each).__name__ for each in records],
            [
                "Connected",
                "Subscribed",
                "SnapshotBegin",
                "Definition",
                "Trust",
                "OrderAdd",
                "OrderAdd",
                "OrderAdd",
                "Level",
                "Level",
                "BestPrices",
                "SnapshotEnd",
                "CaughtUp",
            ],
        )
        self.assertTrue(all(each.snapshot for each in of(records, Event)))
        self.assertEqual([order.reference for order in client.book("AAPL").orders(False)], [1, 2])
        self.server.execute(AAPL, 3, 40, match=77, price=1009)
        self.server.add(MSFT, 9, True, 5, 5)  # not asked for
        self.server.replace(AAPL, 1, 5, 1001, 10)
        self.server.reduce(AAPL, 2, 20)
        last = self.server.delete(AAPL, 5)
        records = read_to(client, last)
        self.assertEqual({sequence for sequence, _ in live(records)}, {last - 4, last - 2, last - 1, last})
        execution = of(records, OrderExecute)[0]
        self.assertEqual(
            (execution.price, execution.executed, execution.remaining, execution.match, execution.sell),
            (1009, 40, 60, 77, True),
        )
        self.assertTrue(all(each.replace for each in of(records, OrderDelete)[:1] + of(records, OrderAdd)))
        self.assert_same_book(client, AAPL)
        self.assertIsNone(client.book("MSFT"))

    def test_channels_filter(self) -> None:
        client = self.caught_up(channels=["trades"])
        self.server.trade(AAPL, 1005, 7)
        last = self.server.execute(AAPL, 3, 1)
        records = self.beat(client, last)
        self.assertEqual([type(each) for each in of(records, Event)], [Trade, OrderExecute])

    def test_levels_and_best_prices_alone_make_a_ladder(self) -> None:
        client = self.caught_up(channels=["levels"])
        self.server.delete(AAPL, 3)
        self.beat(client, self.server.add(AAPL, 4, True, 1020, 8))
        self.assert_levels(client)
        client = self.caught_up(channels=["bbo"])
        self.beat(client, self.server.add(AAPL, 6, True, 1015, 9))
        best = client.book("AAPL").best()
        self.assertEqual((best.bid.price, best.bid.size, best.ask.price, best.ask.size), (1000, 250, 1015, 9))

    def assert_levels(self, client: bulkhead.Client) -> None:
        for sell in (False, True):
            self.assertEqual(client.book("AAPL").levels(sell), self.server.books[AAPL].levels(sell))

    def test_a_symbol_that_is_defined_later(self) -> None:
        client = self.client(symbols=["NEW", "AAPL"])
        records = read_until(client, CaughtUp)
        self.assertEqual(of(records, Subscribed)[0].unresolved, ["NEW"])
        self.server.define("NEW", 99)
        last = self.server.add(99, 50, False, 7, 7)
        records = read_to(client, last)
        self.assertEqual(of(records, Resolved), [Resolved("NEW", 99)])
        self.assertEqual(client.book("NEW").order_count, 1)

    def test_subscriptions_come_and_go_while_it_runs(self) -> None:
        client = self.caught_up()
        second = client.subscribe(["MSFT"], ["orders"])
        records = read_until(client, CaughtUp)
        self.assertEqual(of(records, CaughtUp)[0].key, second.key)
        last = self.server.add(MSFT, 7, False, 3, 3)
        self.assertIn((last, 0), live(self.beat(client, last)))
        client.unsubscribe(second)
        client.read(0)
        self.server.wait(lambda server: server.requests[-1]["op"] == "unsubscribe")
        self.server.add(MSFT, 8, False, 3, 3)
        last = self.server.add(AAPL, 8, False, 3, 3)
        self.assertEqual({sequence for sequence, _ in live(read_to(client, last))}, {last})

    def test_bytes_may_come_in_any_pieces(self) -> None:
        self.server.fragment = True
        self.server.piece_bytes = 7
        client = self.caught_up()
        last = self.server.add(AAPL, 4, True, 1020, 8)
        read_to(client, last)
        self.assert_same_book(client, AAPL)
        client.read(0)
        self.server.wait(lambda server: server.pongs > 3)

    def test_trades_alone_say_nothing_about_a_book(self) -> None:
        client = self.caught_up(channels=["trades"])
        self.beat(client, self.server.execute(AAPL, 1, 5))
        self.assertEqual(client.book("AAPL").order_count, 0)
        client.subscribe(["AAPL"], ["orders"])
        read_until(client, CaughtUp)
        self.beat(client, self.server.execute(AAPL, 1, 5))
        self.assert_orders(client)

    def test_what_later_versions_add_is_skipped(self) -> None:
        client = self.caught_up()
        self.server.send_text({"type": "news", "field": 1})
        self.server.send_frame(77, b"12345678", (b"x" * 16,))
        body = (
            (100).to_bytes(8, "little")
            + (5).to_bytes(8, "little")
            + (6).to_bytes(8, "little")
            + b"more of it"
        )
        self.server.message((200, AAPL, 0, b"unknown kind"), (2, AAPL, 0, body))
        last = self.server.add(AAPL, 101, False, 5, 5)
        read_to(client, last)
        self.assertEqual(client.book("AAPL").order(100).quantity, 6)

    def test_iteration_ends_with_the_session_when_asked_to(self) -> None:
        client = self.caught_up(stop_at_end=True)
        self.server.add(AAPL, 4, True, 1020, 8)
        self.server.end()
        self.server.add(AAPL, 5, True, 1020, 8)
        self.assertEqual(
            type([record for record in client if not isinstance(record, Heartbeat)][-1]),
            bulkhead.EndOfSession,
        )

    def test_import_and_construction_start_nothing(self) -> None:
        client = make(self.server.url)
        client.subscribe(["AAPL"])
        self.assertEqual((client.fileno(), self.server.handshakes), (-1, 0))
        with self.assertRaises(ValueError):
            client.subscribe(["AAPL"], ["order"])
        with self.assertRaises(ValueError):
            client.subscribe("AAPL")
        with self.assertRaises(ValueError):
            make("https://example.org")


class RefusalTests(StreamCase):
    def test_full_servers_are_asked_again_with_growing_random_pauses(self) -> None:
        self.server.refuse(503, 3)
        client = self.client(backoff=quick(initial=0.01, maximum=0.02))
        records = read_until(client, CaughtUp)
        pauses = [record.retry_in for record in of(records, Disconnected)]
        self.assertEqual(
            [type(record.error) for record in of(records, Disconnected)], [bulkhead.HandshakeRefused] * 3
        )
        for failures, pause in enumerate(pauses, 1):
            self.assertTrue(0 < pause <= min(0.02, 0.01 * 2 ** (failures - 1)), pauses)
        delays = [
            [bulkhead.Backoff(random=random.Random(seed)).delay(n) for n in range(1, 12)] for seed in (1, 2)
        ]
        self.assertTrue(
            all(one != other for one, other in zip(*delays, strict=True)),
            "two clients come back at the same moments",
        )
        self.assertTrue(all(0 < delay <= 10 for delay in delays[0]))

    def test_wrong_addresses_are_not_tried_again(self) -> None:
        for status in (400, 404):
            self.server.refuse(status)
            with self.assertRaises(bulkhead.HandshakeRefused):
                read_until(self.client(), CaughtUp)
        client = make(self.server.url.replace("v1/stream", "v2/stream"))
        with self.assertRaises(bulkhead.HandshakeRefused) as caught:
            client.read()
        self.assertEqual(caught.exception.status, 404)

    def test_attempts_end_when_they_are_limited(self) -> None:
        url = self.server.url
        self.server.stop()
        client = make(url, backoff=quick(attempts=3))
        client.subscribe(["AAPL"])
        with self.assertRaises(bulkhead.RetriesExhausted) as caught:
            for record in client:
                self.assertIsInstance(record, Disconnected)
        self.assertIsInstance(caught.exception.__cause__, bulkhead.ConnectError)

    def test_a_server_that_never_answers(self) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            client = make(f"ws://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
            client.subscribe(["AAPL"])
            self.assertIsInstance(client.read(5).error, bulkhead.ConnectError)

    def test_another_server_is_tried(self) -> None:
        client = make(["ws://127.0.0.1:1/v1/stream", self.server.url])
        client.subscribe(["AAPL"])
        records = read_until(client, CaughtUp)
        self.assertEqual([type(record) for record in records[:2]], [Disconnected, Connected])
        client.close()

    def test_refused_requests_raise_with_the_server_s_words(self) -> None:
        self.server.reject("bad_symbol", "no such thing")
        client = self.client()
        with self.assertRaises(bulkhead.RequestError) as caught:
            read_until(client, CaughtUp)
        self.assertEqual((caught.exception.code, caught.exception.message), ("bad_symbol", "no such thing"))
        client.subscribe(["MSFT"])  # the connection is as good as before
        read_until(client, CaughtUp)
        self.assertEqual(self.server.handshakes, 1)

    def test_snapshots_that_are_not_ready_are_asked_for_again(self) -> None:
        self.server.reject("snapshot_unavailable", times=2)
        client = self.client()
        records = read_until(client, CaughtUp)
        self.assertEqual(
            [record.error.code for record in of(records, RequestFailed)], ["snapshot_unavailable"] * 2
        )
        self.assertEqual(self.server.handshakes, 1)

    def test_another_protocol_is_refused(self) -> None:
        client = self.client()
        self.server.protocol = 2
        with self.assertRaises(bulkhead.UnsupportedVersion):
            read_until(client, CaughtUp)


class TrustTests(StreamCase):
    def setUp(self) -> None:
        super().setUp()
        self.reader = self.caught_up(symbols=["AAPL", "MSFT"])

    def reasons_after(self, sequence: int, symbol: str = "AAPL") -> tuple[str, ...]:
        self.beat(self.reader, sequence)
        return self.reader.trust(symbol).reasons

    def test_instrument(self) -> None:
        self.assertEqual(self.reasons_after(self.server.sequence), ())
        self.assertEqual(self.reasons_after(self.server.trust(AAPL, False, 2)), ("unknown reference",))
        self.assertEqual(self.reader.trust("MSFT").reasons, ())
        self.assertEqual(self.reasons_after(self.server.trust(AAPL, True)), ())

    def test_channel(self) -> None:
        self.assertEqual(self.reasons_after(self.server.gap(10), "MSFT"), ("the channel is stale: gap",))
        self.assertEqual(self.reader.trust("AAPL").reasons, ("the channel is stale: gap",))
        # Who comes later learns it from the snapshot.
        late = self.caught_up()
        self.beat(late)
        self.assertEqual(late.trust("AAPL").reasons, ("gap",))
        self.assertEqual(self.reasons_after(self.server.trust(0, True)), ())

    def test_quarantine_and_its_end(self) -> None:
        """The book is empty, then said anew behind the newest message, under that message's number."""
        last = self.server.message((12, AAPL, STALE, b"\1\6\1" + bytes(21)))
        self.assertEqual(self.reasons_after(last), ("capacity",))
        book = self.reader.book("AAPL")
        self.assertEqual((book.quarantined, book.order_count, book.bids()), (True, 0, []))
        order = b"".join(word.to_bytes(8, "little") for word in (77, 990, 5))
        self.server.message(
            (2, AAPL, STALE, order),
            (12, AAPL, 0, bytes(24)),
            sequence=last,
            index=bulkhead.records.ADDED_INDEX,
        )
        self.assertEqual(self.reasons_after(last), ())
        self.assertEqual((book.quarantined, [each.reference for each in book.orders(False)]), (False, [77]))

    def test_without_a_refill_only_a_snapshot_restores_trust(self) -> None:
        """What the book stage said behind the last message has no number of its own: it may have gone by
        unseen."""
        client = self.client(start="live", since=self.server.sequence)
        read_until(client, Resumed)
        client.session.books.update({AAPL: bulkhead.Book(AAPL)})
        client.book(AAPL).live = client.book(AAPL).complete = True
        self.beat(client)
        self.assertTrue(client.trustworthy(AAPL))
        self.server.cut()
        read_until(client, Resumed)
        self.beat(client)
        self.assertEqual(client.trust(AAPL).reasons, ("no snapshot since the stream was resumed",))
        # With a snapshot, trust comes back with it.
        self.assertEqual(self.reasons_after(self.server.sequence), ())

    def test_a_channel_that_recovered_while_nobody_listened(self) -> None:
        """The newer word counts: the snapshot's."""
        self.assertEqual(self.reasons_after(self.server.gap(10)), ("the channel is stale: gap",))
        self.server.cut()
        self.server.trust(0, True)
        read_until(self.reader, CaughtUp)
        self.assertEqual(self.reasons_after(self.server.sequence), ())

    def test_the_server_s_input(self) -> None:
        self.beat(self.reader)
        self.server.set_input(1)
        read_until(self.reader, bulkhead.InputChanged)
        self.assertEqual(self.reader.trust("AAPL").reasons, ("the server's input is stale",))
        self.server.set_input(0)
        read_until(self.reader, bulkhead.InputChanged)
        self.assertTrue(self.reader.trustworthy("AAPL"))

    def test_unknown_and_unsubscribed(self) -> None:
        self.beat(self.reader)
        self.assertEqual(self.reader.trust("NONE").reasons, ("no such book",))
        self.reader.unsubscribe(self.reader.session.subscriptions[1])
        self.assertEqual(self.reader.trust("AAPL").reasons, ("not subscribed",))

    def test_age(self) -> None:
        self.beat(self.reader)
        self.reader.session._last_message = time.monotonic() - 3
        report = self.reader.trust("AAPL")
        self.assertFalse(report.trustworthy)
        self.assertGreater(report.age, 2.9)

    def test_live_without_a_snapshot_makes_no_book_to_trust(self) -> None:
        client = self.client(start="live")
        read_until(client, Subscribed)
        self.beat(client, self.server.add(AAPL, 4, True, 1020, 8))
        self.assertEqual(client.trust("AAPL").reasons, ("no snapshot",))
        self.assertEqual(client.book("AAPL").order_count, 0)

    def test_a_stale_book_bears_what_does_not_fit(self) -> None:
        self.server.trust(AAPL, False)
        self.server.books[AAPL].live = False
        last = self.server.message((4, AAPL, bulkhead.records.STALE, (999).to_bytes(8, "little") + bytes(16)))
        read_to(self.reader, last)
        self.assertEqual(self.reader.book("AAPL").stale_mismatches, 1)


class CursorTests(StreamCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "cursor.json"

    def test_a_new_process_goes_on_where_the_old_one_was(self) -> None:
        first = self.caught_up(cursor=self.path)
        last = self.server.add(AAPL, 4, True, 1020, 8)
        read_to(first, last)
        first.read(0)
        first.close()
        second = self.caught_up(cursor=self.path)
        self.assertEqual(second.session.complete, last)
        second.close()
        missed = self.server.add(AAPL, 5, True, 1020, 8)
        third = self.client(cursor=self.path)
        records = read_until(third, CaughtUp)
        self.assertEqual(of(records, Missed), [Missed(last + 1, missed)])
        self.assert_same_book(third, AAPL)

    def test_what_was_not_processed_comes_again(self) -> None:
        """Handing a record out does not process it; asking for the next one does."""
        client = self.caught_up(cursor=self.path, cursor_interval=0)
        last = self.server.add(AAPL, 4, True, 1020, 8)
        read_until(client, Event, lambda event: event.sequence == last)
        cursor = bulkhead.CursorFile(self.path).load()
        self.assertEqual((cursor.sequence, client.processed), (last - 1, last - 1))
        client.commit()
        self.assertEqual(bulkhead.CursorFile(self.path).load().sequence, last - 1)
        client.read(0)
        client.commit()
        cursor = bulkhead.CursorFile(self.path).load()
        self.assertEqual((cursor.last_sequence, cursor.last_index), (last, 0))

    def test_the_file_is_replaced_whole_and_flushed(self) -> None:
        cursor = bulkhead.Cursor("mock", 1, 1, "", 5, 5, 2)
        file = bulkhead.CursorFile(self.path)
        file.save(cursor)
        calls: list[str] = []
        fsync, replace = os.fsync, os.replace

        def note_sync(descriptor: int) -> None:
            calls.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
            fsync(descriptor)

        def fail(*_: object) -> None:
            raise OSError("disk")

        with (
            mock.patch("os.fsync", note_sync),
            mock.patch("os.replace", lambda old, new: (calls.append("rename"), replace(old, new))[1]),
        ):
            file.save(bulkhead.Cursor("mock", 1, 1, "", 6, 6, 0))
        self.assertEqual(calls, ["file", "rename", "folder"])
        with mock.patch("os.replace", fail), self.assertRaises(OSError):
            file.save(cursor)
        self.assertEqual(file.load().sequence, 6)
        self.assertEqual(os.listdir(self.path.parent), [self.path.name])

    def test_a_damaged_file_is_named(self) -> None:
        good = json.dumps(
            {
                "format": "bulkhead-cursor-1",
                "instance": "",
                "channel": 1,
                "epoch": 1,
                "config_hash": "",
                "sequence": 5,
                "last_sequence": 5,
                "last_index": 0,
            }
        )
        self.path.write_text(good)
        self.assertEqual(bulkhead.CursorFile(self.path).load().sequence, 5)
        for text in (
            "",
            "{",
            "[]",
            good.replace("5", '"5"', 1),
            good[:-1],
            good.replace("cursor-1", "cursor-2"),
            good.replace('"channel": 1, ', ""),
            good.replace("5", "-7"),
            "\0" * 64,
        ):
            self.path.write_text(text)
            with self.subTest(text), self.assertRaises(bulkhead.CursorDamaged):
                make(self.server.url, cursor=self.path)

    def test_since_the_beginning(self) -> None:
        client = self.client(start="live", since=0)
        records = read_until(client, Resumed)
        self.assertEqual(of(records, Missed), [Missed(1, self.server.sequence)])
        fresh = MockServer()
        fresh.start()
        self.addCleanup(fresh.stop)
        client = make(fresh.url, since=0)
        self.addCleanup(client.close)
        client.subscribe("*", ALL, "live")
        read_until(client, Resumed)
        fresh.define("AAPL", AAPL)
        last = fresh.add(AAPL, 1, False, 5, 5)
        read_to(client, last)
        fresh.heartbeat()
        read_until(client, Heartbeat)
        self.assertTrue(
            client.trustworthy("AAPL"), "a book that was seen from its first event on needs no snapshot"
        )
        self.assertEqual(client.book("AAPL").order_count, 1)


if __name__ == "__main__":
    unittest.main()
