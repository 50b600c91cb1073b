"""The asynchronous client. It starts no task, no thread and no loop: it runs while a record is awaited."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

from . import websocket
from .client import _CHUNK, BaseClient, Link
from .errors import BulkheadError, CertificateRefused, ClientClosed, ConnectError, ConnectionLost
from .iteration import AsyncRecords
from .records import Record


class AsyncClient(AsyncRecords, BaseClient):
    """`async for` over it. The options are those of `Client`."""

    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _link: Link | None = None
    _not_before = 0.0
    # A read that a deadline interrupts is kept, so that nothing it may have taken is lost.
    _reading: asyncio.Task[bytes] | None = None

    async def read(self, timeout: float | None = None) -> Record | None:
        """The next record; None when the session has ended (with `stop_at_end`) or after `timeout` seconds. A
        read that is cancelled takes nothing with it."""
        limit = None if timeout is None else time.monotonic() + timeout
        turned = False
        while True:
            if self._closed:
                raise ClientClosed("the client is closed")
            record = self._take()
            if record is not None or self._ended:
                return record
            if turned and limit is not None and time.monotonic() >= limit:
                return None
            await self._turn(limit)
            turned = True  # also with a timeout of 0: what is there is read, what is to be sent is sent

    async def close(self) -> None:
        """Writes the cursor and takes leave. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self.commit()
        finally:
            if self._writer is not None:
                try:
                    async with asyncio.timeout(1):
                        self._writer.write(websocket.encode_close(1000, "normal", mask=True))
                        await self._writer.drain()
                        self._writer.close()
                        await self._writer.wait_closed()
                except (OSError, TimeoutError):
                    pass
            self._drop()

    def _drop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.transport.abort()  # close() alone would wait for the other end's leave of TLS
        self._reader = self._writer = self._link = self._reading = None

    async def _turn(self, limit: float | None) -> None:
        try:
            if self._reader is None or self._writer is None or self._link is None:
                pause = self._not_before - time.monotonic()
                if pause > 0:
                    await asyncio.sleep(
                        pause if limit is None else max(0.0, min(pause, limit - time.monotonic()))
                    )
                    return
                await self._connect()
                return
            link = self._link
            until = link.deadline() if limit is None else min(link.deadline(), limit)
            outgoing = link.outgoing()
            if outgoing:
                self._writer.write(outgoing)
                await asyncio.wait_for(self._writer.drain(), self.session.timeout)
            if self._reading is None:
                self._reading = asyncio.ensure_future(self._reader.read(_CHUNK))
            # At least one round of the loop: whoever was away finds here what came meanwhile.
            done, _ = await asyncio.wait([self._reading], timeout=max(0.001, until - time.monotonic()))
            now = time.monotonic()
            if done:
                reading, self._reading = self._reading, None
                link.feed(reading.result(), now)
            else:
                link.check(now)
        except (OSError, TimeoutError) as error:
            lost = ConnectionLost(1006, str(error))
            lost.__cause__ = error
            self._fail(lost)
        except BulkheadError as error:
            self._fail(error)

    def _fail(self, error: BulkheadError) -> None:
        self._drop()
        self._not_before = time.monotonic() + self.session.lost(error)

    async def _connect(self) -> None:
        link = Link(self.session, self._next_url(), time.monotonic(), self._token)
        address = link.address
        try:
            async with asyncio.timeout(self.session.timeout):
                if address.socket_path is not None:
                    reader, writer = await asyncio.open_unix_connection(address.socket_path, limit=_CHUNK)
                else:
                    tls = self._tls if address.is_secure else None
                    reader, writer = await asyncio.open_connection(
                        address.host, address.port, limit=_CHUNK, ssl=tls
                    )
        except ssl.SSLCertVerificationError as error:
            raise CertificateRefused(f"{address}: {error.verify_message}") from error
        except (OSError, TimeoutError) as error:
            raise ConnectError(f"{address}: {error or 'timed out'}") from error
        self._reader, self._writer = reader, writer
        if address.socket_path is None:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.opened = time.monotonic()
        self._link = link
