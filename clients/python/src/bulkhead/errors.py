"""Everything that this package raises on purpose. All of it is a `BulkheadError`."""

from __future__ import annotations

CLOSE_NAMES = {
    1000: "normal",
    1001: "going_away",
    1003: "unsupported_data",
    1006: "cut",
    1009: "message_too_big",
    4001: "unauthorized",
    4002: "no_subscription",
    4004: "consumer_too_slow",
    4005: "superseded_epoch",
    4006: "too_many_requests",
    4007: "continuity_lost",
}


class BulkheadError(Exception):
    """The base of all errors of this package."""

    #: Whether connecting again can help. The client does so by itself as long as its `Backoff` allows.
    retry = False


class ConnectError(BulkheadError):
    """No connection, or no handshake of TLS or WebSocket in time."""

    retry = True


class CertificateRefused(ConnectError):
    """The server's certificate is not one that this client trusts, or is another host's."""

    retry = False


class HandshakeRefused(BulkheadError):
    """The server answered the handshake with an HTTP status other than 101."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the server refused the connection: {status} {reason}")
        self.status = status
        # Too many clients passes; a wrong path or subprotocol does not.
        self.retry = status >= 500


class ConnectionLost(BulkheadError):
    """The connection ended. `code` is the WebSocket close code, 1006 when there was no close frame."""

    retry = True

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.name = CLOSE_NAMES.get(code, "unknown")
        super().__init__(f"closed with {code} ({self.name})" + (f": {reason}" if reason else ""))
        # The server says that this client's own bytes were wrong: it would send the same again.
        self.retry = code not in (1003, 1009, 4001, 4006)


class HeartbeatTimeout(BulkheadError):
    """Nothing came for 2.5 heartbeat intervals: the server is taken for lost."""

    retry = True


class ProtocolError(BulkheadError):
    """Bytes that the protocol does not allow. The connection is given up; nothing of the message was used."""

    retry = True


class ContinuityError(ProtocolError):
    """A frame's `prev_seq` is not the `seq` of the frame before: something is missing between them."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"a frame says that {found} precedes it; what came before it was {expected}")
        self.expected = expected
        self.found = found


class BookMismatch(ProtocolError):
    """An event does not fit a book that both sides hold for exact."""


class UnsupportedVersion(BulkheadError):
    """The server speaks another protocol or schema than this package."""


class RequestError(BulkheadError):
    """The server refused a request. `code`,
    `field` and `nearest` are those of the protocol's error message."""

    def __init__(self, code: str, message: str, field: str | None = None, nearest: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.field = field
        self.nearest = nearest


class ResumeError(BulkheadError):
    """The stream cannot be continued from where this client stopped."""


class MissedEvents(ResumeError):
    """Raised in place of a `Missed` record when the client was made with `on_missed="raise"`."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(
            f"events of the messages {first} to {last} were not received and cannot be had any more"
        )
        self.first = first
        self.last = last


class FutureCursor(ResumeError):
    """The server has not come as far as this client: it lags, or it serves another session."""

    def __init__(self, cursor: int, server: int) -> None:
        super().__init__(f"the cursor is at message {cursor}, the server only at {server}")
        self.cursor = cursor
        self.server = server


class StreamChanged(ResumeError):
    """Another channel, or a stream that was started anew: sequence numbers of before mean nothing in it."""


class CursorDamaged(ResumeError):
    """The cursor file is not one that this package wrote."""


class RefillUnavailable(BulkheadError):
    """A refill source does not hold the range that was asked for."""


class RetriesExhausted(BulkheadError):
    """The `Backoff` allows no further attempt. The last error is the `__cause__`."""


class ClientClosed(BulkheadError):
    """The client was closed."""


class RingError(BulkheadError):
    """A ring or table in shared memory refused. `status` is the name in bulkhead.h, such as `"DAMAGED"`."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class CompilerMissing(BulkheadError):
    """The ring library is not built yet, and there is no C compiler to build it with."""
