"""The synchronous client, and what it shares with the asynchronous one."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Any, Literal

from . import websocket
from .books import Book
from .cursor import CursorFile
from .errors import (
    BulkheadError,
    CertificateRefused,
    ClientClosed,
    ConnectError,
    ConnectionLost,
    RequestError,
)
from .iteration import Records
from .records import EndOfSession, Event, Record
from .session import Session
from .subscription import Backoff, Mark, OnSlow, Refill, Start, Subscription, Symbols, TrustReport
from .websocket import BINARY, CLOSE, PING, TEXT, Address, Handshake, Receiver

_CHUNK = 1 << 18
#: Where a token comes from that nobody gives as an argument.
TOKEN_VARIABLE = "BULKHEAD_TOKEN"


def _checked(token: str) -> str:
    if token and not all("!" <= character <= "~" for character in token):
        raise ValueError("a token is of visible ASCII characters")  # and is not shown
    return token


class Link:
    """One connection as bytes: the handshake, then messages for the session and its requests."""

    def __init__(self, session: Session, url: str, now: float, token: str = "") -> None:
        self.address = Address.parse(url)
        self._session = session
        self._url = url
        self._handshake: Handshake | None = Handshake(self.address, token)
        self._receiver = Receiver()
        self._outgoing = bytearray(self._handshake.request)
        self.opened = now

    def feed(self, data: bytes, now: float) -> None:
        """Takes what the socket gave; b"" is its end. Raises what `Session.lost` wants to hear of."""
        if not data:
            raise ConnectionLost(1006)
        if self._handshake is not None:
            rest = self._handshake.feed(data)
            if rest is None:
                return
            self._handshake = None
            self._session.opened(self._url, now)
            data = rest
        for opcode, payload in self._receiver.feed(data):
            if opcode == BINARY:
                self._session.binary(payload, now)
            elif opcode == TEXT:
                self._session.text(payload, now)
            elif opcode == PING:
                self._outgoing += websocket.encode(websocket.PONG, payload, mask=True)
            elif opcode == CLOSE:
                raise websocket.closed(payload)

    def outgoing(self) -> bytes:
        """What is to be sent now."""
        if self._handshake is None:
            while self._session.outbox:
                self._outgoing += websocket.encode(TEXT, self._session.outbox.popleft().encode(), mask=True)
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def deadline(self) -> float:
        return (
            self.opened + self._session.timeout if self._handshake is not None else self._session.deadline()
        )

    def check(self, now: float) -> None:
        """To be called when nothing could be read. Raises when the server is taken for lost."""
        if self._handshake is None:
            self._session.check(now)
        elif now >= self.deadline():
            raise ConnectError(f"no answer to the handshake within {self._session.timeout} s")


def _context(certificates: str | os.PathLike[str] | ssl.SSLContext | None, verify: bool) -> ssl.SSLContext:
    if isinstance(certificates, ssl.SSLContext):
        return certificates
    context = ssl.create_default_context(cafile=certificates)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class BaseClient:
    """What both clients are but for the socket. Not thread-safe."""

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        token: str | None = None,
        certificates: str | os.PathLike[str] | ssl.SSLContext | None = None,
        verify: bool = True,
        cursor: str | os.PathLike[str] | None = None,
        since: int | None = None,
        refill: Refill | None = None,
        on_missed: Literal["record", "raise"] = "record",
        backoff: Backoff | None = None,
        timeout: float = 10.0,
        lag: int = 0,
        books: bool = True,
        stop_at_end: bool = False,
        cursor_interval: float = 1.0,
    ) -> None:
        """Nothing is connected before the first record is asked for; so subscribe first.

        url: `ws://host:port`, `wss://host:port` or `unix:PATH`, the server's local socket; several are tried in turn
            whenever a connection fails
        token: what the server asks for; without it the variable BULKHEAD_TOKEN of the environment. It goes to every
            server of `url` but local sockets; without TLS, whoever is in between can read it
        certificates: with `wss://`, a file (PEM) with the certificates by which the server's is verified, in place of
            the system's; or a context of `ssl`
        verify: False takes any certificate: only for a server that cannot be another one
        cursor: a file that remembers what was processed; an existing one is continued from
        since: without a cursor file's cursor, go on behind this message; 0 is the whole session
        refill: where events come from that the server does not send again, such as `bulkhead.RingRefill`
        on_missed: what to do when events cannot be had any more: go on behind a `Missed` record and new
            snapshots, or raise `MissedEvents`
        timeout: seconds for connecting, for the handshake and for the hello
        lag: messages that another server may be behind this client
        books: whether to keep books
        stop_at_end: end the iteration behind the venue's end of session
        cursor_interval: seconds between two writes of the cursor file
        """
        self.urls = [url] if isinstance(url, str) else list(url)
        if not self.urls:
            raise ValueError("no url")
        addresses = [Address.parse(each) for each in self.urls]
        self._token = _checked(os.environ.get(TOKEN_VARIABLE, "") if token is None else token)
        self._tls = _context(certificates, verify) if any(each.is_secure for each in addresses) else None
        self._file = None if cursor is None else CursorFile(cursor)
        self.session = Session(
            cursor=self._file.load() if self._file else None,
            since=since,
            refill=refill,
            on_missed=on_missed,
            backoff=backoff,
            timeout=timeout,
            lag=lag,
            books=books,
        )
        self._stop_at_end = stop_at_end
        self._ended = False
        self._cursor_interval = cursor_interval
        self._next_cursor = 0.0
        self._processed: Mark | None = None
        self._saved: Mark | None = None
        self._handed_out: Event | None = None
        self._attempts = 0
        self._closed = False

    def subscribe(
        self,
        symbols: Symbols,
        channels: Sequence[str] = ("orders", "defs"),
        start: Start = "snapshot",
        *,
        on_slow: OnSlow = "disconnect",
        checksum: bool = False,
    ) -> Subscription:
        """Asks for events.

        symbols: "*" or a list; one that is not defined yet is waited for
        channels: of "orders", "levels", "bbo", "trades", "status", "defs"
        start: "snapshot": the state first; "live": from now on
        on_slow: what the server does when this client reads too slowly: "disconnect" it; "warn" it before
            (`Slow`); "conflate" levels and best prices into snapshots; "skip" trades and best prices and say
            which (`Skipped`). The last two want subscriptions of those channels alone.
        checksum: compare the books with checksums of the server, with every snapshot and heartbeat

        With a cursor, subscriptions that are made before the first record is asked for go on behind it; a
        later one begins when it is made. A refused request raises RequestError from the iteration.
        """
        return self.session.subscribe(symbols, channels, start, on_slow=on_slow, checksum=checksum)

    def unsubscribe(self, subscription: Subscription) -> None:
        self.session.unsubscribe(subscription)

    def book(self, symbol: str | int) -> Book | None:
        """The book of a symbol, or of an instrument number. It is as new as what was received, which may be
        newer than the record that was handed out last."""
        return self.session.book(symbol)

    @property
    def books(self) -> dict[int, Book]:
        """All books by instrument number. Read-only."""
        return self.session.books

    def trust(self, symbol: str | int) -> TrustReport:
        """Whether the book of a symbol can be believed now, and if not, why."""
        return self.session.trust(symbol, time.monotonic())

    def trustworthy(self, symbol: str | int) -> bool:
        """Whether the book of a symbol can be believed now."""
        return self.trust(symbol).trustworthy

    @property
    def processed(self) -> int:
        """Every message up to this one has been handed out, and the record behind it was asked for."""
        return self._processed.complete if self._processed else 0

    def commit(self) -> None:
        """Writes the cursor file now. What was handed out counts as
        processed once the next record is asked for."""
        self._next_cursor = time.monotonic() + self._cursor_interval
        if self._file is None or self._processed is None or self._processed == self._saved:
            return
        cursor = self.session.cursor(self._processed)
        if cursor is not None:
            self._file.save(cursor)
            self._saved = self._processed

    def _take(self) -> Record | None:
        """The next record that is there. Asking for it says that the one before has been processed."""
        if self._handed_out is not None and self._processed is not None:
            event, self._handed_out = self._handed_out, None
            self._processed = self._processed._replace(last=(event.sequence, event.index))
        records = self.session.records
        while records:
            record = records.popleft()
            if isinstance(record, Mark):
                self._processed = record
                if self._file is not None and time.monotonic() >= self._next_cursor:
                    self.commit()
                if self._ended:
                    records.clear()
                continue
            if isinstance(record, RequestError):
                raise record
            if isinstance(record, Event) and not record.snapshot:
                self._handed_out = record
                if isinstance(record, EndOfSession) and self._stop_at_end:
                    self._ended = True
            return record
        return None

    def _next_url(self) -> str:
        """Another server after each failure."""
        url = self.urls[self._attempts % len(self.urls)]
        self._attempts += 1
        return url


class Client(Records, BaseClient):
    """Iterate over it: it connects, connects again, and hands out records.
    See `BaseClient` for the options."""

    _socket: socket.socket | None = None
    _link: Link | None = None
    _is_connecting = False  #: the socket is not connected, or TLS not agreed on
    _wants_writing = False  #: and waits until it can be written, not read
    _not_before = 0.0

    def read(self, timeout: float | None = None) -> Record | None:
        """The next record; None when the session has ended (with
        `stop_at_end`) or after `timeout` seconds."""
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
            self._turn(limit)
            turned = True  # also with a timeout of 0: what is there is read, what is to be sent is sent

    def fileno(self) -> int:
        """The socket, for `select`; -1 while there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def close(self) -> None:
        """Writes the cursor and takes leave. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self.commit()
        finally:
            if self._socket is not None and self._link is not None:
                try:
                    self._socket.settimeout(1)
                    self._socket.sendall(websocket.encode_close(1000, "normal", mask=True))
                except OSError:
                    pass
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._link = None, None

    def _wakes_at(self) -> float:
        """When there is something to do at the latest, unless the socket wakes it earlier."""
        return self._not_before if self._link is None else self._link.deadline()

    def _turn(self, limit: float | None) -> None:
        """Waits for bytes, a deadline or `limit`, and acts on what came."""
        try:
            if self._socket is None or self._link is None:
                pause = self._not_before - time.monotonic()
                if pause > 0:
                    time.sleep(pause if limit is None else max(0.0, min(pause, limit - time.monotonic())))
                    return
                self._connect()
                return
            link, connection = self._link, self._socket
            until = link.deadline() if limit is None else min(link.deadline(), limit)
            if not self._is_connecting:
                outgoing = link.outgoing()
                if outgoing:
                    connection.settimeout(self.session.timeout)
                    connection.sendall(outgoing)
                    connection.setblocking(False)
            # Looked at in any case: whoever was away for a while finds here what came meanwhile.
            wait = [connection]
            readable, writable, _ = select.select(
                wait, wait if self._wants_writing else [], [], max(0.0, until - time.monotonic())
            )
            now = time.monotonic()
            if self._is_connecting and (readable or writable):
                self._go_on_connecting(link, connection)
            elif readable:
                self._receive(link, connection, now)
            else:
                link.check(now)
        except ssl.SSLCertVerificationError as error:
            refused = CertificateRefused(f"{link.address}: {error.verify_message}")
            refused.__cause__ = error
            self._fail(refused)
        except OSError as error:
            lost = ConnectionLost(1006, str(error))
            lost.__cause__ = error
            self._fail(lost)
        except BulkheadError as error:
            self._fail(error)

    def _fail(self, error: BulkheadError) -> None:
        self._drop()
        self._not_before = time.monotonic() + self.session.lost(error)

    def _receive(self, link: Link, connection: socket.socket, now: float) -> None:
        """What is there. Of TLS all that is decrypted: the socket says nothing of that any more."""
        try:
            link.feed(connection.recv(_CHUNK), now)
            while isinstance(connection, ssl.SSLSocket) and connection.pending():
                link.feed(connection.recv(_CHUNK), now)
        except ssl.SSLWantReadError:
            pass  # a part of a record

    def _connect(self) -> None:
        """Begins to connect, without waiting: another connection of this thread may have something to do."""
        link = Link(self.session, self._next_url(), time.monotonic(), self._token)
        address = link.address
        try:
            name: Any = address.socket_path
            if name is not None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            else:
                found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
                # The server listens on IPv4.
                family, kind, protocol, _, name = min(found, key=lambda each: each[0] != socket.AF_INET)
                self._socket = socket.socket(family, kind, protocol)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setblocking(False)
            code = self._socket.connect_ex(name)
        except OSError as error:
            raise ConnectError(f"{address}: {error}") from error
        if code not in (0, errno.EINPROGRESS):
            raise ConnectError(f"{address}: {os.strerror(code)}")
        self._is_connecting = self._wants_writing = True
        self._link = link

    def _go_on_connecting(self, link: Link, connection: socket.socket) -> None:
        """The socket is connected, or TLS goes a step on."""
        if not isinstance(connection, ssl.SSLSocket):
            error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise ConnectError(f"{link.address}: {os.strerror(error)}")
            if link.address.is_secure and self._tls is not None:
                connection = self._tls.wrap_socket(
                    connection, server_hostname=link.address.host, do_handshake_on_connect=False
                )
                self._socket = connection
        self._wants_writing = False
        try:
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            self._is_connecting = False
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            self._wants_writing = True


def connect(url: str | Sequence[str], **options: object) -> Client:
    """The same as `Client(url, ...)`."""
    return Client(url, **options)  # type: ignore[arg-type]
