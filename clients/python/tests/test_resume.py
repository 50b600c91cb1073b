"""After an interruption of the synchronous client: nothing repeated,
and nothing missing that is not said to be."""

from __future__ import annotations

import socket
import unittest
from unittest import mock

from helpers import AAPL, MSFT, live, make, of, read_to, read_until
from stream_case import StreamCase

import bulkhead
from bulkhead import (
    CaughtUp,
    Disconnected,
    Event,
    Heartbeat,
    Missed,
    OrderAdd,
    Resumed,
    Shutdown,
    SnapshotBegin,
    Subscribed,
    wire,
)
from bulkhead.mock import MockServer
from bulkhead.records import EVENT_HEADER


class ResumeTests(StreamCase):
    """After an interruption: nothing repeated, and nothing missing that is not said to be."""

    def test_nothing_happened_meanwhile(self) -> None:
        client = self.caught_up()
        last = self.server.add(AAPL, 4, True, 1020, 8)
        before = live(read_to(client, last))
        self.server.cut()
        records = read_until(client, CaughtUp)
        self.assertEqual(of(records, Resumed), [Resumed(True, last, last + 1, 0)])
        self.assertEqual(of(records, Missed), [])
        self.assertIsInstance(of(records, Disconnected)[0].error, bulkhead.ConnectionLost)
        last = self.server.delete(AAPL, 4)
        after = live(records + read_to(client, last))
        self.assertEqual(sorted(set(before + after)), before + after)
        self.assert_same_book(client, AAPL)

    def test_what_happened_meanwhile_is_named(self) -> None:
        client = self.caught_up()
        last = self.server.add(AAPL, 4, True, 1020, 8)
        read_to(client, last)
        self.server.restart(epoch=2)
        self.server.delete(AAPL, 4)
        missed = self.server.add(AAPL, 6, True, 1030, 8)
        records = read_until(client, CaughtUp)
        self.assertEqual(of(records, Missed), [Missed(last + 1, missed)])
        self.assertEqual(of(records, Resumed), [Resumed(False, last, missed + 1, 0)])
        self.assertEqual(live(records), [])
        self.assert_same_book(client, AAPL)
        read_to(client, self.server.add(AAPL, 7, True, 1030, 8))
        self.assert_same_book(client, AAPL)
        # The subscription that brought the snapshots has ended; the one that brings the events has not.
        self.server.wait(lambda server: server.requests[-1]["op"] == "unsubscribe")
        self.assertEqual(
            [request.get("start") for request in self.server.requests], ["snapshot", "live", "snapshot", None]
        )

    def test_raise_in_place_of_going_on(self) -> None:
        client = self.caught_up(on_missed="raise")
        last = self.server.add(AAPL, 4, True, 1020, 8)
        read_to(client, last)
        self.server.cut()
        missed = self.server.delete(AAPL, 4)
        with self.assertRaises(bulkhead.MissedEvents) as caught:
            read_until(client, CaughtUp)
        self.assertEqual((caught.exception.first, caught.exception.last), (last + 1, missed))

    def test_no_trust_between(self) -> None:
        client = self.caught_up()
        self.beat(client)
        self.assertEqual(client.trust("AAPL").reasons, ())
        self.server.down()
        self.server.cut()
        read_until(client, Disconnected)
        self.assertEqual(client.trust("AAPL").reasons, ("not connected",))
        missed = self.server.add(AAPL, 4, True, 1020, 8)
        self.server.up()
        read_until(client, Missed, lambda record: record.last == missed)
        client.session.books[AAPL].begin(0)  # as if its snapshot had just begun
        self.assertIn("snapshot under way", client.trust("AAPL").reasons)
        read_until(client, CaughtUp)
        self.beat(client)
        self.assertTrue(client.trustworthy("AAPL"), client.trust("AAPL"))

    def test_a_message_in_several_frames_is_cut(self) -> None:
        client = self.caught_up()
        parts = [(2, AAPL, 0, n.to_bytes(8, "little") + (5).to_bytes(8, "little") * 2) for n in (50, 51, 52)]
        # Two of three frames come: the message is not complete, and the client must know.
        sequence = self.server.sequence + 1
        connection = self.server._connections[0]
        send = connection.send
        sent: list[bytes] = []
        connection.send = lambda data: (sent.append(data), send(data) if len(sent) < 3 else None)[1]
        self.server.message(*parts, split=True)
        read_until(client, OrderAdd, lambda event: event.reference == 51)
        self.server.cut()
        records = read_until(client, CaughtUp)
        self.assertEqual(of(records, Missed), [Missed(sequence, sequence)])
        self.assertEqual(client.book("AAPL").order_count, 6)

    def test_a_broken_chain_is_seen_before_anything_is_used(self) -> None:
        client = self.caught_up()
        self.server.lose_frames = 1
        lost = self.server.add(AAPL, 4, True, 1020, 8)
        self.server.add(AAPL, 5, True, 1020, 8)
        records = read_until(client, CaughtUp)
        self.assertIsInstance(of(records, Disconnected)[0].error, bulkhead.ContinuityError)
        self.assertEqual(of(records, Missed), [Missed(lost, lost + 1)])
        self.assertEqual(live(records), [])
        self.assert_same_book(client, AAPL)

    def test_damage_is_seen(self) -> None:
        for fault in ("corrupt_frames", "bytes", "text"):
            with self.subTest(fault):
                client = self.caught_up()
                if fault == "corrupt_frames":
                    self.server.corrupt_frames = 1
                    self.server.heartbeat()
                elif fault == "bytes":
                    self.server.send_bytes(b"\xf3\x01\x02\x03")
                else:
                    self.server.send_text({"type": "caught_up", "sub": "x"})
                records = read_until(client, CaughtUp)
                self.assertIsInstance(of(records, Disconnected)[0].error, bulkhead.ProtocolError)
                client.close()

    def test_frames_that_break_the_rules(self) -> None:
        """Each is refused, whole: what it would have done is not done."""

        def events(*places: tuple[int, int], instrument: int = AAPL) -> tuple[bytes, ...]:
            body = (9).to_bytes(8, "little") + (999).to_bytes(8, "little") * 2
            return tuple(
                wire.encode_entry(2, EVENT_HEADER.pack(sequence, 0, 0, instrument, index, 1, 0) + body)
                for sequence, index in places
            )

        begin, end = wire.BLOCK_BEGIN.pack(1, AAPL, 1), wire.BLOCK_END.pack(1, AAPL, 1, 1)
        here = self.server.sequence
        cases = {
            "an event before its frame": [(wire.EVENTS, here + 3, b"", events((here - 1, 0), (here + 3, 0)))],
            "an event behind its frame": [(wire.EVENTS, here + 3, b"", events((here + 3, 0), (here + 4, 0)))],
            "an end without its event": [(wire.EVENTS, here + 3, b"", events((here + 2, 0)))],
            "an event twice": [(wire.EVENTS, here + 3, b"", events((here + 3, 0), (here + 3, 0)))],
            "an event out of order": [(wire.EVENTS, here + 3, b"", events((here + 3, 1), (here + 3, 0)))],
            "entries without a snapshot": [(wire.SNAPSHOT_ORDERS, here, b"", events((here, 0)))],
            "an end without a snapshot": [(wire.SNAPSHOT_END, here, end, ())],
            "a snapshot in another": [(wire.SNAPSHOT_BEGIN, here, begin, ())] * 2,
            "an order too few": [(wire.SNAPSHOT_BEGIN, here, begin, ()), (wire.SNAPSHOT_END, here, end, ())],
            "another instrument": [
                (wire.SNAPSHOT_BEGIN, here, begin, ()),
                (wire.SNAPSHOT_ORDERS, here, b"", events((here, 0), instrument=MSFT)),
            ],
            "another time": [
                (wire.SNAPSHOT_BEGIN, here, begin, ()),
                (wire.SNAPSHOT_ORDERS, here, b"", events((here - 1, 0))),
            ],
            "a block that is too short": [(wire.HEARTBEAT, here, b"12345678", ())],
        }
        for name, frames in cases.items():
            with self.subTest(name):
                client = self.caught_up(channels=["orders"])
                for template, sequence, block, entries in frames:
                    self.server._connections[-1].frame(template, sequence, block, entries)
                records = read_until(client, Disconnected)
                self.assertIs(type(of(records, Disconnected)[0].error), bulkhead.ProtocolError)
                read_until(client, CaughtUp)
                self.assert_orders(client)
                client.close()
                self.server.cut()
        with self.subTest("another epoch"):
            client = self.caught_up()
            self.server.epoch = 7
            self.server.heartbeat()
            self.assertIs(
                type(of(read_until(client, Disconnected), Disconnected)[0].error), bulkhead.ProtocolError
            )

    def test_an_event_that_does_not_fit_the_book(self) -> None:
        client = self.caught_up()
        self.server.books[AAPL].live = False  # so that the mock's own book bears it
        self.server.message((4, AAPL, 0, (999).to_bytes(8, "little") + bytes(16)))
        records = read_until(client, CaughtUp)
        self.assertIsInstance(of(records, Disconnected)[0].error, bulkhead.BookMismatch)
        self.assert_same_book(client, AAPL)

    def test_close_codes(self) -> None:
        client = self.caught_up()
        for code in (1001, 4002, 4004, 4005, 4007):
            self.server.close(code)
            error = of(read_until(client, CaughtUp), Disconnected)[0].error
            self.assertEqual((type(error), error.code), (bulkhead.ConnectionLost, code))
        self.server.close(1009)
        with self.assertRaises(bulkhead.ConnectionLost):
            read_until(client, CaughtUp)

    def test_shutdown_is_told_before_the_end(self) -> None:
        client = self.caught_up()
        self.server.shutdown()
        records = read_until(client, Disconnected)
        self.assertEqual(len(of(records, Shutdown)), 1)
        self.server.up()
        read_until(client, Resumed)

    def test_a_silent_server_is_left(self) -> None:
        server = MockServer(heartbeat_ms=40)
        server.start()
        self.addCleanup(server.stop)
        server.define("AAPL", AAPL)
        client = make(server.url)
        self.addCleanup(client.close)
        client.subscribe(["AAPL"])
        read_until(client, Heartbeat)
        server.muted = True
        records = read_until(client, Disconnected)
        self.assertIsInstance(of(records, Disconnected)[0].error, bulkhead.HeartbeatTimeout)
        self.assertFalse(client.trustworthy("AAPL"))

    def test_who_was_away_is_no_reason_to_leave(self) -> None:
        """Silence of the client is not taken for silence of the server."""
        client = self.caught_up()
        client.session._last_message -= 1000
        last = self.server.add(AAPL, 4, True, 1020, 8)
        self.assertEqual(of(read_to(client, last), Disconnected), [])

    def test_two_subscriptions_resume_without_a_hole_between(self) -> None:
        """The second subscription's answer comes later than the first one's, and with events between."""
        client = self.client(channels=["orders"], start="live")
        client.subscribe(["MSFT"], ["orders"], "live")
        read_until(client, Subscribed, lambda record: record.key == 2)
        self.server.cut()
        original = MockServer._subscribe

        def slowly(server: MockServer, connection: object, request: dict) -> None:
            original(server, connection, request)
            if request["symbols"] == ["AAPL"]:
                server.add(AAPL, 70, False, 1, 1)
                server.add(MSFT, 71, False, 1, 1)  # the MSFT subscription is not there yet

        with mock.patch.object(MockServer, "_subscribe", slowly):
            records = read_until(client, Resumed)
        last = self.server.sequence
        self.assertEqual(of(records, Missed), [Missed(last - 1, last)])
        records = self.beat(client, self.server.add(MSFT, 72, False, 1, 1))
        self.assertEqual(live(records), [(last - 1, 0), (last + 1, 0)])

    def test_refill_closes_the_hole(self) -> None:
        """A source that holds what was missed: exact, event by event, books included."""
        witness = self.caught_up()
        history: list[Event] = []

        class Source:
            def fetch(self, channel: int, complete: int, after: tuple[int, int], before: int) -> list[Event]:
                return [
                    event
                    for event in history
                    if after < (event.sequence, event.index) and event.sequence < before
                ]

        client = self.caught_up(refill=Source())
        last = self.server.add(AAPL, 4, True, 1020, 8)
        before = live(read_to(client, last))
        self.server._connections[1].stream.shutdown(socket.SHUT_RDWR)
        self.server.wait(lambda server: server.clients == 1)
        self.server.add(MSFT, 90, True, 1, 1)
        self.server.delete(AAPL, 4)
        last = self.server.execute(AAPL, 1, 5)
        history += of(read_to(witness, last), Event)
        last = self.server.add(AAPL, 6, True, 1030, 8)
        history += of(read_to(witness, last), Event)
        records = read_until(client, Resumed)
        self.assertEqual(
            (of(records, Resumed)[0].exact, of(records, Missed), of(records, SnapshotBegin)), (True, [], [])
        )
        last = self.server.add(AAPL, 7, True, 1030, 8)
        records += read_to(client, last)
        self.assertEqual(
            before + live(records),
            [here for here in live(history) if here in before or here not in before][
                : len(before + live(records)) - 3
            ]
            + live(records)[-3:],
        )
        self.assert_same_book(client, AAPL)

    def test_another_stream_is_refused(self) -> None:
        client = self.caught_up()
        read_to(client, self.server.add(AAPL, 4, True, 1020, 8))
        self.server.sequence = 2
        self.server.cut()
        with self.assertRaises(bulkhead.FutureCursor):
            read_until(client, CaughtUp)
        client = self.caught_up()
        self.server.restart(epoch=0)
        with self.assertRaises(bulkhead.StreamChanged):
            read_until(client, CaughtUp)
        client = self.caught_up()
        self.server.channel = 2
        self.server.cut()
        with self.assertRaises(bulkhead.StreamChanged):
            read_until(client, CaughtUp)

    def test_a_server_that_lags_a_little_is_borne(self) -> None:
        ahead = self.caught_up(lag=5)
        other = MockServer(sequence=0)
        other.start()
        self.addCleanup(other.stop)
        for server in (self.server, other):
            if server is other:
                server.define("AAPL", AAPL), server.define("MSFT", MSFT)
                server.add(AAPL, 1, False, 1000, 200), server.add(AAPL, 2, False, 1000, 50)
                server.add(AAPL, 3, True, 1010, 100)
        last = self.server.add(AAPL, 4, True, 1020, 8)
        seen = live(read_to(ahead, last))
        ahead.urls.append(other.url)
        self.server.stop()
        read_until(ahead, Resumed)
        other.add(AAPL, 4, True, 1020, 8)  # the same message, later
        last = other.delete(AAPL, 4)
        seen += live(read_to(ahead, last))
        self.assertEqual(seen, sorted(set(seen)))
        self.assertEqual({sequence for sequence, _ in seen}, {last - 1, last})
        self.assertEqual(ahead.book("AAPL").order_count, 3)


if __name__ == "__main__":
    unittest.main()
