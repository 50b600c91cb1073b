"""What one connection and a pair of them have in common: a `with` block that closes them, and iteration over what they read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self

from .records import Record


class Records(ABC):
    """Iterates over `read` until it returns None."""

    @abstractmethod
    def read(self, timeout: float | None = None) -> Record | None: ...

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        record = self.read()
        if record is None:
            raise StopIteration
        return record


class AsyncRecords(ABC):
    """The same, to be awaited."""

    @abstractmethod
    async def read(self, timeout: float | None = None) -> Record | None: ...

    @abstractmethod
    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Record]:
        return self

    async def __anext__(self) -> Record:
        record = await self.read()
        if record is None:
            raise StopAsyncIteration
        return record
