"""Exports of a tape as columns. A real tape, and databento_dbn beside it: scripts/test-exports."""

from __future__ import annotations

import datetime
import importlib.util
import os
import stat
import struct
import tempfile
import unittest
from pathlib import Path

from bulkhead.tape import TapeError, read_dbn, read_tape

NONE = 2**63 - 1


def needs(name: str):
    return unittest.skipUnless(importlib.util.find_spec(name), f"{name} is not installed")


def metadata(symbols: dict[int, str]) -> bytes:
    body = struct.pack("<16sHQQQBBBH53xI", b"XNAS.ITCH", 0, 1, 2, 0, 1, 0, 0, 71, 0)
    body += struct.pack("<I", len(symbols)) + b"".join(struct.pack("71s", text.encode()) for text in symbols.values())
    body += struct.pack("<III", 0, 0, len(symbols))
    for number, text in symbols.items():
        body += struct.pack("<71sIII71s", text.encode(), 1, 20261121, 20261122, str(number).encode())
    return b"DBN\x02" + struct.pack("<I", len(body)) + body


def record(instrument: int, order: int, price: int, action: bytes, side: bytes, sequence: int) -> bytes:
    return struct.pack("<BBHIQQqIBBccQiI", 14, 160, 2, instrument, 10, order, price, 2**32 - 1, 128, 3, action, side,
                       1_795_277_948_072_489_155, 0, sequence)


EXPORT = metadata({13: "AAPL", 65535: "BRK.A"}) + b"".join([
    record(13, 2**64 - 1, 123_450_000_000, b"A", b"B", 1),
    record(65535, 0, -1, b"T", b"N", 2),
    record(7, 0, NONE, b"R", b"N", 2**32 - 1),
])


class TapeTests(unittest.TestCase):
    def test_columns(self) -> None:
        table = read_dbn(EXPORT)
        self.assertEqual(len(table), 3)
        self.assertEqual(table.symbols, {13: "AAPL", 65535: "BRK.A"})
        self.assertEqual(
            {name: list(values) for name, values in table.columns.items()},
            {
                "ts_recv": [1_795_277_948_072_489_155] * 3, "ts_event": [10] * 3, "instrument_id": [13, 65535, 7],
                "publisher_id": [2] * 3, "channel_id": [3] * 3, "sequence": [1, 2, 2**32 - 1],
                "action": list(b"ATR"), "side": list(b"BNN"), "order_id": [2**64 - 1, 0, 0],
                "price": [123_450_000_000, -1, NONE], "size": [2**32 - 1] * 3, "flags": [128] * 3,
            },
        )
        self.assertEqual(len(read_dbn(metadata({}))), 0)

    def test_what_is_no_export(self) -> None:
        start = EXPORT[: -3 * 56]
        for what, data in {
            "nothing": b"", "another version": b"DBN\x03" + EXPORT[4:], "text": b'{"kind":"message"}' * 9,
            "half a record": EXPORT[:-1], "half the metadata": EXPORT[:200], "another record": start + b"\x0e\x01" + EXPORT[-54:],
            "more symbols than there are": EXPORT[:112] + b"\xff\xff\xff\x7f" + EXPORT[116:],
        }.items():
            with self.subTest(what), self.assertRaises(TapeError):
                read_dbn(data)

    def test_the_program(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder, "bulkhead")
            Path(folder, "export").write_bytes(EXPORT)
            program.write_text(f'#!/bin/sh\necho "$@" >&2\ncat {folder}/export\nexit $CODE\n')
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            for code in (0, 1, 4):
                os.environ["CODE"] = str(code)
                self.addCleanup(os.environ.pop, "CODE", None)
                if code == 4:
                    with self.assertRaisesRegex(TapeError, "ended with 4"):
                        read_tape("/a tape", program=program)
                    continue
                table = read_tape("/a tape", name="x", start=9, through=12, midnight=5, past_damage=True, program=program)
                self.assertEqual(len(table), 3)
                self.assertEqual(
                    table.told.strip(),
                    "tape export /a tape --format dbn --from 9 --name x --through 12 --midnight 5 --past-damage")
            with self.assertRaises(TapeError):
                read_tape(folder, program=folder + "/none")

    @needs("pyarrow")
    def test_arrow(self) -> None:
        table = read_dbn(EXPORT).to_arrow()
        table.validate(full=True)
        # A time of nanoseconds is no datetime of Python's.
        rows = table.drop(["ts_recv", "ts_event"]).to_pylist()
        self.assertEqual([row["symbol"] for row in rows], ["AAPL", "BRK.A", None])
        self.assertEqual([row["price"] for row in rows], [123_450_000_000, -1, None])
        self.assertEqual([row["action"] + row["side"] for row in rows], ["AB", "TN", "RN"])
        self.assertEqual(rows[0]["order_id"], 2**64 - 1)
        self.assertEqual(str(table["ts_recv"].type), "timestamp[ns, tz=UTC]")
        self.assertEqual(table["ts_recv"].cast("int64").to_pylist(), [1_795_277_948_072_489_155] * 3)
        self.assertEqual(read_dbn(EXPORT).to_arrow("float")["price"].to_pylist(), [123.45, -1e-9, None])
        self.assertEqual(read_dbn(metadata({})).to_arrow().num_rows, 0)

    @needs("pyarrow")
    def test_parquet(self) -> None:
        import pyarrow.parquet

        with tempfile.TemporaryDirectory() as folder:
            table = read_dbn(EXPORT)
            self.assertEqual(table.to_parquet(f"{folder}/tape.parquet"), len(table))
            read = pyarrow.parquet.read_table(f"{folder}/tape.parquet")
            self.assertEqual(read.to_pylist(), table.to_arrow().to_pylist())

    @needs("pyarrow")
    @needs("polars")
    def test_polars(self) -> None:
        frame = read_dbn(EXPORT).to_polars()
        self.assertEqual(frame["symbol"].to_list(), ["AAPL", "BRK.A", None])
        self.assertEqual(frame["order_id"].to_list(), [2**64 - 1, 0, 0])
        self.assertIsInstance(frame["ts_recv"][0], datetime.datetime)


if __name__ == "__main__":
    unittest.main()
