#!/usr/bin/env python3
"""Checks of `bulkhead tape export`: what stock packages (databento_dbn, pyarrow, polars) read of it, beside the text exports.

Records a whole day, one with lost messages, and one of two runs; makes the records that are due of the messages in the jsonl export, on its own,
and compares every field of each. Ends with `N passed, M failed`. Exit: 0 all passed, 1 not.
"""

import csv
import datetime
import io
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

import databento_dbn as dbn

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("BULKHEAD_BIN", ROOT / ".build/release"))
DAY = 86_400 * 10**9
LAST, SNAPSHOT, BAD_RECEIVE_TIME, MAYBE_BAD_BOOK = dbn.F_LAST, dbn.F_SNAPSHOT, dbn.F_BAD_TS_RECV, dbn.F_MAYBE_BAD_BOOK
FIELDS = ("instrument_id", "ts_event", "order_id", "price", "size", "flags", "action", "side", "ts_recv", "sequence")


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def expect(self, condition, what, detail=""):
        if condition:
            self.passed += 1
            print(f"ok      {what}")
        else:
            self.failed += 1
            print(f"FAILED  {what}: {detail}"[:1500])


def record_tape(folder, name, arguments):
    """Runs a set with a tape; the last line of `bulkhead run --json`."""
    pid = os.getpid()
    group = f"239.255.{192 + (pid >> 8 & 31)}.{pid & 0xFE}"
    other = group[: group.rindex(".") + 1] + str(pid & 0xFE | 1)
    base = 42_000 + pid % 2_000 * 4
    settings = [
        f"host.instance={name}-{pid}", f"channel.line.a.group={group}", f"channel.line.b.group={other}",
        f"channel.line.a.port={base}", f"channel.line.b.port={base + 1}", f"channel.retransmission.port={base + 2}",
        f"channel.snapshot.port={base + 3}", "publish.port=0", "tape.enabled=true", f"tape.directory={folder}",
    ]
    command = [str(BIN / "bulkhead"), "run", "--quiet", "--json", *arguments]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise SystemExit(f"the run ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def export(folder, *arguments):
    done = subprocess.run([str(BIN / "bulkhead"), "tape", "export", str(folder), *arguments], capture_output=True, timeout=300)
    return done.stdout, done.stderr.decode(), done.returncode


def due(lines, midnight):
    """The records that these lines of the jsonl export must become, and what is counted."""
    records, counts = [], {}
    orders, instruments = {}, set()
    complete, session, expected, received = False, None, 1, 0

    def count(key):
        counts[key] = counts.get(key, 0) + 1

    for line in lines:
        fields = json.loads(line)
        kind = fields["kind"]
        if kind == "sessionStart":
            if (fields["session"], fields["first"]) == (session, expected):
                continue
            session, expected = fields["session"], fields["first"]
            complete = fields["first"] <= 1
            for instrument in sorted(instruments):
                records.append([instrument, received, 0, dbn.UNDEF_PRICE, 0, LAST, "R", "N", received, fields["first"]])
            orders.clear()
            instruments.clear()
            continue
        if kind in ("gap", "hole"):
            complete = False
            count("losses")
            expected = max(expected, fields["last"] + 1)
            continue
        if kind != "message":
            continue
        message = bytes.fromhex(fields["message"])
        expected = fields["sequence"] + 1
        received = fields["receiveTime"] or received
        letter = chr(message[0])
        locate = int.from_bytes(message[1:3], "big")
        event = midnight + int.from_bytes(message[5:11], "big")
        flags = (0 if complete else MAYBE_BAD_BOOK) | (0 if fields["receiveTime"] else BAD_RECEIVE_TIME)
        made = []

        def add(action, side, order, price, size, instrument=locate):
            made.append([instrument, event, order, price * 100_000, size, flags, action, side, received, fields["sequence"]])

        def take(reference, size=None):
            instrument, side, price, left = orders[reference]
            size = left if size is None else size
            add("C", side, reference, price, size, instrument)
            if size >= left:
                del orders[reference]
            else:
                orders[reference][3] = left - size

        if letter in "AF":
            reference, side, shares, price = struct.unpack_from(">QcI8xI", message, 11)
            side = "A" if side == b"S" else "B"
            orders[reference] = [locate, side, price, shares]
            instruments.add(locate)
            add("A", side, reference, price, shares)
        elif letter in "ECXDU":
            reference = struct.unpack_from(">Q", message, 11)[0]
            if reference not in orders:
                count("unknown")
                continue
            instrument, side, price, left = orders[reference]
            if letter == "D":
                take(reference)
            elif letter == "X":
                take(reference, struct.unpack_from(">I", message, 19)[0])
            elif letter == "U":
                take(reference)
                new, shares, price = struct.unpack_from(">QII", message, 19)
                orders[new] = [instrument, side, price, shares]
                add("A", side, new, price, shares, instrument)
            else:
                shares = struct.unpack_from(">I", message, 19)[0]
                printed = True
                if letter == "C":
                    printed, price = message[31:32] == b"Y", struct.unpack_from(">I", message, 32)[0]
                if printed:
                    add("T", "A" if side == "B" else "B", 0, price, shares, instrument)
                else:
                    count("not printable")
                add("F", side, reference, price, shares, instrument)
                take(reference, shares)
        elif letter == "P":
            shares, price = struct.unpack_from(">I8xI", message, 20)
            add("T", "N", 0, price, shares)
        elif letter == "Q":
            shares, price = struct.unpack_from(">Q8xI", message, 11)
            if 0 < shares < 2**32:
                add("T", "N", 0, price, shares)
            elif not shares:
                count("empty crosses")
        else:
            count(letter)
            if letter == "R":
                instruments.add(locate)
        if made:
            made[-1][5] |= LAST
        records += made
    return records, counts, orders


def read(data):
    decoder = dbn.DBNDecoder(upgrade_policy=dbn.VersionUpgradePolicy.AS_IS)
    decoder.write(data)
    metadata, *records = decoder.decode()
    return metadata, records


def values(record):
    return [record.instrument_id, record.ts_event, record.order_id, record.price, record.size, int(record.flags),
            str(record.action), str(record.side), record.ts_recv, record.sequence]


def plain_date(value):
    return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(str(value))


def compare(checks, what, folder, arguments=(), midnight=None):
    """One export beside the other; returns the records as the package reads them."""
    text, _, text_code = export(folder, "--format", "jsonl", *arguments)
    extra = [] if midnight is None else ["--midnight", str(midnight // 10**9)]
    data, said, code = export(folder, "--format", "dbn", *arguments, *extra)
    checks.expect(code == text_code, f"{what}: both exports end with {text_code}", (code, said))
    lines = text.decode().splitlines()
    messages = [json.loads(line) for line in lines if '"kind":"message"' in line]
    times = [message["receiveTime"] for message in messages if message["receiveTime"]]
    if midnight is None:
        midnight = min(times) // DAY * DAY
    metadata, records = read(data)
    checks.expect((metadata.version, metadata.dataset, str(metadata.schema), metadata.start, metadata.end)
                  == (2, "XNAS.ITCH", "mbo", min(times), max(times) + 1), f"{what}: the metadata",
                  (metadata.version, metadata.dataset, str(metadata.schema), metadata.start, metadata.end))
    symbols = {}
    for message in messages:
        if message["type"] == "R":
            symbols.setdefault(message["stock"], str(message["instrument"]))
    mapped = {symbol: intervals for symbol, intervals in metadata.mappings.items()}
    first = datetime.date.fromtimestamp(0) + datetime.timedelta(days=min(times) // DAY)
    behind = datetime.date.fromtimestamp(0) + datetime.timedelta(days=max(times) // DAY + 1)
    checks.expect({symbol: intervals[0]["symbol"] for symbol, intervals in mapped.items()} == symbols
                  and sorted(metadata.symbols) == sorted(symbols), f"{what}: {len(symbols)} symbols are mapped", mapped)
    checks.expect(all((plain_date(intervals[0]["start_date"]), plain_date(intervals[0]["end_date"])) == (first, behind)
                      and len(intervals) == 1 for intervals in mapped.values()), f"{what}: on the days of the tape",
                  (first, behind, list(mapped.values())[:1]))
    want, counts, orders = due(lines, midnight)
    got = [values(record) for record in records]
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    checks.expect(got == want, f"{what}: {len(want)} records of {len(messages)} messages, every field",
                  (len(got), len(want), at, [f"{n} {a} not {b}" for n, a, b in zip(FIELDS, *(x[at] for x in (got, want))) if a != b]
                   if at < min(len(got), len(want)) else "one ends"))
    checks.expect(all(record.publisher_id == 2 and record.ts_in_delta == 0 and len(bytes(record)) == 56 for record in records),
                  f"{what}: publisher and size of every record")
    # What is left when adds and cancels are applied, as a reader of DBN does it.
    live = {}
    for record in records:
        action = str(record.action)
        if action == "A":
            live[record.order_id] = record.size
        elif action == "C":
            live[record.order_id] -= record.size
            if not live[record.order_id]:
                del live[record.order_id]
        elif action == "R":
            live.clear()
    checks.expect(live == {reference: order[3] for reference, order in orders.items()}, f"{what}: {len(live)} orders are left")
    left_out = next((line for line in said.splitlines() if "cannot say" in line), "")
    told = {letter: int(number.replace(",", "")) for letter, number in re.findall(r"(\w) ([\d,]+)(?:, |$)", left_out.split(": ")[-1])}
    checks.expect(told == {letter: number for letter, number in counts.items() if len(letter) == 1},
                  f"{what}: what is left out is counted: {told}", (counts, said))
    for key, text in (("unknown", "for unknown orders"), ("losses", "losses;"), ("not printable", "not to be printed"),
                      ("empty crosses", "crosses of no shares")):
        line = next((line for line in said.splitlines() if text in line), "")
        found = int((re.search(r"([\d,]+) \w", line.split("tape: ")[-1]) or [0, "0"])[1].replace(",", ""))
        checks.expect(found == counts.get(key, 0), f"{what}: {counts.get(key, 0)} {key}", said)
    return records, live, counts


def main():
    checks = Checks()
    day = ["--generate", "20000", "--instruments", "20"]
    with tempfile.TemporaryDirectory(prefix="bulkhead-exports-") as name:
        folder = pathlib.Path(name)
        whole = record_tape(folder / "whole", "whole", [*day, "--seed", "7"])
        tape = next((folder / "whole").iterdir())
        records, live, counts = compare(checks, "a day", tape)
        checks.expect(len(live) == whole["liveOrders"], f"a day: bookd had {whole['liveOrders']} orders, too", len(live))
        actions = {str(record.action) for record in records}
        checks.expect(actions == {"A", "C", "T", "F"} and not any(record.flags & MAYBE_BAD_BOOK for record in records),
                      "a day: adds, cancels, trades, fills; no book is in doubt", actions)
        midnight = 1_700_000_000 * 10**9
        records, _, _ = compare(checks, "a day with its midnight", tape, midnight=midnight)
        checks.expect(0 < records[0].ts_event - midnight < DAY, "event times count from it", records[0].ts_event)
        compare(checks, "a part", tape, ["--from", "9000", "--through", "12000"])
        check_arrow(checks, "a day", tape)
        check_arrow(checks, "a part", tape, "--from", "9000", "--through", "12000")
        check_arrow(checks, "nothing", tape, "--from", "19000", "--through", "1")
        compare(checks, "so many records", tape, ["--count", "5000"])

        record_tape(folder / "lossy", "lossy", [*day, "--seed", "8", "--retransmission", "off", "--rate", "40000",
                                                 "--impair", "A:loss=10%;B:loss=10%"])
        records, _, counts = compare(checks, "a day with losses", next((folder / "lossy").iterdir()))
        check_arrow(checks, "a day with losses", next((folder / "lossy").iterdir()))
        doubted = sum(1 for record in records if record.flags & MAYBE_BAD_BOOK)
        checks.expect(counts.get("losses", 0) > 0 and counts.get("unknown", 0) > 0 and 0 < doubted < len(records),
                      f"a day with losses: {doubted} of {len(records)} records are of a book in doubt", counts)

        record_tape(folder / "two", "two", ["--generate", "3000", "--instruments", "10", "--seed", "1"])
        record_tape(folder / "two", "two", ["--generate", "3000", "--instruments", "10", "--seed", "1"])
        records, _, _ = compare(checks, "two runs", next((folder / "two").iterdir()))
        checks.expect(sum(1 for record in records if str(record.action) == "R") == 10, "two runs: the books are cleared in between")

        check_tables(checks, tape)

        record_tape(folder / "long", "long", ["--generate", "150000", "--instruments", "200", "--seed", "3"])
        check_arrow(checks, "a long day", next((folder / "long").iterdir()))

        # The newest segment cut in the middle of a record: what is before it is exported.
        segment = max(tape.glob("*.segment"))
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 1
        segment.chmod(0o644)
        segment.write_bytes(data)
        _, said, code = export(tape, "--format", "dbn")
        checks.expect(code == 1 and "the output ends here" in said, "damage ends the export, and is named", (code, said))
        records, _, _ = compare_damaged(tape)
        checks.expect(any(record.flags & MAYBE_BAD_BOOK for record in records) and not records[0].flags & MAYBE_BAD_BOOK,
                      "behind damage every book is in doubt")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


def check_tables(checks, tape):
    """bulkhead.tape of the Python client: the same records as tables of pyarrow and polars."""
    sys.path.insert(0, str(ROOT / "clients/python/src"))
    try:
        import polars
        import pyarrow
    except ImportError as missing:
        print(f"skipped: tables, {missing}")
        return
    from bulkhead.tape import read_tape

    records = read(export(tape, "--format", "dbn")[0])[1]
    table = read_tape(tape, program=BIN / "bulkhead")
    arrow = table.to_arrow()
    arrow.validate(full=True)
    names = {record.instrument_id: None for record in records} | table.symbols
    want = [[*values(record), names[record.instrument_id]] for record in records]
    columns = [arrow[name].cast("int64") if name.startswith("ts_") else arrow[name] for name in (*FIELDS, "symbol")]
    got = [list(row) for row in zip(*(column.to_pylist() for column in columns))]
    checks.expect(got == want, f"pyarrow {pyarrow.__version__}: {len(want)} rows, every field", (got[:1], want[:1]))
    frame = table.to_polars("float")
    volume = dict(frame.filter(polars.col("action") == "T").group_by("symbol").agg(polars.col("size").sum()).iter_rows())
    due_volume = {}
    for record in records:
        if str(record.action) == "T":
            name = names[record.instrument_id]
            due_volume[name] = due_volume.get(name, 0) + record.size
    checks.expect(volume == due_volume and frame["price"].to_list() == [record.price / 1e9 for record in records],
                  f"polars {polars.__version__}: volumes of {len(volume)} symbols, and prices", (volume, due_volume))


def check_arrow(checks, what, tape, *arguments):
    """The Arrow export, read by pyarrow and polars: schema, nulls and every value beside the csv export."""
    try:
        import polars
        import pyarrow
        import pyarrow.feather
    except ImportError as missing:
        print(f"skipped: {what} as Arrow, {missing}")
        return
    text, _, text_code = export(tape, "--format", "csv", *arguments)
    data, said, code = export(tape, "--format", "arrow", *arguments)
    checks.expect(code == text_code, f"{what}: arrow and csv end with {text_code}", (code, said))
    header, *lines = csv.reader(io.StringIO(text.decode()))
    with pyarrow.ipc.open_file(pyarrow.BufferReader(data)) as file:
        batches = file.num_record_batches
        table = file.read_all()
    table.validate(full=True)
    kinds = {"kind": "string", "session": "string", "type": "string", "side": "string", "stock": "string",
             "instrument": "uint32", "price": "int64", "receiveTime": "timestamp[ns, tz=UTC]", "message": "binary"}
    checks.expect([(field.name, str(field.type), field.nullable) for field in table.schema]
                  == [(name, kinds.get(name, "uint64"), name != "kind") for name in header],
                  f"{what}: the schema in pyarrow {pyarrow.__version__}", table.schema)
    texts = {"kind", "session", "type", "side", "stock"}

    def due(name, value):
        if value == "" and name not in ("session", "stock"):
            return None
        return value if name in texts else bytes.fromhex(value) if name == "message" else int(value)

    want = {name: [due(name, line[place]) for line in lines] for place, name in enumerate(header)}
    got = {name: (table[name].cast("int64") if name == "receiveTime" else table[name]).to_pylist() for name in header}
    # An empty text and none at all are the same in csv.
    got["stock"] = ["" if value is None else value for value in got["stock"]]
    wrong = [name for name in header if got[name] != want[name]]
    checks.expect(table.num_rows == len(lines) and not wrong, f"{what}: {len(lines)} rows in {batches} batches, every value of {len(header)} columns",
                  (table.num_rows, len(lines), wrong, [(got[name][:3], want[name][:3]) for name in wrong[:2]]))
    frame = polars.read_ipc(io.BytesIO(data))
    checks.expect(frame.drop("receiveTime").equals(polars.from_arrow(table.drop(["receiveTime"])))
                  and frame["receiveTime"].cast(polars.Int64).to_list() == got["receiveTime"],
                  f"{what}: polars {polars.__version__} reads the same", frame.head(2))
    stream = pyarrow.ipc.open_stream(pyarrow.BufferReader(data[8:])).read_all()
    checks.expect(stream.equals(table), f"{what}: a reader of streams takes it behind the first 8 bytes")
    checks.expect(pyarrow.feather.read_table(pyarrow.BufferReader(data)).equals(table), f"{what}: it is a Feather file")


def compare_damaged(tape):
    data, said, code = export(tape, "--format", "dbn", "--past-damage")
    metadata, records = read(data)
    return records, said, code


if __name__ == "__main__":
    sys.exit(main())
