"""What waits for one node: the newest delivery per topic and key, in the order the topics came up. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One delivery: of two with one key the one with the larger version counts.

    It waits in the place of the one it replaces, so that a topic that changes all the time is not overtaken for ever;
    or at the end, where the order among keys tells something.
    """

    key: Hashable
    version: int
    item: T
    in_place: bool = True


class Outbox(Generic[T]):
    """Bounded: above `limit` the oldest are dropped, and `overflowed` says that the node has to be told everything."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, Entry[T]] = OrderedDict()
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry[T]) -> bool:
        """Adds a delivery; returns whether it replaced a waiting one or was itself overtaken.

        Of equal versions the first stays: a repetition knows less.
        """
        waiting = self._entries.get(entry.key)
        if waiting is not None:
            if entry.version > waiting.version:
                self._entries[entry.key] = entry
                if not entry.in_place:
                    self._entries.move_to_end(entry.key)
            return True
        self._entries[entry.key] = entry
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)
            self.overflowed = True
        return False

    def take(self, limit: int) -> list[Entry[T]]:
        """Takes up to `limit` deliveries, oldest first."""
        taken: list[Entry[T]] = []
        while self._entries and len(taken) < limit:
            taken.append(self._entries.popitem(last=False)[1])
        return taken

    def give_back(self, entries: Sequence[Entry[T]]) -> None:
        """Puts what was taken and perhaps not received before everything else, unless a newer one waits already."""
        for entry in reversed(entries):
            waiting = self._entries.get(entry.key)
            if waiting is None or waiting.version < entry.version:
                self._entries[entry.key] = entry
            self._entries.move_to_end(entry.key, last=False)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)
            self.overflowed = True
