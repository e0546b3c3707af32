"""The event log: records in partitions, in order, kept until trimmed, read by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a partition. Positions are above 0 and grow, not always by 1; one payload may hold many events."""

    position: int
    key: str
    payload: bytes


class EventLog(Protocol):
    """Reads topics. A durably appended record is visible to all readers, in position order: at once in the process that
    appended it, and after `bounds` or `wait` has returned; moments later in others.

    A topic has partitions, numbered from 0; positions and their order belong to one partition. All methods raise
    `kit.errors.Unavailable` while the engine cannot be reached."""

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; stays the same while the log is open."""
        ...

    async def read(self, topic: str, after: int, limit: int, partition: int = 0) -> Sequence[Record]:
        """Up to `limit` records after the position `after`, in order; empty at the end; 0 reads from the start."""
        ...

    async def wait(self, topic: str, after: int, partition: int = 0) -> None:
        """Waits until there is a record after the position `after`."""
        ...

    async def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """The positions of the oldest record kept and of the last; (0, 0) where none was ever appended."""
        ...

    async def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """Deletes records before the position `before`, except the newest: positions are never used again."""
        ...


class ConsumerOffsets(Protocol):
    """Committed positions of groups of readers, for nodes that are newly assigned a partition, and for the lag
    metric."""

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """The last position that a group committed; None where it never did, or where the engine stores none."""
        ...

    async def commit(self, group: str, topic: str, position: int, partition: int = 0) -> None:
        """Commits a position: the group has processed all records up to it."""
        ...

    def leave(self, group: str, topic: str, partition: int = 0) -> None:
        """This process no longer reads the partition for the group, and does not report its lag any more."""
        ...


class Appender(Protocol):
    """Appends records to topics."""

    async def append(self, topic: str, key: str, payload: bytes, partition: int = 0) -> int:
        """Appends a record durably and returns its position. Records of a partition are read in the order appended.

        Where one fails, those that were appended after it, before its caller knew, fail too: none overtakes it.
        """
        ...


class Log(EventLog, Appender, ConsumerOffsets, Protocol):
    """The event log, read and written, with the committed positions of its readers."""
