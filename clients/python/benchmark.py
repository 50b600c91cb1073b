"""Events a second that a session takes, without a network: `python benchmark.py BINARIES [MESSAGES]`, where
BINARIES is the folder of the release programs. A generated day, framed as pubd frames it, decoded and
checked, with and without books. Processor time, so that a busy machine changes little."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bulkhead import wire
from bulkhead.records import CHANNELS, EVENT_HEADER, KINDS
from bulkhead.session import Session

FRAME_BYTES = 16_000


def entries(binaries: Path, messages: int) -> list[tuple[int, int, bytes]]:
    """Sequence number, kind and frame entry of each event of the day."""
    with tempfile.TemporaryDirectory() as folder:
        day, events = f"{folder}/day.itch", f"{folder}/events"
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        subprocess.run(
            [
                binaries / "venue",
                "--generate",
                str(messages),
                "--seed",
                "11",
                "--instruments",
                "200",
                "--write",
                day,
            ],
            **quiet,
        )
        subprocess.run([binaries / "bulkhead", "book", day, "--events", events, "--digest"], **quiet)
        data, at, rows = Path(events).read_bytes(), 0, []
    while at < len(data):
        sequence, stamp, kind, size, *identity = struct.unpack_from("<QQBxH4xIHBB", data, at)
        event = EVENT_HEADER.pack(sequence, stamp, 1, *identity) + data[at + 32 : at + 32 + size]
        rows.append((sequence, kind, wire.encode_entry(kind, event)))
        at += 32 + size
    return rows


def frames(rows: list[tuple[int, int, bytes]]) -> list[bytes]:
    made, waiting, size, before, last = [], [], 0, 0, 0
    for sequence, _, entry in rows:
        if size > FRAME_BYTES and sequence != last:
            made.append(wire.encode_frame(wire.EVENTS, 1, last, before, b"", tuple(waiting)))
            before, waiting, size = last, [], 0
        waiting.append(entry)
        size += len(entry)
        last = sequence
    return [*made, wire.encode_frame(wire.EVENTS, 1, last, before, b"", tuple(waiting))]


def connected(channels: list[str], books: bool) -> Session:
    """A session that has subscribed before the first message."""
    session = Session(since=0, books=books)
    session.opened("ws://none", 0)
    session.subscribe("*", channels, "live")
    hello = {"type": "hello", "proto": 1, "schema": {"id": 1}, "server": "", "instance": "", "channel": 1}
    session.text(json.dumps({**hello, "epoch": "1", "heartbeat_ms": 1000}).encode(), 0)
    request = json.loads(session.outbox[-1])["id"]
    answer = {
        "type": "subscribed",
        "id": request,
        "sub": 1,
        "first_seq": 1,
        "instruments": {},
        "unresolved": [],
    }
    session.text(json.dumps(answer).encode(), 0)
    return session


def main() -> None:
    rows = entries(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
    always = {KINDS["Trust"], KINDS["Gap"], KINDS["EndOfSession"]}
    for channels in (list(CHANNELS), ["orders", "defs"]):
        kinds = always.union(*(CHANNELS[channel] for channel in channels))
        chosen = [row for row in rows if row[1] in kinds]
        made = frames(chosen)
        for books in (True, False):
            seconds = []
            for _ in range(3):
                session = connected(channels, books)
                begin = time.process_time()
                for frame in made:
                    session.binary(frame, 0)
                    session.records.clear()
                seconds.append(time.process_time() - begin)
            rate = len(chosen) / min(seconds)
            print(f"{','.join(channels)}, {'books' if books else 'no books'}: {rate:,.0f} events/s")


if __name__ == "__main__":
    main()
