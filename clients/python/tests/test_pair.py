"""Two servers with the same stream, one of them ahead, behind, dead or wrong."""

from __future__ import annotations

import asyncio
import random
import unittest

from helpers import AAPL, ALL, SECONDS, live, of, quick, read_until

import bulkhead
from bulkhead import (
    CaughtUp,
    Disconnected,
    EndOfSession,
    Event,
    FromSide,
    Gap,
    Missed,
    OrderAdd,
    Pair,
    SnapshotBegin,
)
from bulkhead.mock import MockServer
from bulkhead.pair import Arbiter


class PairCase(unittest.TestCase):
    def setUp(self) -> None:
        self.a, self.b = MockServer(instance="one"), MockServer(instance="two")
        for server in (self.a, self.b):
            server.start()
            self.addCleanup(server.stop)
        self.both("define", "AAPL", AAPL)
        self.both("add", AAPL, 1, False, 1000, 200)

    def both(self, operation: str, *arguments: object) -> int:
        for server in (self.a, self.b):
            sequence = getattr(server, operation)(*arguments)
        return sequence

    def pair(self, start: str = "snapshot", **options: object) -> Pair:
        pair = Pair(self.a.url, self.b.url, **{"backoff": None, "timeout": SECONDS, **options})
        self.addCleanup(pair.close)
        for client in pair.clients.values():
            client.session.backoff = quick()
        pair.subscribe(["AAPL"], ALL, start)
        return pair

    def ready(self, **options: object) -> Pair:
        """A pair with both sides caught up."""
        pair = self.pair(**options)
        sides: set[str] = set()
        while len(sides) < 2:
            record = read_until(
                pair, FromSide, lambda each: isinstance(each.record, (CaughtUp, bulkhead.Subscribed))
            )[-1]
            if isinstance(record.record, CaughtUp) or options.get("start") == "live":
                sides.add(record.side)
        return pair

    def to(self, pair: Pair, sequence: int) -> list:
        return read_until(
            pair, Event, lambda event: event.sequence == sequence and event.last and not event.snapshot
        )


class PairTests(PairCase):
    def test_each_event_once_from_whoever_is_first(self) -> None:
        pair = self.ready()
        seen = []
        for place, first in enumerate([self.a, self.b, self.a, self.b]):
            second = self.b if first is self.a else self.a
            last = first.add(AAPL, 10 + place, True, 1010, 5)
            records = self.to(pair, last)
            seen += live(records)
            self.assertEqual(second.add(AAPL, 10 + place, True, 1010, 5), last)
        last = self.both("delete", AAPL, 10)
        seen += live(self.to(pair, last))
        self.assertEqual(seen, sorted(set(seen)))
        self.assertEqual({sequence for sequence, _ in seen}, set(range(last - 4, last + 1)))

    def test_one_snapshot_is_handed_out(self) -> None:
        pair = self.pair()
        records = read_until(pair, FromSide, lambda each: isinstance(each.record, CaughtUp))
        records += read_until(pair, FromSide, lambda each: isinstance(each.record, CaughtUp))
        self.assertEqual(len(of(records, SnapshotBegin)), 1)
        self.assertEqual(len([event for event in of(records, OrderAdd) if event.snapshot]), 1)

    def test_one_dies_and_nothing_is_missing(self) -> None:
        for dying, living in ((self.a, self.b), (self.b, self.a)):
            with self.subTest(dying.instance):
                pair = self.ready()
                last = self.both("add", AAPL, 50, True, 1010, 5)
                seen = live(self.to(pair, last))
                dying.down()
                dying.cut()
                living.add(AAPL, 51, True, 1010, 5)
                last = living.delete(AAPL, 51)
                records = self.to(pair, last)
                seen += live(records)
                self.assertEqual(of(records, Missed), [])
                self.assertEqual({sequence for sequence, _ in seen}, {last - 2, last - 1, last})
                self.assertEqual(seen, sorted(set(seen)))
                living.heartbeat()
                while not pair.trustworthy("AAPL"):
                    self.assertIsNotNone(pair.read(SECONDS), pair.trust("AAPL"))
                self.assertEqual(pair.book("AAPL").order_count, living.books[AAPL].order_count)
                # The dead one comes back, has the same messages, and is of use again.
                dying.add(AAPL, 51, True, 1010, 5)
                dying.delete(AAPL, 51)
                dying.up()
                read_until(pair, FromSide, lambda each: isinstance(each.record, bulkhead.Resumed))
                last = self.both("delete", AAPL, 50)
                self.to(pair, last)
                living.down()
                living.cut()
                read_until(pair, FromSide, lambda each: isinstance(each.record, Disconnected))
                last = dying.add(AAPL, 60, True, 1010, 5)
                records = self.to(pair, last)
                self.assertEqual(of(records, Missed), [])
                living.add(AAPL, 60, True, 1010, 5)
                living.up()
                self.both("delete", AAPL, 60)
                pair.close()

    def test_both_die(self) -> None:
        pair = self.ready()
        last = self.both("add", AAPL, 50, True, 1010, 5)
        self.to(pair, last)
        for server in (self.a, self.b):
            server.down()
            server.cut()
        missed = self.both("delete", AAPL, 50)
        for server in (self.b, self.a):
            server.up()
        records = read_until(pair, Missed)
        self.assertEqual(of(records, Missed), [Missed(missed, missed)])
        last = self.both("add", AAPL, 51, True, 1010, 5)
        self.assertEqual({sequence for sequence, _ in live(self.to(pair, last))}, {last})
        pair = self.ready(on_missed="raise")
        self.to(pair, self.both("add", AAPL, 52, True, 1010, 5))
        for server in (self.a, self.b):
            server.down()
            server.cut()
        self.both("delete", AAPL, 52)
        self.a.up()
        with self.assertRaises(bulkhead.MissedEvents):
            read_until(pair, SnapshotBegin)

    def test_a_gap_of_one_is_filled_by_the_other(self) -> None:
        """One server lost messages that the other has. Same identities, other events: the whole ones win."""
        for holed, whole in ((self.a, self.b), (self.b, self.a)):
            with self.subTest(holed.instance):
                pair = self.ready()
                holed.gap(2)
                holed.heartbeat()
                while not pair.arbiter.sides["a" if holed is self.a else "b"].is_stale:
                    pair.read(SECONDS)
                first = whole.add(AAPL, 70, True, 1010, 5)
                whole.delete(AAPL, 70)
                last = self.both("add", AAPL, 71, True, 1010, 5)
                records = self.to(pair, last)
                self.assertEqual({sequence for sequence, _ in live(records)}, {first, first + 1, last})
                self.assertEqual((of(records, Gap), of(records, Missed)), ([], []))
                whole.heartbeat()
                holed.heartbeat()
                while not pair.trustworthy("AAPL"):
                    self.assertIsNotNone(pair.read(SECONDS), pair.trust("AAPL"))
                self.both("delete", AAPL, 71)
                holed.trust(0, True)
                whole.skip()
                pair.close()

    def test_a_gap_that_the_other_one_did_not_live_to_fill(self) -> None:
        pair = self.ready()
        lost = self.a.gap(3)
        self.a.heartbeat()
        while not pair.arbiter.sides["a"].is_stale:
            pair.read(SECONDS)
        self.to(pair, self.b.add(AAPL, 70, True, 1010, 5))  # the first of the three
        self.b.down()
        self.b.cut()
        last = self.a.add(AAPL, 71, True, 1010, 5)
        records = self.to(pair, last)
        self.assertEqual(of(records, Missed), [Missed(lost - 1, lost)])
        self.assertFalse(pair.trustworthy("AAPL"))

    def test_a_gap_with_nobody_to_fill_it(self) -> None:
        self.b.stop()
        pair = self.pair()
        read_until(pair, FromSide, lambda each: isinstance(each.record, CaughtUp))
        lost = self.a.gap(3)
        records = self.to(pair, self.a.add(AAPL, 71, True, 1010, 5))
        self.assertEqual([(gap.first, gap.last_lost) for gap in of(records, Gap)], [(lost - 2, lost)])
        self.assertEqual(of(records, Missed), [])
        self.assertFalse(pair.trustworthy("AAPL"))

    def test_a_server_that_will_not_come_back(self) -> None:
        pair = self.ready()
        self.a.restart(epoch=0)
        records = read_until(
            pair,
            FromSide,
            lambda each: isinstance(each.record, Disconnected) and each.record.retry_in == float("inf"),
        )
        self.assertIsInstance(records[-1].record.error, bulkhead.StreamChanged)
        last = self.b.add(AAPL, 80, True, 1010, 5)
        self.to(pair, last)
        self.b.restart(epoch=0)
        with self.assertRaises(bulkhead.StreamChanged):
            read_until(pair, Missed)

    def test_only_one_server_is_there(self) -> None:
        self.b.stop()
        pair = self.pair(stop_at_end=True)
        read_until(pair, FromSide, lambda each: isinstance(each.record, CaughtUp))
        self.a.add(AAPL, 50, True, 1010, 5)
        self.a.end()
        self.assertIsInstance([record for record in pair][-1], EndOfSession)

    def test_subscriptions_belong_to_the_beginning(self) -> None:
        pair = self.ready()
        with self.assertRaises(ValueError):
            pair.subscribe(["MSFT"])
        with self.assertRaises(TypeError):
            Pair(self.a.url, self.b.url, cursor="file")

    def test_asynchronous(self) -> None:
        async def follow() -> list:
            async with bulkhead.AsyncPair(self.a.url, self.b.url, backoff=quick(), stop_at_end=True) as pair:
                pair.subscribe(["AAPL"], ALL)
                seen, sides = [], set()
                async with asyncio.timeout(SECONDS):
                    async for record in pair:
                        if isinstance(record, FromSide) and isinstance(record.record, CaughtUp):
                            sides.add(record.side)
                            if len(sides) == 2:
                                self.both("add", AAPL, 50, True, 1010, 5)
                                self.a.down()
                                self.a.cut()
                                self.b.add(AAPL, 51, True, 1010, 5)
                                self.b.end()
                        if isinstance(record, Event) and not record.snapshot:
                            seen.append((record.sequence, record.index))
                        self.assertNotIsInstance(record, Missed)
                return seen

        seen = asyncio.run(follow())
        self.assertEqual(seen, sorted(set(seen)))
        self.assertEqual({sequence for sequence, _ in seen}, {3, 4, 5})


class ArbiterTests(unittest.TestCase):
    """Random interleavings of two sides that cut out, against what the two had between them."""

    def event(self, sequence: int, index: int) -> OrderAdd:
        return OrderAdd(sequence, index, 1, AAPL, 0, 0, 0, False, sequence, 1, 1)

    def test_what_is_added_behind_the_first_message_is_owed(self) -> None:
        """The end of a quarantine and a restart's notices carry the number of a message that was out
        before."""
        arbiter = Arbiter(["a", "b"])
        arbiter.offer("a", bulkhead.Connected("", "", "a", 1, "", {}))
        arbiter.caught_up("a", 10)
        arbiter.progress("a", 10)
        for index in (0, bulkhead.records.ADDED_INDEX, 0xFF00):
            arbiter.offer("a", self.event(10, index))
        self.assertEqual([event.index for event in of(list(arbiter.out), OrderAdd)], [0x8000, 0xFF00])

    def test_random_interleavings(self) -> None:
        for seed in range(400):
            generator = random.Random(seed)
            stream = [
                (sequence, index)
                for sequence in range(1, 120)
                if generator.random() < 0.8
                for index in range(generator.randint(1, 3))
            ]
            arbiter = Arbiter(["a", "b"])
            at = {"a": 0, "b": 0}  # messages that the side has delivered
            up = dict.fromkeys("ab", False)
            once = dict.fromkeys("ab", False)
            out: list = []
            while min(at.values()) < 120:
                name = generator.choice("ab")
                if not up[name]:
                    # It comes (back): what went by while it was away is lost to it.
                    jump = at[name] + (generator.randint(0, 30) if generator.random() < 0.6 else 0)
                    arbiter.offer(name, bulkhead.Connected("", "", name, 1, "", {}))
                    if once[name]:
                        arbiter.offer(name, bulkhead.Resumed(jump == at[name], at[name], jump + 1, 0))
                    at[name] = jump
                    if not once[name]:
                        arbiter.caught_up(name, jump)
                    up[name] = once[name] = True
                elif generator.random() < 0.08:
                    up[name] = False
                    arbiter.offer(name, Disconnected(bulkhead.ConnectionLost(1006), 1))
                else:
                    for _ in range(generator.randint(1, 8)):
                        at[name] += 1
                        for here in stream:
                            if here[0] == at[name]:
                                arbiter.offer(name, self.event(*here))
                if up[name]:
                    arbiter.progress(name, at[name])
                else:
                    arbiter.settle()
                out += arbiter.out
                arbiter.out.clear()
            seen = [(event.sequence, event.index) for event in of(out, OrderAdd)]
            told = {sequence for hole in of(out, Missed) for sequence in range(hole.first, hole.last + 1)}
            with self.subTest(seed=seed):
                self.assertEqual(seen, sorted(set(seen)), "repeated or out of order")
                self.assertTrue(seen)
                wanted = [here for here in stream if here >= seen[0] and here[0] <= (arbiter.complete or 0)]
                self.assertLessEqual(
                    {here[0] for here in set(wanted) - set(seen)}, told, "missing and not told"
                )
                # A hole is told only where it is one: nothing of it was handed out.
                self.assertFalse({sequence for sequence, _ in seen} & told)


if __name__ == "__main__":
    unittest.main()
