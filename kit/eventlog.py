"""The event log: facts in the order they happened, kept until trimmed, read by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a topic. Positions grow but need not be dense; one payload may hold many events."""

    position: int
    key: str
    payload: bytes


class EventLog(Protocol):
    """Reads topics. A record that was appended durably is read by everyone from then on, in position order.

    All methods raise `kit.errors.Unavailable` while the engine cannot be reached.
    """

    async def read(self, topic: str, after: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records behind the position `after`, in order; empty at the end, and 0 reads from the start."""
        ...

    async def wait(self, topic: str, after: int) -> None:
        """Returns once a record behind the position `after` is there: at once where it is, promptly when it comes."""
        ...

    async def bounds(self, topic: str) -> tuple[int, int]:
        """The positions of the oldest record kept and of the last; (0, 0) where none was ever appended."""
        ...

    async def trim(self, topic: str, before: int) -> None:
        """Forgets records before the position `before`, except the newest: positions are never used again."""
        ...


class Appender(Protocol):
    """Writes topics, for facts that are not saved together with a state of their own."""

    async def append(self, topic: str, key: str, payload: bytes) -> int:
        """Appends a record durably and returns its position. Records of one key are read in the order appended."""
        ...
