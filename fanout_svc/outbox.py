"""What waits for one node: the newest delivery per topic and key, in the order the topics came up. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[K, T]):
    """One delivery: of two with one key the one with the larger version counts.

    A `state` says all there is to say under its key: it waits in the place of the one it replaces, so that what changes
    all the time is not overtaken for ever, and it can be asked for again. Anything else waits at the end, because its
    order among the keys tells something.
    """

    key: K
    version: int
    item: T
    state: bool = True


class Outbox(Generic[K, T]):
    """Bounded: above `limit` the oldest are dropped; which states were among them is remembered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[K, Entry[K, T]] = OrderedDict()
        self._lost: OrderedDict[K, None] = OrderedDict()
        self.gaps = 0
        """How many were dropped that were no states: nobody can ask for them again."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def lost(self) -> int:
        """How many states were dropped and have not come again."""
        return len(self._lost)

    def put(self, entry: Entry[K, T]) -> bool:
        """Adds a delivery; returns whether it replaced a waiting one or was itself overtaken.

        Of equal versions the first stays: a repetition knows less.
        """
        waiting = self._entries.get(entry.key)
        if waiting is not None:
            if entry.version > waiting.version:
                self._entries[entry.key] = entry
                if not entry.state:
                    self._entries.move_to_end(entry.key)
            return True
        self._entries[entry.key] = entry
        self._lost.pop(entry.key, None)
        self._drop()
        return False

    def take(self, limit: int) -> list[Entry[K, T]]:
        """Takes up to `limit` deliveries, oldest first."""
        taken: list[Entry[K, T]] = []
        while self._entries and len(taken) < limit:
            taken.append(self._entries.popitem(last=False)[1])
        return taken

    def take_lost(self) -> list[K]:
        """Takes keys of lost states, no more than there is room for; none while the outbox is more than half full."""
        room = self._limit - len(self._entries)
        if room < self._limit // 2:
            return []
        return [self._lost.popitem(last=False)[0] for _ in range(min(room, len(self._lost)))]

    def give_back(self, entries: Sequence[Entry[K, T]]) -> None:
        """Puts what was taken and perhaps not received before everything else, unless a newer one waits already."""
        for entry in reversed(entries):
            waiting = self._entries.get(entry.key)
            if waiting is None or waiting.version < entry.version:
                self._entries[entry.key] = entry
            elif not entry.state:
                continue  # the newer one stays behind what came before it
            self._entries.move_to_end(entry.key, last=False)
        self._drop()

    def _drop(self) -> None:
        while len(self._entries) > self._limit:
            key, dropped = self._entries.popitem(last=False)
            if dropped.state:
                self._lost[key] = None
            else:
                self.gaps += 1
