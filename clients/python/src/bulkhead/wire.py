"""Binary frames: header, blocks, entries (docs/PUBLISH_PROTOCOL.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from .errors import ProtocolError, UnsupportedVersion
from .records import ENTRY, Event, make_event

MAGIC = 0x4B42
SCHEMA_VERSION = 1
EVENTS, SNAPSHOT_BEGIN, SNAPSHOT_ORDERS, SNAPSHOT_END, HEARTBEAT, STATUS, REPLAY, CHECKSUM = range(1, 9)
MESSAGE_CONTINUES = 0x0001
INPUT_STATES = ("live", "stale", "catching up", "halted")

HEADER = Struct("<HHHHIHHQQ")
BLOCK_BEGIN, BLOCK_END = Struct("<IIQ"), Struct("<IIQQ")
BLOCK_HEARTBEAT, BLOCK_STATUS = Struct("<QB7x"), Struct("<B7xQ")
BLOCK_REPLAY, BLOCK_CHECKSUM = Struct("<I4xQQ"), Struct("<IIIHH")
#: Blocks of the templates that this version knows; they may be longer than that.
BLOCKS = {
    SNAPSHOT_BEGIN: BLOCK_BEGIN.size,
    SNAPSHOT_END: BLOCK_END.size,
    HEARTBEAT: BLOCK_HEARTBEAT.size,
    STATUS: BLOCK_STATUS.size,
    REPLAY: BLOCK_REPLAY.size,
    CHECKSUM: BLOCK_CHECKSUM.size,
}


@dataclass(slots=True)
class Frame:
    template: int
    epoch: int
    flags: int
    count: int
    sequence: int
    previous: int
    data: bytes
    block: int  #: offset of the block
    entries: int  #: offset of the first entry

    def events(self, snapshot: bool) -> Iterator[Event]:
        """The entries. Raises ProtocolError when they do not fill the frame exactly."""
        data, at, size = self.data, self.entries, len(self.data)
        unpack, fixed = ENTRY.unpack_from, ENTRY.size
        for _ in range(self.count):
            if at + fixed > size:
                raise ProtocolError(f"an entry at {at} of a frame of {size} bytes")
            length, kind, *header = unpack(data, at)
            end = at + 8 + length
            if length < 32 or end > size:
                raise ProtocolError(f"an entry of {length} bytes at {at} of a frame of {size} bytes")
            yield make_event(kind, header, data, at + fixed, end, snapshot)  # type: ignore[arg-type]
            at = end + 7 & ~7
        if at != size:
            raise ProtocolError(f"{size - at} bytes behind the last entry")


def decode_frame(data: bytes) -> Frame:
    """Header and offsets. Raises ProtocolError and UnsupportedVersion."""
    if len(data) < HEADER.size:
        raise ProtocolError(f"a frame of {len(data)} bytes")
    magic, block_length, template, version, epoch, flags, count, sequence, previous = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ProtocolError(f"a frame that starts with {magic:#06x}")
    if version != SCHEMA_VERSION:
        raise UnsupportedVersion(f"frames of schema version {version}, this package reads {SCHEMA_VERSION}")
    entries = HEADER.size + block_length
    if entries > len(data) or block_length < BLOCKS.get(template, 0):
        raise ProtocolError(f"template {template} with a block of {block_length} bytes in {len(data)}")
    return Frame(template, epoch, flags, count, sequence, previous, data, HEADER.size, entries)


def encode_frame(
    template: int,
    epoch: int,
    sequence: int,
    previous: int,
    block: bytes = b"",
    entries: tuple[bytes, ...] = (),
    flags: int = 0,
) -> bytes:
    """A frame as a server makes it."""
    head = HEADER.pack(
        MAGIC, len(block), template, SCHEMA_VERSION, epoch, flags, len(entries), sequence, previous
    )
    return head + block + b"".join(entries)


def encode_entry(kind: int, event: bytes) -> bytes:
    """An entry: prefix, header and body, padding."""
    entry = len(event).to_bytes(2, "little") + bytes([kind]) + bytes(5) + event
    return entry + bytes(-len(entry) % 8)


def _crc_table() -> tuple[int, ...]:
    table = []
    for word in range(256):
        for _ in range(8):
            word = word >> 1 ^ (0x82F63B78 if word & 1 else 0)
        table.append(word)
    return tuple(table)


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), as in checksum frames."""
    word = 0xFFFFFFFF
    for byte in data:
        word = word >> 8 ^ _CRC[(word ^ byte) & 0xFF]
    return word ^ 0xFFFFFFFF
