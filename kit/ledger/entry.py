"""Entries of a ledger shard, and the names they have on the event log."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Entry(NamedTuple):
    """What one append decided: durable once it stands at its position. Positions of a shard begin at 1, without a gap.

    `stamp` grows strictly within the shard and is about the time in microseconds; `append_id` tells this append from
    any other at the same position; `payload` is the service's event, which is also the record on the event log.
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
    """The name in a record's key; None where it is none."""
    incarnation, _, rest = key.partition("/")
    shard, _, position = rest.partition("/")
    if not (incarnation and shard.isdecimal() and position.isdecimal()):
        return None
    return EntryName(incarnation, int(shard), int(position))


class Arrival(Enum):
    """What a reader of a shard makes of the next record."""

    NEXT = "next"
    # It was read before: drop it.
    OLD = "old"
    # Entries are missing before it: what they changed has to be read from where it is kept.
    GAP = "gap"
    # The ledger is another one: whatever was derived from the one before has to be derived again.
    RESET = "reset"


class Sequence:
    """Follows the entries of one shard, which are on the log at least once and in order. No I/O."""

    def __init__(self, incarnation: str = "", position: int = 0) -> None:
        """Begins behind a position that was saved; without an incarnation whatever comes first is next."""
        self.incarnation = incarnation
        self.position = position

    def arrived(self, name: EntryName) -> Arrival:
        """Takes note of an entry and says what it is; after a gap or a reset it goes on from this entry."""
        if name.incarnation != self.incarnation:
            found = Arrival.RESET if self.incarnation else Arrival.NEXT
        elif name.position <= self.position:
            return Arrival.OLD
        else:
            found = Arrival.NEXT if name.position == self.position + 1 else Arrival.GAP
        self.incarnation, self.position = name.incarnation, name.position
        return found
