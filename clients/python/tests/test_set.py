"""Against a real set: what clients have at the end is what `bulkhead book` makes of the same messages,
whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import random
import tempfile
import unittest
from pathlib import Path
from typing import Any

from helpers import ALL, make, of
from set_run import SetRun, output

import bulkhead
from bulkhead import (
    Connected,
    Disconnected,
    Event,
    Missed,
    Resumed,
    RingReader,
    RingRefill,
    SnapshotBegin,
    StreamDigest,
    book_digest,
)

MESSAGES = 60_000


class SetCase(unittest.TestCase):
    """A generated day in a file, and what one process makes of it."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.file = str(Path(folder.name) / "day.itch")
        output(
            "venue",
            "--generate",
            str(MESSAGES),
            "--seed",
            "11",
            "--instruments",
            "60",
            "--plateau",
            "4000",
            "--write",
            cls.file,
        )
        cls.expected = json.loads(output("bulkhead", "book", cls.file, "--json", "--channel", "1"))

    def run_set(self, rate: int = 12_000, *options: str) -> SetRun:
        run = SetRun("--replay", self.file, "--rate", str(rate), *options)
        self.addCleanup(run.close)
        return run

    def client(
        self, run: SetRun, channels: object = ALL, start: str = "snapshot", **options: Any
    ) -> bulkhead.Client:
        client = make(run.url, stop_at_end=True, **options)
        self.addCleanup(client.close)
        client.subscribe("*", channels, start)
        return client

    def assert_books(self, client: Any) -> None:
        self.assertEqual(book_digest(client.books.values()), self.expected["bookDigest"])
        self.assertEqual(sum(book.order_count for book in client.books.values()), self.expected["orders"])

    def assert_rising(self, events: list[Event]) -> None:
        identities = [event.identity for event in events]
        self.assertEqual(identities, sorted(set(identities)), "repeated or out of order")


class BookTests(SetCase):
    def test_books_equal_those_from_the_file(self) -> None:
        """A snapshot in mid-stream and what follows;
        levels and best prices are checked against the orders on the way."""
        run = self.run_set()
        run.wait_for_messages(MESSAGES // 4)
        client = self.client(run)
        records = list(client)
        report = run.report()
        self.assertEqual(report["bookDigest"], self.expected["bookDigest"])
        self.assert_books(client)
        self.assertEqual((of(records, Disconnected), of(records, Missed)), ([], []))
        self.assert_rising([event for event in of(records, Event) if not event.snapshot])
        for symbol in list(client.session.symbols)[:3]:
            shown = json.loads(
                output("bulkhead", "book", self.file, "--symbol", symbol, "--depth", "20", "--json")
            )["symbol"]
            book = client.book(symbol)
            for side, levels in (("bids", book.bids(20)), ("asks", book.asks(20))):
                self.assertEqual(
                    [(each["price"], each["size"], each["orders"]) for each in shown[side]],
                    [(each.price, each.size, each.orders) for each in levels],
                    f"{symbol} {side}",
                )

    def test_asynchronous_client(self) -> None:
        import asyncio

        async def follow(url: str) -> bulkhead.AsyncClient:
            async with bulkhead.AsyncClient(url, stop_at_end=True) as client:
                client.subscribe("*")
                async for _ in client:
                    pass
                return client

        run = self.run_set()
        run.wait_for_messages(MESSAGES // 4)
        client = asyncio.run(follow(run.url))
        run.report()
        self.assert_books(client)

    def test_an_instrument_in_quarantine(self) -> None:
        """A full table gives one instrument up; every client says so, and has the other books exactly."""
        expected = json.loads(output("bulkhead", "book", self.file, "--json", "--orders", "2500"))
        run = self.run_set(12_000, "--set", "capacity.orders=2500")
        run.wait_for_messages(MESSAGES // 30)
        client = self.client(run, start="live", since=0, refill=RingRefill(run.folder / "book.ring"))
        digest = StreamDigest()
        for record in client:
            if isinstance(record, Event):
                digest.update(record)
        run.report()
        self.assertEqual(digest.hexdigest(), expected["streamDigest"])
        self.assertEqual(book_digest(client.books.values()), expected["bookDigest"])
        given_up = [book.symbol for book in client.books.values() if book.quarantined]
        self.assertTrue(given_up, "nothing was given up")
        for symbol in given_up:
            self.assertIn("capacity", client.trust(symbol).reasons)


class DeathTests(SetCase):
    def follow(self, run: SetRun, client: bulkhead.Client, deaths: dict[int, str]) -> list[bulkhead.Record]:
        """Reads to the end; a stage dies when the client has come to a message."""
        records: list[bulkhead.Record] = []
        waiting = sorted(deaths)
        for record in client:
            records.append(record)
            if (
                waiting
                and isinstance(record, Event)
                and not record.snapshot
                and record.sequence >= waiting[0]
            ):
                run.kill(deaths[waiting.pop(0)])
        self.assertEqual(waiting, [], "not everybody died")
        return records

    def test_publisher_dies_and_not_an_event_is_missing(self) -> None:
        """With the ring of this host as refill: from the first message of the session to its last, every
        event of every channel, once and in order, through two deaths. The digest over their bytes is the
        offline one."""
        run = self.run_set()
        run.wait_for_messages(MESSAGES // 10)
        client = self.client(run, start="live", since=0, refill=RingRefill(run.folder / "book.ring"))
        records = self.follow(run, client, {MESSAGES // 4: "pubd", MESSAGES // 2: "pubd"})
        events = of(records, Event)
        run.report()
        digest = StreamDigest()
        for event in events:
            digest.update(event)
        self.assertEqual(
            (digest.hexdigest(), digest.events), (self.expected["streamDigest"], self.expected["events"])
        )
        self.assertEqual([resumed.exact for resumed in of(records, Resumed)], [True] * 3)
        self.assertEqual((of(records, Missed), of(records, SnapshotBegin)), ([], []))
        self.assertGreaterEqual(len(of(records, Connected)), 3)
        self.assert_books(client)

    def test_book_stage_and_publisher_die(self) -> None:
        run = self.run_set()
        run.wait_for_messages(MESSAGES // 10)
        client = self.client(run, start="live", since=0, refill=RingRefill(run.folder / "book.ring"))
        records = self.follow(run, client, {MESSAGES // 4: "bookd", MESSAGES // 3: "pubd"})
        run.report()
        digest = StreamDigest()
        for event in of(records, Event):
            digest.update(event)
        self.assertEqual(digest.hexdigest(), self.expected["streamDigest"])
        self.assert_books(client)

    def test_a_storm_of_deaths_amid_loss(self) -> None:
        """Six stages die at places that a seed gives, while both lines lose packets."""
        generator = random.Random(2_026)
        stages = ("pubd", "bookd", "merged")
        limits = [word for stage in stages for word in ("--set", f"stage.{stage}.restart_limit=1000")]
        run = self.run_set(12_000, "--impair", "A:loss=2%,dup=1%;B:loss=2%", *limits)
        run.wait_for_messages(MESSAGES // 30)
        client = self.client(run, start="live", since=0, refill=RingRefill(run.folder / "book.ring"))
        places = sorted(generator.sample(range(MESSAGES // 20, MESSAGES * 9 // 10), 6))
        records = self.follow(run, client, {place: generator.choice(stages) for place in places})
        run.report()
        digest = StreamDigest()
        for event in of(records, Event):
            digest.update(event)
        self.assertEqual(
            (digest.hexdigest(), digest.events), (self.expected["streamDigest"], self.expected["events"])
        )
        self.assertEqual(of(records, Missed), [])
        self.assert_books(client)

    def test_publisher_dies_without_a_refill(self) -> None:
        """The successor serves the cursor: nothing is missed, nothing comes twice, the books stay exact."""
        run = self.run_set()
        run.wait_for_messages(MESSAGES // 4)
        client = self.client(run)
        records = self.follow(run, client, {MESSAGES // 2: "pubd"})
        run.report()
        self.assert_books(client)
        events = [event for event in of(records, Event) if not event.snapshot]
        self.assert_rising(events)
        self.assertEqual(of(records, Missed), [])
        self.assertTrue(any(resumed.exact for resumed in of(records, Resumed)))
        seen = {event.sequence for event in events}
        with RingLog(self.file) as log:
            begin = min(seen)
            absent = {sequence for sequence in log.sequences if sequence >= begin} - seen
        self.assertEqual(absent, set())

    def test_a_whole_session_from_a_late_cursor_is_checked_by_its_digest(self) -> None:
        """A client that comes late asks for everything since the first message."""
        run = self.run_set()
        run.wait_for_messages(MESSAGES // 2)
        client = self.client(run, start="live", since=0)
        records = list(client)
        run.report()
        digest = StreamDigest()
        for event in of(records, Event):
            digest.update(event)
        self.assertEqual(
            (digest.hexdigest(), digest.events), (self.expected["streamDigest"], self.expected["events"])
        )
        self.assertEqual([resumed.exact for resumed in of(records, Resumed)], [True])
        self.assert_books(client)

    def test_a_process_that_dies_goes_on_from_its_cursor(self) -> None:
        """Two processes of a client, one behind the other,
        with the cursor file between: together the whole stream."""
        run = self.run_set()
        run.wait_for_messages(MESSAGES // 10)
        with tempfile.TemporaryDirectory() as folder:
            cursor = Path(folder) / "cursor.json"
            refill = RingRefill(run.folder / "book.ring")
            first = self.client(run, start="live", since=0, refill=refill, cursor=cursor)
            digest = StreamDigest()
            for record in first:
                if isinstance(record, Event):
                    if record.sequence > MESSAGES // 3:
                        break  # taken, and not processed: it comes again
                    digest.update(record)
            first.commit()
            first._closed = True  # a process that dies says nothing more
            first._drop()
            second = self.client(run, start="live", refill=refill, cursor=cursor)
            for record in second:
                if isinstance(record, Event):
                    digest.update(record)
            second.close()
        run.report()
        self.assertEqual(
            (digest.hexdigest(), digest.events), (self.expected["streamDigest"], self.expected["events"])
        )


class RingLog:
    """Sequence numbers of all events of the offline stream."""

    def __init__(self, file: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "events"
        output("bulkhead", "book", file, "--events", str(path), "--digest")
        data, at, self.sequences = path.read_bytes(), 0, set()
        while at < len(data):
            self.sequences.add(int.from_bytes(data[at : at + 8], "little"))
            at += 32 + int.from_bytes(data[at + 18 : at + 20], "little")

    def __enter__(self) -> RingLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


class PairTests(SetCase):
    def test_two_sets_one_dies_and_nothing_is_missing(self) -> None:
        """Two sets with the same messages at different moments;
        the first one's publisher is killed for good."""
        one, two = self.run_set(6_000), self.run_set(6_000, "--impair", "A:loss=1%;B:loss=1%")
        for run in (one, two):
            run.wait_for_messages(MESSAGES // 10)
        pair = bulkhead.Pair(one.url, two.url, stop_at_end=True)
        self.addCleanup(pair.close)
        pair.subscribe("*", ALL, "live")
        records, killed = [], 0
        for record in pair:
            records.append(record)
            if isinstance(record, Event) and record.sequence >= (killed + 1) * MESSAGES // 4 and killed < 3:
                # In turn, so that whoever is ahead dies as well.
                (one, two)[killed % 2].kill("pubd")
                killed += 1
        for run in (one, two):
            run.report()
        events = of(records, Event)
        self.assert_rising(events)
        self.assertEqual(of(records, Missed), [])
        begin = events[0].sequence
        with RingLog(self.file) as log:
            self.assertEqual(
                {event.sequence for event in events},
                {sequence for sequence in log.sequences if sequence >= begin},
            )
        self.assertGreater(pair.arbiter.duplicates, 0)


class RingTests(SetCase):
    def test_a_ring_read_on_the_same_host_is_the_stream(self) -> None:
        run = self.run_set(40_000)
        run.wait_for_messages(1)
        digest = StreamDigest()
        with RingReader(run.folder / "book.ring", start="oldest") as ring:
            self.assertEqual((ring.name, ring.oldest), ("book", 0))
            for event in ring.follow(idle=5):
                digest.update(event)
                if isinstance(event, bulkhead.EndOfSession):
                    break
        run.report()
        self.assertEqual(
            (digest.hexdigest(), digest.events), (self.expected["streamDigest"], self.expected["events"])
        )

    def test_best_prices_table(self) -> None:
        run = self.run_set(40_000, "--keep")
        run.report()
        with bulkhead.Table(run.folder / "best_prices.table") as table:
            shown = json.loads(output("bulkhead", "book", self.file, "--json", "--symbol", self.symbol()))[
                "symbol"
            ]
            row = table.get(shown["instrument"])
            best = [
                (side[0]["price"], side[0]["size"]) if side else (0, 0)
                for side in (shown["bids"], shown["asks"])
            ]
            self.assertEqual([(row.bid_price, row.bid_size), (row.ask_price, row.ask_size)], best)
            self.assertFalse(row.stale)
            self.assertIsNone(table.get(table.entries + 1))

    def symbol(self) -> str:
        """A symbol of the day: the first definition's."""
        data, at = Path(self.file).read_bytes(), 0
        while data[at + 2 : at + 3] != b"R":
            at += 2 + int.from_bytes(data[at : at + 2], "big")
        return data[at + 13 : at + 21].decode().strip()


class RealDataTests(unittest.TestCase):
    """The optional folder ../shared/data beside the repository."""

    def test_a_real_day_of_one_instrument(self) -> None:
        place = (
            os.environ.get("BULKHEAD_DATA") or Path(__file__).resolve().parents[3].parent / "shared" / "data"
        )
        file = Path(place) / "itch" / "arl_20250717.itch"
        if not file.exists():
            self.skipTest(f"no {file}")
        expected = json.loads(output("bulkhead", "book", str(file), "--json"))
        run = SetRun("--replay", str(file), "--rate", "1000")
        self.addCleanup(run.close)
        run.wait_for_messages(10)
        client = make(run.url, stop_at_end=True)
        self.addCleanup(client.close)
        client.subscribe(["ARL"], ALL)
        for _ in client:
            pass
        run.report()
        self.assertEqual(book_digest(client.books.values()), expected["bookDigest"])


if __name__ == "__main__":
    unittest.main()
