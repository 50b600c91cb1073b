"""Who may connect, and how: tokens, TLS with a real publisher, the local socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from helpers import make, of, quick, read_until
from set_run import free_port
from test_set import MESSAGES, SetCase

import bulkhead
from bulkhead import AsyncClient, CaughtUp, Client, Connected, Event, Missed
from bulkhead.mock import MockServer

CHANNELS = ("orders", "defs")
TOKEN = "the-token-of-the-tests"


class TokenTests(unittest.TestCase):
    def setUp(self) -> None:
        self.server = MockServer(token=TOKEN)
        self.server.start()
        self.addCleanup(self.server.stop)
        patch = mock.patch.dict(os.environ)
        patch.start()
        self.addCleanup(patch.stop)
        os.environ.pop("BULKHEAD_TOKEN", None)

    def connects(self, **options: object) -> None:
        with make(self.server.url, **options) as client:
            client.subscribe("*")
            read_until(client, CaughtUp)

    def test_the_token_goes_with_the_handshake(self) -> None:
        self.connects(token=TOKEN)
        os.environ["BULKHEAD_TOKEN"] = TOKEN
        self.connects()
        os.environ["BULKHEAD_TOKEN"] = "another-token-of-the-tests"
        self.connects(token=TOKEN)

    def test_without_it_nothing_is_tried_again(self) -> None:
        for options in ({}, {"token": "another-token-of-the-tests"}):
            with self.subTest(options), self.assertRaises(bulkhead.HandshakeRefused) as caught:
                self.connects(**options)
            self.assertEqual(caught.exception.status, 401)

    def test_a_token_is_no_header(self) -> None:
        for wrong in ("two words", "line\r\nX-Other: 1", "\N{SNOWMAN}"):
            with self.assertRaises(ValueError) as caught:
                Client(self.server.url, token=wrong)
            self.assertNotIn(wrong, str(caught.exception))


def certificate(folder: Path, address: str) -> tuple[str, str]:
    """A certificate that signs itself, and its key."""
    chain, key = str(folder / f"{address}.pem"), str(folder / f"{address}.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-days", "2", "-subj", "/CN=tests", "-addext", f"subjectAltName=IP:{address}"]
        + ["-keyout", key, "-out", chain],
        check=True,
        capture_output=True,
    )
    return chain, key


@unittest.skipIf(shutil.which("openssl") is None, "openssl is not installed")
class AccessTests(SetCase):
    """One set with TLS, tokens and a local socket."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.chain, cls.key = certificate(cls.folder, "127.0.0.1")
        cls.tokens = cls.folder / "tokens"
        cls.tokens.touch(0o600)
        cls.tokens.write_text(f"{TOKEN}\n")

    def start(self, rate: int = 12_000):
        run = self.run_set(
            rate,
            *("--set", f"publish.tls_certificate={self.chain}", "--set", f"publish.tls_key={self.key}"),
            *("--set", f"publish.tokens={self.tokens}", "--set", f"publish.socket={self.folder}/publish.sock"),
        )
        run.wait_for_messages(MESSAGES // 6)
        return run, run.url.replace("ws:", "wss:")

    def test_whole_sessions_over_tls_and_the_local_socket(self) -> None:
        """Each client, from a snapshot in mid-stream to the end: the books are those of the file."""
        run, url = self.start()
        local = f"unix:{self.folder}/publish.sock"

        async def follow(*made: AsyncClient) -> list[list]:
            async def all_of(client: AsyncClient) -> list:
                async with client:
                    client.subscribe("*", CHANNELS)
                    return [record async for record in client]

            return await asyncio.gather(*(all_of(client) for client in made))

        def read(client: Client | bulkhead.Pair) -> list:
            with client:
                client.subscribe("*", CHANNELS)
                return list(client)

        options = {"token": TOKEN, "certificates": self.chain, "stop_at_end": True}
        clients = [make(url, **options), make(local, stop_at_end=True)]
        pair = bulkhead.Pair(url, local, **options)
        others = [AsyncClient(url, **options), AsyncClient(local, stop_at_end=True)]
        with ThreadPoolExecutor() as pool:
            read_by = [pool.submit(read, each) for each in (*clients, pair)]
            seen = asyncio.run(follow(*others)) + [each.result() for each in read_by]
        run.report()
        for records in seen:
            self.assertEqual(of(records, Missed), [])
            self.assert_rising([event for event in of(records, Event) if not event.snapshot])
        for client in (*clients, *others):
            self.assert_books(client)
        # The pair ends with the first of its sides: the other one may not have come that far.
        self.assertIn(
            self.expected["bookDigest"], [bulkhead.book_digest(each.books.values()) for each in pair.clients.values()]
        )

    def test_what_is_refused(self) -> None:
        run, url = self.start(rate=3_000)
        other, _ = certificate(self.folder, "127.0.0.2")
        for name, error, options in (
            ("no token", bulkhead.HandshakeRefused, {"certificates": self.chain}),
            ("another token", bulkhead.HandshakeRefused, {"certificates": self.chain, "token": TOKEN + "s"}),
            ("the system's certificates", bulkhead.CertificateRefused, {"token": TOKEN}),
            ("another certificate", bulkhead.CertificateRefused, {"certificates": other, "token": TOKEN}),
        ):
            with self.subTest(name), self.assertRaises(error):
                with make(url, **options) as client:
                    client.subscribe("*")
                    read_until(client, Connected)
            with self.subTest(f"{name}, asynchronous"), self.assertRaises(error):
                asyncio.run(self.connect(url, **options))
        with self.subTest("another host's certificate"), self.assertRaises(bulkhead.CertificateRefused):
            asyncio.run(self.connect(url.replace("127.0.0.1", "localhost"), certificates=self.chain))
        context = ssl.create_default_context(cafile=self.chain)
        for options in ({"verify": False}, {"certificates": context}):
            asyncio.run(self.connect(url, token=TOKEN, **options))
            with make(url, token=TOKEN, **options) as client:
                client.subscribe("*")
                read_until(client, CaughtUp)
        with self.subTest("the token is withdrawn"):
            with make(url, token=TOKEN, verify=False, backoff=quick(attempts=3)) as client:
                client.subscribe("*")
                read_until(client, CaughtUp)
                self.tokens.write_text("another-token-that-stays\n")
                self.addCleanup(self.tokens.write_text, f"{TOKEN}\n")
                with self.assertRaises(bulkhead.ConnectionLost) as caught:
                    while client.read(30) is not None:
                        pass
                self.assertEqual(caught.exception.name, "unauthorized")

    async def connect(self, url: str, **options: object) -> None:
        async with AsyncClient(url, backoff=quick(), **options) as client:
            client.subscribe("*")
            async with asyncio.timeout(30):
                async for record in client:
                    if isinstance(record, Connected):
                        return

    def test_nobody_is_there(self) -> None:
        for url in (f"unix:{self.folder}/nothing.sock", f"wss://127.0.0.1:{free_port()}"):
            with self.subTest(url), self.assertRaises(bulkhead.RetriesExhausted) as caught:
                with make(url, backoff=quick(attempts=2)) as client:
                    client.subscribe("*")
                    read_until(client, Connected)
            self.assertIsInstance(caught.exception.__cause__, bulkhead.BulkheadError)
            with self.subTest(f"{url}, asynchronous"), self.assertRaises(bulkhead.RetriesExhausted):
                asyncio.run(self.connect_twice(url))

    async def connect_twice(self, url: str) -> None:
        async with AsyncClient(url, backoff=quick(attempts=2)) as client:
            client.subscribe("*")
            async for _ in client:
                pass


# Its tests are run where they are.
del SetCase

if __name__ == "__main__":
    unittest.main()
