"""The event log: facts in the order they happened, in partitions, kept until trimmed, read by position."""

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
    """Reads topics. A record that was appended durably is read by everyone, in position order.

    By the process that appended it and by whoever asked for `bounds` or was told by `wait`, from then on; by others
    moments later.

    A topic has partitions, numbered from 0; positions belong to one of them, and only within one is there an order.
    All methods raise `kit.errors.Unavailable` while the engine cannot be reached.
    """

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; stays the same while the log is open."""
        ...

    async def read(self, topic: str, after: int, limit: int, partition: int = 0) -> Sequence[Record]:
        """Up to `limit` records behind the position `after`, in order; empty at the end, and 0 reads from the start."""
        ...

    async def wait(self, topic: str, after: int, partition: int = 0) -> None:
        """Returns once a record behind the position `after` is there: at once where it is, promptly when it comes."""
        ...

    async def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """The positions of the oldest record kept and of the last; (0, 0) where none was ever appended."""
        ...

    async def trim(self, topic: str, before: int, partition: int = 0) -> None:
        """Forgets records before the position `before`, except the newest: positions are never used again."""
        ...


class Places(Protocol):
    """Remembers how far groups of readers are, for those who take over and for whoever watches the lag."""

    async def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """The position a group has committed last; None where it never did, or where the engine remembers none."""
        ...

    async def commit(self, group: str, topic: str, position: int, partition: int = 0) -> None:
        """Says that a group has worked off everything up to a position."""
        ...

    def leave(self, group: str, topic: str, partition: int = 0) -> None:
        """This process no longer reads the partition for the group: the lag is told by another one."""
        ...


class Appender(Protocol):
    """Writes topics, for facts that are not saved together with a state of their own."""

    async def append(self, topic: str, key: str, payload: bytes, partition: int = 0) -> int:
        """Appends a record durably and returns its position. Records of a partition are read in the order appended."""
        ...
