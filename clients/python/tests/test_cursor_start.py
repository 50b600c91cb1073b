"""Going on behind a cursor that the server serves."""

from __future__ import annotations

import dataclasses
import json
import struct
import tempfile
from pathlib import Path

from helpers import AAPL, ALL, MSFT, live, make, of, read_to, read_until
from stream_case import StreamCase

from bulkhead import (
    CaughtUp,
    CursorFile,
    Disconnected,
    Gap,
    Missed,
    MissedEvents,
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

    def cursor_file(self) -> Path:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Path(folder.name) / "cursor.json"

    def stopped_at(self, reference: int, file: Path) -> int:
        """A client that writes its cursor behind one more message, and ends. Returns the message."""
        client = make(self.server.url, cursor=file)
        client.subscribe(["AAPL"], ALL, "snapshot")
        read_until(client, CaughtUp)
        sequence = self.server.add(AAPL, reference, True, 2000, 5)
        read_to(client, sequence)
        self.beat(client, sequence)
        client.read(0)
        client.close()
        return sequence

    def test_a_hole_in_front_of_the_place_is_told(self) -> None:
        """The rings are lost, the tape ends in front of the client's place, and a gap stands where the stream is
        taken up: the client must hear that its past is not the stream's any more."""
        for lives_on in (True, False):
            with self.subTest("the same client" if lives_on else "another one, from the file"):
                self.setUp()
                if lives_on:
                    client = self.caught_up()
                    for reference in range(100, 105):
                        place = self.server.add(AAPL, reference, True, 2000, 5)
                    read_to(client, place)
                else:
                    file = self.cursor_file()
                    place = self.stopped_at(100, file)
                self.server.take_up(5, place - 2)
                first_lost = place - 2
                self.server.gap(2)
                for reference in range(200, 205):
                    last = self.server.add(MSFT, reference, True, 3000, 1)
                if not lives_on:
                    client = self.client(cursor=file)
                records = read_until(client, CaughtUp)
                self.assertEqual(self.starts()[-3], {"epoch": "4", "seq": place, "session": "S0001"})
                resumed = of(records, Resumed)[0]
                self.assertFalse(resumed.exact, resumed)
                self.assertEqual(of(records, Missed), [Missed(first_lost, last)])
                self.assertEqual(live(records), [])
                self.assert_orders(client)
                client.close()

    def test_a_hole_in_front_of_the_place_is_raised(self) -> None:
        client = self.caught_up(on_missed="raise")
        place = self.server.add(AAPL, 100, True, 2000, 5)
        read_to(client, place)
        self.server.take_up(5, place - 1)
        self.server.gap(3)
        with self.assertRaises(MissedEvents) as caught:
            read_until(client, CaughtUp)
        self.assertEqual((caught.exception.first, caught.exception.last), (place - 1, place + 1))

    def test_a_place_in_front_of_the_hole_is_gone_on_from(self) -> None:
        """... and hears of the hole in its turn. What the new incarnation says of trust is in its snapshots only."""
        client = self.caught_up()
        place = self.server.add(AAPL, 100, True, 2000, 5)
        read_to(client, place)
        self.server.take_up(5, place + 1)
        self.server.gap(2)
        last = self.server.add(AAPL, 200, True, 3000, 1)
        records = read_until(client, CaughtUp)
        self.assertEqual((of(records, Resumed)[0].exact, of(records, Missed)), (True, []))
        self.assertEqual([(gap.first, gap.last_lost) for gap in of(records, Gap)], [(place + 1, place + 2)])
        self.assertEqual(live(records)[-1][0], last)
        # From now on the place is of the new incarnation.
        self.server.restart()
        read_until(client, Resumed)
        self.assertEqual(self.starts()[-1], {"epoch": "5", "seq": last, "session": "S0001"})

    def test_another_server_counts_epochs_of_its_own(self) -> None:
        """A number of the venue means the same there; what that server says of trust is in its snapshots only."""
        client = self.caught_up()
        place = self.server.add(AAPL, 100, True, 2000, 5)
        read_to(client, place)
        self.server.instance, self.server.epoch = "other", 2
        self.server.cut()
        records = read_until(client, CaughtUp)
        self.assertEqual((of(records, Resumed)[0].exact, of(records, Missed)), (True, []))
        self.assertEqual(self.starts()[-2], {"epoch": "2", "seq": place, "session": "S0001"})

    def test_the_cursor_of_yesterday_is_not_todays(self) -> None:
        file = self.cursor_file()
        place = self.stopped_at(100, file)
        text = json.loads(file.read_text())
        self.assertEqual(
            {name: text[name] for name in ("server", "instance", "epoch", "session", "sequence")},
            {"server": "mock", "instance": "mock", "epoch": 4, "session": "S0001", "sequence": place},
        )
        for reference in range(200, 240):
            last = self.server.add(MSFT, reference, True, 3000, 1)
        with self.subTest("the session is another one"):
            self.server.session = "S0002"
            with self.assertRaises(StreamChanged):
                read_until(self.client(cursor=file), Resumed)
        with self.subTest("the server learns of its session later"):
            self.server.session = ""
            self.server.restart()
            self.server.reject("wrong_session")
            with self.assertRaises(StreamChanged):
                read_until(self.client(cursor=file), Resumed)
        with self.subTest("a file of before, without session and server"):
            cursor = CursorFile(file).load()
            CursorFile(file).save(dataclasses.replace(cursor, session="", server=""))
            text = json.loads(file.read_text())
            del text["session"], text["server"]
            file.write_text(json.dumps(text))
            self.server.session, self.server.beginning = "S0002", (5, 1)
            self.server.restart(epoch=5)
            records = read_until(self.client(cursor=file), CaughtUp)
            self.assertFalse(of(records, Resumed)[0].exact)
            self.assertEqual(of(records, Missed), [Missed(1, last)])
        with self.subTest("the epoch of a stream that is gone"):
            CursorFile(file).save(dataclasses.replace(cursor, epoch=9))
            with self.assertRaises(StreamChanged):
                read_until(self.client(cursor=file), Resumed)

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
