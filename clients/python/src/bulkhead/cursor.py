"""Where a client has got to, on disk."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from .errors import CursorDamaged

_FORMAT = "bulkhead-cursor-1"


class Origin(NamedTuple):
    """The stream that a place was read from. The place's number means something in it alone."""

    server: str = ""
    instance: str = ""
    epoch: int = 0
    config_hash: str = ""
    session: str = ""  #: the venue's

    def is_elsewhere(self, other: Origin) -> bool:
        """Whether two servers said it, whose epochs have nothing to do with each other."""
        return self.instance != other.instance or (self.server or other.server) != other.server


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the stream: every message up to `sequence` was processed, and of later ones (a message that
    came in part) the events up to (`last_sequence`, `last_index`). Server, instance, epoch and session are those
    under which `sequence` was read."""

    instance: str
    channel: int
    epoch: int
    config_hash: str
    sequence: int
    last_sequence: int
    last_index: int
    #: The venue's session; empty: not known. Files of earlier versions have neither this nor the server.
    session: str = ""
    server: str = ""

    @property
    def origin(self) -> Origin:
        return Origin(self.server, self.instance, self.epoch, self.config_hash, self.session)


class CursorFile:
    """A file that holds one cursor. Whoever reads it after a crash finds the old cursor or the new one,
    whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def load(self) -> Cursor | None:
        """The cursor, None when there is no file. Raises CursorDamaged for anything else than a cursor."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise CursorDamaged(f"{self.path}: {error}") from None
        try:
            fields = json.loads(text)
            if not isinstance(fields, dict) or fields.pop("format", None) != _FORMAT:
                raise ValueError(f"not of the format {_FORMAT}")
            cursor = Cursor(**fields)
            for name, wanted in Cursor.__annotations__.items():
                value = getattr(cursor, name)
                if type(value).__name__ != wanted or (isinstance(value, int) and value < -1):
                    raise ValueError(f"{name} is {value!r}")
        except (ValueError, TypeError) as error:
            raise CursorDamaged(f"{self.path}: {error}; remove it to start without a cursor") from None
        return cursor

    def save(self, cursor: Cursor) -> None:
        """Replaces the file: written beside it, flushed to the disk, renamed, and the folder flushed too."""
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        text = json.dumps({"format": _FORMAT, **asdict(cursor)}) + "\n"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self.path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
