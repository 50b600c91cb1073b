"""Orders and trades of a tape as columns: from `bulkhead tape export --format dbn`, for pyarrow, polars and pandas.

    from bulkhead.tape import read_tape
    table = read_tape("/var/lib/bulkhead", start="newest-run").to_arrow()     # extra: arrow

Columns are taken out of the records as whole blocks of memory, and handed to Arrow without another copy.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from .errors import BulkheadError
from .export import _parquet

if TYPE_CHECKING:
    import polars
    import pyarrow

#: A record, and what a price counts.
RECORD_BYTES = 56
PRICE_UNITS_OF_TAPE = 1_000_000_000
_LENGTH_AND_TYPE = bytes([RECORD_BYTES // 4, 0xA0])
_METADATA = struct.Struct("<16sHQQQBBBH53x")
#: column -> code of its items, offset in the record
_COLUMNS: Mapping[str, tuple[str, int]] = {
    "ts_recv": ("Q", 40),
    "ts_event": ("Q", 8),
    "instrument_id": ("I", 4),
    "publisher_id": ("H", 2),
    "channel_id": ("B", 37),
    "sequence": ("I", 52),
    "action": ("B", 38),
    "side": ("B", 39),
    "order_id": ("Q", 16),
    "price": ("q", 24),
    "size": ("I", 32),
    "flags": ("B", 36),
}
_UNDEFINED_PRICE = 2**63 - 1


class TapeError(BulkheadError):
    """The tape could not be exported, or what came is not an export of one."""


class OrderTable:
    """Records in their order; one column each, see `columns`."""

    def __init__(self, columns: Mapping[str, array[int]], symbols: Mapping[int, str], told: str = "") -> None:
        #: Times in ns since 1970, prices in 1e-9 (2**63 - 1: none), action and side as ASCII codes.
        self.columns = columns
        #: instrument -> symbol
        self.symbols = symbols
        #: What the export said of itself: what it left out, damage.
        self.told = told

    def __len__(self) -> int:
        return len(self.columns["sequence"])

    def to_arrow(self, price_type: Literal["fixed", "float"] = "fixed") -> pyarrow.Table:
        """Times as timestamps in UTC, action and side as letters, a column `symbol` beside the instrument's number.

        price_type: "fixed": integers of 1e-9, null = none; "float"
        """
        import pyarrow as pa

        types = {"Q": pa.uint64(), "q": pa.int64(), "I": pa.uint32(), "H": pa.uint16(), "B": pa.uint8()}
        count = len(self)
        made: dict[str, Any] = {}
        for name, values in self.columns.items():
            buffer = pa.py_buffer(values)
            if name in ("ts_recv", "ts_event"):
                made[name] = pa.Array.from_buffers(pa.timestamp("ns", tz="UTC"), count, [None, buffer])
            elif name in ("action", "side"):
                offsets = pa.py_buffer(array("i", range(count + 1)))
                made[name] = pa.Array.from_buffers(pa.string(), count, [None, offsets, buffer])
            elif name == "price":
                made[name] = self._prices(pa.Array.from_buffers(pa.int64(), count, [None, buffer]), price_type)
            else:
                made[name] = pa.Array.from_buffers(types[values.typecode], count, [None, buffer])
            if name == "instrument_id":
                made["symbol"] = self._symbols()
        return pa.table(made)

    def to_parquet(
        self, path: str | os.PathLike[str], price_type: Literal["fixed", "float"] = "fixed"
    ) -> int:
        """Writes them to a file, which appears whole or not at all. Returns their number. Extra: parquet."""
        table = self.to_arrow(price_type)
        with _parquet(path, table.schema) as write:
            write(table)
        return len(self)

    def to_polars(self, price_type: Literal["fixed", "float"] = "fixed") -> polars.DataFrame:
        """The same as a DataFrame; needs both extras, polars and arrow."""
        import polars as pl

        frame = pl.from_arrow(self.to_arrow(price_type))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _prices(self, prices: Any, price_type: str) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        prices = pc.if_else(pc.equal(prices, _UNDEFINED_PRICE), pa.scalar(None, pa.int64()), prices)
        if price_type == "fixed":
            return prices
        return pc.divide(pc.cast(prices, pa.float64(), safe=False), float(PRICE_UNITS_OF_TAPE))

    def _symbols(self) -> Any:
        import pyarrow as pa

        numbers = {instrument: number for number, instrument in enumerate(self.symbols)}
        indices = pa.array([numbers.get(instrument) for instrument in self.columns["instrument_id"]], pa.int32())
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(self.symbols.values()), pa.string()))


def read_tape(
    directory: str | os.PathLike[str],
    *,
    name: str | None = None,
    start: str | int = "oldest",
    through: int | None = None,
    midnight: int | None = None,
    past_damage: bool = False,
    program: str | os.PathLike[str] = "bulkhead",
) -> OrderTable:
    """Exports a tape with the program `bulkhead` and reads the export.

    start: "oldest", "newest-run" or a sequence number; midnight: the venue's, seconds since 1970
    Raises TapeError where there is no such tape. Damage and holes end or mark the table: `told` names them.
    """
    command = [os.fspath(program), "tape", "export", os.fspath(directory), "--format", "dbn", "--from", str(start)]
    for option, value in (("--name", name), ("--through", through), ("--midnight", midnight)):
        if value is not None:
            command += [option, str(value)]
    if past_damage:
        command.append("--past-damage")
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as failure:
        raise TapeError(f"{command[0]} cannot be run: {failure}") from failure
    told = done.stderr.decode("utf-8", "replace")
    # 1 is damage, or a hole: what is there was exported.
    if done.returncode not in (0, 1):
        raise TapeError(f"tape export ended with {done.returncode}: {told.strip()}")
    return read_dbn(done.stdout, told)


def read_dbn(data: bytes, told: str = "") -> OrderTable:
    """Reads an export with `--format dbn`. Raises TapeError for anything else, and for half a record at its end."""
    if sys.byteorder != "little":
        raise TapeError("exports are little-endian, and this machine is not")
    if len(data) < 8 or data[:4] != b"DBN\x02":
        raise TapeError("this is not DBN of version 2")
    behind = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < behind or (len(data) - behind) % RECORD_BYTES:
        raise TapeError(f"{len(data)} bytes are no whole number of records")
    try:
        symbols = _read_symbols(data[8:behind])
    except (struct.error, UnicodeDecodeError, ValueError) as failure:
        raise TapeError("the metadata cannot be read") from failure
    records = memoryview(data)[behind:]
    count = len(records) // RECORD_BYTES
    kinds = set(zip(records[0::RECORD_BYTES].tobytes(), records[1::RECORD_BYTES].tobytes()))
    if kinds - {(_LENGTH_AND_TYPE[0], _LENGTH_AND_TYPE[1])}:
        raise TapeError("there are other records than orders and trades in it")
    columns: dict[str, array[int]] = {}
    for name, (code, offset) in _COLUMNS.items():
        width = struct.calcsize(code)
        items: Sequence[int] = records.cast(code)[offset // width :: RECORD_BYTES // width] if count else []
        columns[name] = array(code, items.tobytes() if isinstance(items, memoryview) else b"")
    return OrderTable(columns, symbols, told)


def _read_symbols(metadata: bytes) -> dict[int, str]:
    width = _METADATA.unpack_from(metadata)[8]
    at = _METADATA.size + 4
    for _ in range(3):  # symbols; known for some days; not known
        count = int.from_bytes(metadata[at : at + 4], "little")
        at += 4 + count * width
    count, at = struct.unpack_from("<I", metadata, at)[0], at + 4
    symbols = {}
    for _ in range(count):
        symbol = metadata[at : at + width].rstrip(b"\0").decode("ascii")
        intervals = struct.unpack_from("<I", metadata, at + width)[0]
        at += width + 4
        for _ in range(intervals):
            symbols[int(metadata[at + 8 : at + 8 + width].rstrip(b"\0"))] = symbol
            at += 8 + width
    return symbols
