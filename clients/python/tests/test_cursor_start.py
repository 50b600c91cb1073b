"""Going on behind a cursor that the server serves."""

from __future__ import annotations

import struct

from helpers import AAPL, MSFT, live, make, of, read_to, read_until
from stream_case import StreamCase

from bulkhead import (
    CaughtUp,
    Disconnected,
    Missed,
    OrderAdd,
    ProtocolError,
    RequestFailed,
    Resumed,
    StreamChanged,
    wire,
)
from bulkhead.mock import MockServer


class CursorStart(StreamCase):
    def setUp(self) -> None:
        self.server = MockServer(cursors=True, session="S0001", epoch=4)
        self.server.start()
        self.addCleanup(self.server.stop)
        self.server.define("AAPL", AAPL)
        self.server.define("MSFT", MSFT)
        for reference in range(1, 30):
            self.server.add(AAPL if reference % 2 else MSFT, reference, False, 1000 + reference, 10)

    def starts(self) -> list:
        return [request["start"] for request in self.server.requests if request["op"] == "subscribe"]

    def test_what_was_missed_comes_from_the_server(self) -> None:
        client = self.caught_up(start="snapshot")
        before = self.server.add(AAPL, 100, True, 2000, 5)
        read_to(client, before)
        self.server.restart()
        first = self.server.sequence + 1
        for reference in range(200, 220):
            last = self.server.add(AAPL, reference, True, 3000, 1)
        records = read_to(client, last) + read_until(client, Resumed)
        identities = live(records)
        self.assertEqual(of(records, Resumed), [Resumed(True, before, last + 1, len(identities))])
        self.assertEqual(of(records, Missed), [])
        self.assertEqual(sorted(set(identities)), identities)
        self.assertEqual({sequence for sequence, _ in identities}, set(range(first, last + 1)))
        self.assertEqual(self.starts()[-1], {"epoch": "4", "seq": before, "session": "S0001"})
        self.assert_orders(client)
        # The book never had a hole, so nothing has to be shown again.
        self.assertEqual(of(records, CaughtUp), [])
        self.beat(client)
        self.assertTrue(client.trustworthy("AAPL"), client.trust("AAPL"))
        now = self.server.add(AAPL, 300, True, 3000, 1)
        self.assertEqual(len(of(read_to(client, now), OrderAdd)), 1)

    def test_several_subscriptions_are_put_in_order(self) -> None:
        client = make(self.server.url, since=2)
        self.addCleanup(client.close)
        client.subscribe(["AAPL"], ("orders",), "live")
        client.subscribe(["AAPL", "MSFT"], ("orders",), "live")
        client.subscribe(["MSFT"], ("trades", "orders"), "live")
        records = read_until(client, Resumed)
        adds = [event.sequence for event in of(records, OrderAdd)]
        self.assertEqual(adds, list(range(3, 32)))
        self.assertEqual(len(of(records, Resumed)), 1)
        now = self.server.add(MSFT, 300, True, 3000, 1)
        self.assertEqual([event.sequence for event in of(self.beat(client, now), OrderAdd)], [now])

    def test_an_outdated_cursor_is_a_hole_that_is_said(self) -> None:
        client = self.caught_up()
        before = self.server.add(AAPL, 100, True, 2000, 5)
        read_to(client, before)
        self.server.restart()
        for reference in range(200, 210):
            last = self.server.add(AAPL, reference, True, 3000, 1)
        self.server.retained_from = last - 2
        records = read_until(client, CaughtUp)
        self.assertEqual([failed.error.code for failed in of(records, RequestFailed)], ["outdated_cursor"])
        self.assertEqual(of(records, Missed), [Missed(before + 1, last)])
        self.assert_orders(client)

    def test_a_replay_that_is_not_what_it_says_is_not_believed(self) -> None:
        client = self.caught_up()
        read_to(client, self.server.add(AAPL, 100, True, 2000, 5))
        self.server.replay_damage = 1
        self.server.restart()
        self.server.add(AAPL, 200, True, 3000, 1)
        records = read_until(client, Disconnected, lambda lost: isinstance(lost.error, ProtocolError))
        self.assertEqual(of(records, Resumed), [])
        records = read_until(client, Resumed)
        self.assertTrue(of(records, Resumed)[0].exact)

    def test_another_session_of_the_venue_is_another_stream(self) -> None:
        client = self.caught_up()
        read_to(client, self.server.add(AAPL, 100, True, 2000, 5))
        self.server.session = "S0002"
        self.server.restart()
        with self.assertRaises(StreamChanged):
            read_until(client, Resumed)

    def test_a_checksum_that_differs_ends_the_connection(self) -> None:
        client = make(self.server.url)
        self.addCleanup(client.close)
        client.subscribe(["AAPL"], ("orders", "defs"), "snapshot", checksum=True, on_slow="warn")
        read_until(client, CaughtUp)
        request = self.server.requests[-1]
        self.assertEqual((request["checksum"], request["on_slow"]), ("heartbeat", "warn"))
        book = self.server.books[AAPL]
        levels = [level for sell in (False, True) for level in book.levels(sell, 10)]
        right = wire.crc32c(b"".join(struct.pack("<qQ", level.price, level.size) for level in levels))
        self.server.send_frame(wire.CHECKSUM, wire.BLOCK_CHECKSUM.pack(1, AAPL, right, 10, 0))
        self.assertEqual(of(self.beat(client), Disconnected), [])
        self.server.send_frame(wire.CHECKSUM, wire.BLOCK_CHECKSUM.pack(1, AAPL, right ^ 1, 10, 0))
        lost = of(read_until(client, Disconnected), Disconnected)
        self.assertIn("checksum", str(lost[0].error))

    def test_the_checksum_is_the_known_one(self) -> None:
        self.assertEqual(wire.crc32c(b"123456789"), 0xE3069283)
