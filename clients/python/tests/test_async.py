"""The asynchronous client: the same session, another socket."""

from __future__ import annotations

import asyncio
import unittest

from helpers import AAPL, ALL, SECONDS, live, of, quick

import bulkhead
from bulkhead import AsyncClient, CaughtUp, Disconnected, Event, Heartbeat, Missed, Resumed
from bulkhead.mock import MockServer


class AsyncTests(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.server = MockServer()
        self.server.start()
        self.addCleanup(self.server.stop)
        self.server.define("AAPL", AAPL)
        self.server.add(AAPL, 1, False, 1000, 200)

    def client(self, **options: object) -> AsyncClient:
        client = AsyncClient(self.server.url, **{"backoff": quick(), "timeout": SECONDS, **options})
        self.addAsyncCleanup(client.close)
        client.subscribe(["AAPL"], ALL)
        return client

    async def until(self, client: object, kind: type, where: object = lambda _: True) -> list:
        records = []
        async with asyncio.timeout(SECONDS):
            async for record in client:
                records.append(record)
                if isinstance(record, kind) and where(record):
                    return records
        raise AssertionError(records)

    async def test_snapshot_events_resume(self) -> None:
        client = self.client()
        await self.until(client, CaughtUp)
        last = self.server.add(AAPL, 2, True, 1010, 5)
        records = await self.until(client, Event, lambda event: event.sequence == last and event.last)
        self.assertEqual({sequence for sequence, _ in live(records)}, {last})
        self.server.restart(epoch=2)
        missed = self.server.delete(AAPL, 2)
        records = await self.until(client, CaughtUp)
        self.assertEqual(of(records, Missed), [Missed(missed, missed)])
        self.assertEqual(client.book("AAPL").order_count, 1)
        self.server.heartbeat()
        await self.until(client, Heartbeat)
        self.assertTrue(client.trustworthy("AAPL"))

    async def test_a_cancelled_read_loses_nothing(self) -> None:
        client = self.client()
        await self.until(client, CaughtUp)
        for place in range(50):
            reading = asyncio.ensure_future(client.read())
            await asyncio.sleep(0)
            if place % 2:
                await asyncio.sleep(0.001)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            if not reading.cancelled() and reading.exception() is None:
                self.assertIsInstance(reading.result(), Heartbeat)
        first = self.server.sequence + 1
        for reference in range(100, 120):
            self.server.add(AAPL, reference, True, 1010, 5)
        records = await self.until(client, Event, lambda event: event.sequence == first + 19 and event.last)
        self.assertEqual(sorted({sequence for sequence, _ in live(records)}), list(range(first, first + 20)))

    async def test_two_clients_on_one_loop(self) -> None:
        one, two = self.client(), self.client()
        await asyncio.gather(self.until(one, CaughtUp), self.until(two, CaughtUp))
        self.assertEqual(self.server.clients, 2)

    async def test_a_timeout_is_no_end(self) -> None:
        client = self.client()
        await self.until(client, CaughtUp)
        self.assertIsNone(await client.read(0.01))
        last = self.server.add(AAPL, 2, True, 1010, 5)
        await self.until(client, Event, lambda event: event.sequence == last)

    async def test_refusals(self) -> None:
        self.server.refuse(503)
        client = self.client()
        records = await self.until(client, CaughtUp)
        self.assertEqual(
            [type(each.error) for each in of(records, Disconnected)], [bulkhead.HandshakeRefused]
        )
        self.server.refuse(404)
        self.server.cut()
        with self.assertRaises(bulkhead.HandshakeRefused):
            await self.until(client, Resumed)
        await client.close()
        with self.assertRaises(bulkhead.ClientClosed):
            await client.read()


if __name__ == "__main__":
    unittest.main()
