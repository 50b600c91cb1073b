"""The examples of README.md, one test each, word for word but for addresses."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import tempfile
import threading
import unittest
from pathlib import Path

from helpers import AAPL, MSFT
from set_run import SetRun

import bulkhead
from bulkhead.mock import MockServer

README = Path(__file__).resolve().parents[1] / "README.md"


def example(heading: str, number: int = 0) -> str:
    section = README.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.S)[number]


class ReadmeTests(unittest.TestCase):
    def setUp(self) -> None:
        self.servers = [MockServer(instance=name) for name in ("md01", "md02")]
        for server in self.servers:
            server.start()
            self.addCleanup(server.stop)
            server.define("AAPL", AAPL)
            server.define("MSFT", MSFT)
            server.add(AAPL, 1, False, 1_000_000, 200)
            server.add(AAPL, 2, True, 1_010_000, 100)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_example(self, code: str, clients: int = 1) -> str:
        """Runs it while the servers publish; returns what it printed."""
        for server, name in zip(self.servers, ("md01", "md02"), strict=True):
            code = code.replace(f"ws://{name}:9443", server.url)
        code = code.replace('"cursor.json"', repr(f"{self.folder}/cursor.json"))
        subscribed = self.servers[:clients]

        def publish() -> None:
            for server in subscribed:
                server.wait(lambda server: server.requests)
            for server in subscribed:
                server.heartbeat()
                server.trade(AAPL, 1_005_000, 7)
                server.execute(AAPL, 1, 50)
                server.end()

        publisher = threading.Thread(target=publish, daemon=True)
        publisher.start()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(README), "exec"), {"__name__": "example"})
        publisher.join(10)
        self.assertFalse(publisher.is_alive())
        return printed.getvalue()

    def test_books(self) -> None:
        printed = self.run_example(example("Books"))
        self.assertIn("PriceLevel(price=1000000, size=150, orders=1)", printed)

    def test_asynchronous(self) -> None:
        self.assertEqual(self.run_example(example("Books", 1)), "1005000 7\n")

    def test_cursor_and_refill(self) -> None:
        code = example("When the connection ends")
        self.run_example(code)
        sequence = bulkhead.CursorFile(f"{self.folder}/cursor.json").load().sequence
        self.assertEqual(sequence, self.servers[0].sequence)
        self.servers[0].requests.clear()
        # A second process: nothing came meanwhile, so it goes on exactly.
        self.assertEqual(self.run_example(code), "exact 0 events refilled\n")

    def test_pair(self) -> None:
        printed = self.run_example(example("Two servers"), clients=2)
        self.assertIn("a Connected", printed)
        self.assertIn("b Connected", printed)
        self.assertNotIn("neither", printed)

    def test_tables(self) -> None:
        code = example("Tables")
        if not importlib.util.find_spec("pandas"):
            code = "\n".join(line for line in code.splitlines() if not line.startswith("frame")).replace(
                ", to_pandas", ""
            )
        printed = self.run_example(code)
        self.assertIn("Decimal('100')", printed)

    def test_mock_server(self) -> None:
        exec(compile(example("Testing your own code"), str(README), "exec"), {"__name__": "example"})

    def test_rings(self) -> None:
        run = SetRun("--generate", "20000", "--seed", "2", "--instruments", "20", "--keep")
        self.addCleanup(run.close)
        run.report()
        code = example("The same host, without a server").replace("/dev/shm/bulkhead/demo", str(run.folder))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, str(README), "exec"), {"__name__": "example"})
        self.assertNotIn("lost", printed.getvalue())

    def test_every_example_is_run(self) -> None:
        self.assertEqual(README.read_text("utf-8").count("```python"), 7)


if __name__ == "__main__":
    unittest.main()
