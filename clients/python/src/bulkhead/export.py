"""Events as tables: columns in plain Python, and from those pandas, polars and pyarrow (optional extras)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .books import Book
from .records import PRICE_UNITS, Event, Record

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

PriceType = Literal["fixed", "float", "decimal"]

_HEADER = ("sequence", "index", "channel", "instrument", "venue_time", "receive_time", "flags")
#: Columns behind those of the header; an event has the ones that its kind has.
_BODY = (
    "reference",
    "price",
    "quantity",
    "remaining",
    "reduced",
    "executed",
    "match",
    "size",
    "orders",
    "bid_price",
    "bid_size",
    "ask_price",
    "ask_size",
    "symbol",
    "state",
    "reason",
)
_PRICES = frozenset({"price", "bid_price", "ask_price"})
_TEXTS = frozenset({"kind", "symbol", "state", "reason"})


def _price(value: Any, price_type: PriceType) -> Any:
    if value is None or price_type == "fixed":
        return value
    return value / PRICE_UNITS if price_type == "float" else Decimal(value) / PRICE_UNITS


def columns(records: Iterable[Record], price_type: PriceType = "fixed") -> dict[str, list[Any]]:
    """One row an event (other records are left out), None where its kind has no such field.

    price_type: "fixed": integers in the venue's units; "float"; "decimal": exact, slower
    """
    rows = [record for record in records if isinstance(record, Event)]
    table: dict[str, list[Any]] = {"kind": [type(row).__name__ for row in rows]}
    for name in _HEADER:
        table[name] = [getattr(row, name) for row in rows]
    for name in _BODY:
        values = [getattr(row, name, None) for row in rows]
        table[name] = [_price(value, price_type) for value in values] if name in _PRICES else values
    return table


def ladder(book: Book, depth: int | None = None, price_type: PriceType = "fixed") -> dict[str, list[Any]]:
    """A book's levels: side, price, size, orders; bids first, each side from its best price."""
    rows = [("bid", level) for level in book.bids(depth)] + [("ask", level) for level in book.asks(depth)]
    return {
        "side": [side for side, _ in rows],
        "price": [_price(level.price, price_type) for _, level in rows],
        "size": [level.size for _, level in rows],
        "orders": [level.orders for _, level in rows],
    }


def to_pandas(records: Iterable[Record], price_type: PriceType = "fixed") -> pandas.DataFrame:
    """A DataFrame with nullable integers, so that no sequence number or price passes through a float."""
    import pandas as pd

    data = columns(records, price_type)
    return pd.DataFrame(
        {
            name: values
            if name in _TEXTS or (name in _PRICES and price_type != "fixed")
            else pd.array(values, dtype=_width(name, "Int64", "UInt64"))
            for name, values in data.items()
        }
    )


def to_polars(records: Iterable[Record], price_type: PriceType = "fixed") -> polars.DataFrame:
    import polars as pl

    types = {"fixed": pl.Int64, "float": pl.Float64, "decimal": pl.Decimal(18, 4)}
    return pl.DataFrame(
        columns(records, price_type),
        schema={
            name: pl.String
            if name in _TEXTS
            else types[price_type]
            if name in _PRICES
            else _width(name, pl.Int64, pl.UInt64)
            for name in ("kind", *_HEADER, *_BODY)
        },
    )


def to_arrow(records: Iterable[Record], price_type: PriceType = "fixed") -> pyarrow.Table:
    import pyarrow as pa

    return pa.table(columns(records, price_type), schema=_schema(price_type))


def to_parquet(
    records: Iterable[Record],
    path: str | os.PathLike[str],
    price_type: PriceType = "fixed",
    *,
    rows_per_group: int = 1 << 17,
) -> int:
    """Writes events as they come, a row group at a time: a client in place of `records` needs no memory for its day. The
    file appears whole, in place of another one, or not at all. Returns the number of events. Extra: parquet.

    rows_per_group: events that are held until they are written
    """
    events = (record for record in records if isinstance(record, Event))
    count = 0
    with _parquet(path, _schema(price_type)) as write:
        while group := list(islice(events, rows_per_group)):
            write(to_arrow(group, price_type))
            count += len(group)
    return count


@contextmanager
def _parquet(path: str | os.PathLike[str], schema: Any) -> Iterator[Callable[[Any], None]]:
    """A file beside `path` that takes its name once all groups are written."""
    import pyarrow.parquet

    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with pyarrow.parquet.ParquetWriter(str(beside), schema) as writer:
            yield writer.write_table
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _schema(price_type: PriceType) -> pyarrow.Schema:
    import pyarrow as pa

    types = {"fixed": pa.int64(), "float": pa.float64(), "decimal": pa.decimal128(18, 4)}
    return pa.schema(
        [
            (
                name,
                pa.string()
                if name in _TEXTS
                else types[price_type]
                if name in _PRICES
                else _width(name, pa.int64(), pa.uint64()),
            )
            for name in ("kind", *_HEADER, *_BODY)
        ]
    )


def _width(name: str, signed: Any, unsigned: Any) -> Any:
    return signed if name in _PRICES else unsigned
