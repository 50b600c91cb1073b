"""What the tests share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import bulkhead
from bulkhead import Backoff, Client, Record

AAPL, MSFT = 13, 14
ALL = ("orders", "levels", "bbo", "trades", "status", "defs")
SECONDS = 10.0  # a limit for what must happen, never a measure of how fast it does

One = TypeVar("One")


def quick(**options: Any) -> Backoff:
    """Attempts follow one another quickly, with random numbers that are always the same."""
    return Backoff(**{"initial": 0.01, "maximum": 0.05, "random": random.Random(1), **options})


def make(url: Any, **options: Any) -> Client:
    return Client(url, **{"backoff": quick(), "timeout": SECONDS, **options})


def read_until(client: Any, wanted: type[One], where: Callable[[One], bool] = lambda _: True) -> list[Record]:
    """Records up to the first of a type that fits."""
    records: list[Record] = []
    limit = time.monotonic() + SECONDS
    while True:
        record = client.read(max(0.0, limit - time.monotonic()))
        if record is None or time.monotonic() > limit:
            raise AssertionError(f"no {wanted.__name__} within {SECONDS} s behind {records[-10:]}")
        records.append(record)
        if isinstance(record, wanted) and where(record):
            return records


def read_to(client: Any, sequence: int) -> list[Record]:
    """Records up to the last event of a message, of which some channel that is subscribed carries the end."""
    return read_until(
        client, bulkhead.Event, lambda event: not event.snapshot and event.sequence == sequence and event.last
    )


def live(records: list[Record]) -> list[tuple[int, int]]:
    """Identities of the live events among records."""
    return [
        (each.sequence, each.index)
        for each in records
        if isinstance(each, bulkhead.Event) and not each.snapshot
    ]


def of(records: list[Record], kind: type[One]) -> list[One]:
    return [each for each in records if isinstance(each, kind)]
