"""Tables. Each extra is tested where it is installed."""

from __future__ import annotations

import importlib.util
import tempfile
import unittest
from decimal import Decimal
from pathlib import Path

from bulkhead import BestPrices, Book, Heartbeat, OrderAdd, Trade
from bulkhead.export import columns, ladder, to_arrow, to_pandas, to_parquet, to_polars

BIG = (1 << 63) + 5  # a reference that no float and no signed integer holds
COMMON = dict(index=0, channel=1, instrument=13, venue_time=1, receive_time=2, flags=0, snapshot=False)
RECORDS = [
    OrderAdd(sequence=(1 << 53) + 1, **COMMON, reference=BIG, price=1_234_567, quantity=9),
    Heartbeat(1, 2),
    BestPrices(sequence=2, **COMMON, bid_price=-5, bid_size=1, ask_price=7, ask_size=2),
    Trade(sequence=3, **COMMON, price=10_001, quantity=1, match=2, type="P", printable=True),
]


def needs(name: str):
    return unittest.skipUnless(importlib.util.find_spec(name), f"{name} is not installed")


class ExportTests(unittest.TestCase):
    def test_columns(self) -> None:
        table = columns(RECORDS)
        self.assertEqual({len(values) for values in table.values()}, {3})
        self.assertEqual(table["kind"], ["OrderAdd", "BestPrices", "Trade"])
        self.assertEqual(table["price"], [1_234_567, None, 10_001])
        self.assertEqual(columns(RECORDS, "decimal")["price"][0], Decimal("123.4567"))
        self.assertEqual(columns(RECORDS, "float")["bid_price"], [None, -0.0005, None])

    def test_ladder(self) -> None:
        book = Book(13)
        book.live = book.complete = True
        for number, (sell, price) in enumerate([(False, 5), (False, 7), (True, 9), (True, 8)], 1):
            book.apply(
                OrderAdd(
                    sequence=number,
                    **{**COMMON, "flags": int(sell)},
                    reference=number,
                    price=price,
                    quantity=1,
                )
            )
        self.assertEqual(ladder(book)["price"], [7, 5, 8, 9])
        self.assertEqual(ladder(book, 1)["side"], ["bid", "ask"])

    @needs("pandas")
    def test_pandas(self) -> None:
        frame = to_pandas(RECORDS)
        self.assertEqual(
            (frame.reference[0], frame.sequence[0], frame.price[0]), (BIG, (1 << 53) + 1, 1_234_567)
        )
        self.assertEqual(frame.price.isna().tolist(), [False, True, False])
        self.assertEqual(to_pandas(RECORDS, "float").price[0], 123.4567)

    @needs("polars")
    def test_polars(self) -> None:
        frame = to_polars(RECORDS, "decimal")
        self.assertEqual((frame["reference"][0], frame["price"][0]), (BIG, Decimal("123.4567")))
        self.assertEqual(to_polars(RECORDS)["bid_price"].to_list(), [None, -5, None])

    @needs("pyarrow")
    def test_a_file_of_parquet_is_the_table(self) -> None:
        import pyarrow.parquet

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.parquet"
            for price_type in ("fixed", "float", "decimal"):
                self.assertEqual(to_parquet(iter(RECORDS), path, price_type, rows_per_group=2), 3)
                file = pyarrow.parquet.ParquetFile(path)
                self.assertEqual(file.num_row_groups, 2)
                self.assertEqual(file.read().to_pylist(), to_arrow(RECORDS, price_type).to_pylist())
                self.assertEqual(file.schema_arrow, to_arrow(RECORDS, price_type).schema)
                file.close()

            def breaks():
                yield from RECORDS
                raise KeyError("in the middle")

            with self.assertRaises(KeyError):
                to_parquet(breaks(), path, rows_per_group=1)
            # The one of before is there, whole, and nothing beside it.
            self.assertEqual(pyarrow.parquet.read_table(path).num_rows, 3)
            self.assertEqual([each.name for each in Path(folder).iterdir()], [path.name])
            self.assertEqual(to_parquet([], path), 0)
            self.assertEqual(pyarrow.parquet.read_table(path).num_rows, 0)

    @needs("pyarrow")
    def test_arrow_and_parquet(self) -> None:
        import pyarrow.parquet

        table = to_arrow(RECORDS)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events.parquet"
            pyarrow.parquet.write_table(table, path)
            self.assertEqual(pyarrow.parquet.read_table(path).to_pylist(), table.to_pylist())
        self.assertEqual(table["reference"][0].as_py(), BIG)


if __name__ == "__main__":
    unittest.main()
