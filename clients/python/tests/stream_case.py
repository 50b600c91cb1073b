"""A mock server with a small book, and clients of it."""

from __future__ import annotations

import unittest

from helpers import AAPL, ALL, MSFT, make, read_until

import bulkhead
from bulkhead import CaughtUp, Heartbeat
from bulkhead.mock import MockServer


class StreamCase(unittest.TestCase):
    """A server with a small book of AAPL and MSFT; two clients of it would see the same."""

    def setUp(self) -> None:
        self.server = MockServer()
        self.server.start()
        self.addCleanup(self.server.stop)
        self.server.define("AAPL", AAPL)
        self.server.define("MSFT", MSFT)
        self.server.add(AAPL, 1, False, 1000, 200)
        self.server.add(AAPL, 2, False, 1000, 50)
        self.server.add(AAPL, 3, True, 1010, 100)

    def client(
        self,
        *,
        symbols: object = ("AAPL",),
        channels: object = ALL,
        start: str = "snapshot",
        **options: object,
    ):
        client = make(self.server.url, **options)
        self.addCleanup(client.close)
        client.subscribe(symbols, channels, start)
        return client

    def caught_up(self, **options: object):
        client = self.client(**options)
        read_until(client, CaughtUp)
        return client

    def beat(self, client: bulkhead.Client, sequence: int = 0) -> list:
        """Records up to a heartbeat, which says that everything up to message `sequence` was there."""
        self.server.heartbeat()
        return read_until(client, Heartbeat, lambda beat: beat.sequence >= sequence)

    def assert_orders(self, client: bulkhead.Client) -> None:
        for sell in (False, True):
            self.assertEqual(list(client.book(AAPL).orders(sell)), list(self.server.books[AAPL].orders(sell)))

    def assert_same_book(self, client: bulkhead.Client, instrument: int) -> None:
        ours, theirs = client.book(instrument), self.server.books[instrument]
        for sell in (False, True):
            self.assertEqual(list(ours.orders(sell)), list(theirs.orders(sell)))
            self.assertEqual(ours.levels(sell), theirs.levels(sell))
