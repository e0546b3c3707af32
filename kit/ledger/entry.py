"""Entries of a ledger shard, and their names on the event log."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Entry(NamedTuple):
    """The decision of one append, durable at its position. Positions of a shard begin at 1 and have no gap.

    `stamp` grows strictly within the shard and is about the time in microseconds; `append_id` distinguishes appends at
    the same position; `payload` is the event of the service, and the record on the event log.
    """

    position: int
    append_id: str
    stamp: int
    payload: bytes


class EntryName(NamedTuple):
    """The key of an entry's record on the event log. Positions of different incarnations cannot be compared."""

    incarnation: str
    shard: int
    position: int

    def __str__(self) -> str:
        return f"{self.incarnation}/{self.shard}/{self.position}"


def parse_name(key: str) -> EntryName | None:
    """Parses the key of a record; None where it is not the name of an entry."""
    incarnation, _, rest = key.partition("/")
    shard, _, position = rest.partition("/")
    if not (incarnation and shard.isdecimal() and position.isdecimal()):
        return None
    return EntryName(incarnation, int(shard), int(position))


class Arrival(Enum):
    """How the next record of a shard follows the ones before."""

    NEXT = "next"
    # Read before: drop it.
    OLD = "old"
    # Entries before it are missing: read what they changed from the tables.
    GAP = "gap"
    # Another ledger, such as a restored one: rebuild all derived state.
    RESET = "reset"


class EntrySequence:
    """Detects repeated and missing entries of one shard; the log has them in order and at least once. No I/O."""

    def __init__(self, incarnation: str = "", position: int = 0) -> None:
        """Begins after a saved position. Without an incarnation the first entry counts as the next one."""
        self.incarnation = incarnation
        self.position = position

    def advance(self, name: EntryName) -> Arrival:
        """Advances to an entry and returns how it follows; after a gap or a reset it continues from this entry."""
        if name.incarnation != self.incarnation:
            found = Arrival.RESET if self.incarnation else Arrival.NEXT
        elif name.position <= self.position:
            return Arrival.OLD
        else:
            found = Arrival.NEXT if name.position == self.position + 1 else Arrival.GAP
        self.incarnation, self.position = name.incarnation, name.position
        return found
