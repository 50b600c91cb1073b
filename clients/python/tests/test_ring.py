"""The ring reader's outcomes, on rings of a real set."""

from __future__ import annotations

import os
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from set_run import SetRun

import bulkhead
from bulkhead import EpochChanged, Event, Lapped, RefillUnavailable, RingError, RingReader, RingRefill, Table
from bulkhead import ring as ring_module


class RingTests(unittest.TestCase):
    """One small set with a book ring that is soon overwritten."""

    run_: SetRun

    @classmethod
    def setUpClass(cls) -> None:
        cls.run_ = SetRun(
            "--generate",
            "400000",
            "--seed",
            "3",
            "--instruments",
            "50",
            "--rate",
            "20000",
            "--set",
            "ring.book.cells=16384",
        )
        cls.addClassCleanup(cls.run_.close)
        cls.run_.wait_for_messages(20_000)
        cls.ring = cls.run_.folder / "book.ring"

    def test_a_reader_that_sleeps_is_lapped_and_told_what_it_lost(self) -> None:
        with RingReader(self.ring, start="oldest") as reader:
            begin = reader.position
            limit = time.monotonic() + 20
            while reader.oldest <= begin + 100:
                self.assertLess(time.monotonic(), limit, "the ring was never overwritten")
                time.sleep(0.01)
            outcomes = reader.read()
            self.assertIsInstance(outcomes[0], Lapped)
            self.assertEqual(outcomes[0].lost_from, begin)
            after = reader.read(1)[0]
            self.assertIsInstance(after, (Event, Lapped))
            self.assertGreaterEqual(reader.position, outcomes[0].lost_to)

    def test_a_producer_that_dies_is_told_and_leaves_no_seam(self) -> None:
        with RingReader(self.ring) as reader:
            self.run_.kill("bookd")
            seen, epochs, limit = [], [], time.monotonic() + 20
            while len(epochs) < 1 or len(seen) < 1000:
                self.assertLess(time.monotonic(), limit, f"epochs {epochs}, {len(seen)} events")
                for outcome in reader.read():
                    self.assertNotIsInstance(outcome, Lapped)
                    if isinstance(outcome, EpochChanged):
                        epochs.append((outcome.before, outcome.epoch))
                    elif isinstance(outcome, Event):
                        seen.append((outcome.sequence, outcome.index))
                reader.wait(0.001)
            self.assertEqual(epochs[0][1], epochs[0][0] + 1)
            self.assertEqual(reader.epoch, epochs[0][1])
            self.assertEqual(seen, sorted(set(seen)))

    def test_a_named_reader_goes_on_where_it_was(self) -> None:
        """With a cursor page of its own making, which the producer does not know:
        it sleeps, and nobody wakes it."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "book.ring").symlink_to(self.ring)
            page = b"1BLKCUSR" + (1).to_bytes(8, "little")
            (Path(folder) / "book.research.cursor").write_bytes(page.ljust(4096, b"\0"))
            with RingReader(Path(folder) / "book.ring", reader="research") as reader:
                self.assertTrue(reader.is_parking)
                reader.go_to("newest")
                reader.wait(0.2)
                self.assertTrue(reader.read(10))
                reader.report()
                position = reader.position
            with RingReader(Path(folder) / "book.ring", reader="research") as reader:
                self.assertEqual(reader.position, position)
            with self.assertRaises(RingError) as caught:
                RingReader(Path(folder) / "book.ring", reader="nobody")
            self.assertEqual(caught.exception.status, "MISSING")

    def test_positions(self) -> None:
        with RingReader(self.ring) as reader:
            here = reader.position
            reader.go_to(here)
            refused = 0
            for position in range(reader.published - 64, reader.published):
                try:
                    reader.go_to(position)
                except RingError as error:
                    self.assertEqual(error.status, "POSITION")
                    refused += 1
            with self.assertRaises(RingError):
                reader.go_to(1 << 60)
            self.assertLess(refused, 64)
            self.assertGreater(reader.producer_pid, 0)
            self.assertFalse(reader.is_replaced())

    def test_refusals_name_their_cause(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            nothing = Path(folder) / "none.ring"
            zeros = Path(folder) / "zeros.ring"
            zeros.write_bytes(bytes(1 << 16))
            other = Path(folder) / "layout.ring"
            other.write_bytes(
                self.ring.read_bytes()[:8] + (99).to_bytes(4, "little") + self.ring.read_bytes()[12:]
            )
            for path, status in (
                (nothing, "MISSING"),
                (zeros, "NOT_A_RING"),
                (other, "OTHER_LAYOUT"),
                (self.run_.folder / "best_prices.table", "BAD_KIND"),
            ):
                with self.subTest(status), self.assertRaises(RingError) as caught:
                    RingReader(path)
                self.assertEqual(caught.exception.status, status)
            with self.assertRaises(RingError) as caught:
                RingReader(self.ring, configuration=1)
            self.assertEqual(caught.exception.status, "OTHER_CONFIGURATION")
            with self.assertRaises(RingError):
                Table(self.ring)

    def test_a_closed_reader(self) -> None:
        reader = RingReader(self.ring)
        reader.close()
        with self.assertRaises(RingError) as caught:
            reader.read()
        self.assertEqual(caught.exception.status, "DETACHED")

    def test_refill_finds_any_range_that_is_there_and_refuses_the_rest(self) -> None:
        refill = RingRefill(self.ring)
        with RingReader(self.ring, start="oldest") as reader:
            # Read first, then ask: what was read a moment ago is there unless it is at the old end.
            events = [
                event for event in reader.read() + reader.read() + reader.read() if isinstance(event, Event)
            ]
        first, last = events[-2000].sequence, events[-1].sequence
        for low, high in ((first, last), (first + 5, first + 6), (last - 1, last)):
            found = list(refill.fetch(1, low, (low, 0xFFFF), high))
            wanted = [event for event in events if low < event.sequence < high]
            self.assertEqual(found, wanted)
        with self.assertRaises(RefillUnavailable):
            refill.fetch(1, 1, (1, 0xFFFF), last)
        with self.assertRaises(RefillUnavailable):
            refill.fetch(9, first, (first, 0xFFFF), last)
        with self.assertRaises(RefillUnavailable):
            RingRefill(self.run_.folder / "none.ring").fetch(1, 1, (1, 0), 5)


class LibraryTests(unittest.TestCase):
    def test_it_is_compiled_once_and_its_absence_is_named(self) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"XDG_CACHE_HOME": folder}):
            with (
                mock.patch.dict(os.environ, {"CC": "/bin/false"}),
                self.assertRaises(bulkhead.CompilerMissing),
            ):
                ring_module.library_path()
            self.assertEqual(list((Path(folder) / "bulkhead").iterdir()), [])
            path = ring_module.library_path()
            made = path.stat().st_mtime_ns
            self.assertEqual((ring_module.library_path(), path.stat().st_mtime_ns), (path, made))
            with mock.patch.dict(os.environ, {"BULKHEAD_LIBRARY": "/some/where.so"}):
                self.assertEqual(ring_module.library_path(), Path("/some/where.so"))


if __name__ == "__main__":
    unittest.main()
