"""The counts of targets in memory: the newest version wins, the least recently used go first."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

# (tenant, target), for example ("default", "messages/42").
Key = tuple[str, str]
# (key, version, people by emoji): one target of a log record, after its changes.
Row = tuple[Key, int, Mapping[str, int]]


class Totals(NamedTuple):
    """The counts of one target at one version; version 0: nobody ever reacted.

    `reactions` are (emoji, people) pairs, largest first, then by emoji; people are at least 1.
    """

    version: int = 0
    reactions: tuple[tuple[str, int], ...] = ()


def totals(version: int, counts: Mapping[str, int]) -> Totals:
    """Orders the counts the way readers see them; zero counts are left out."""
    held = [pair for pair in counts.items() if pair[1] > 0]
    if len(held) > 1:
        held.sort(key=lambda pair: (-pair[1], pair[0]))
    return Totals(version, tuple(held))


@dataclass(frozen=True, slots=True)
class Recounted:
    """Targets compared with their records, and how many of them were wrong."""

    targets: int
    drifted: int


class PartitionCounts:
    """The counts of the targets of one partition of the log, at most `capacity` of them.

    Rows carry absolute counts, so a row can be applied any number of times and in any order: only a higher version
    changes anything. A target that is not here is read from elsewhere and admitted; `pinned` targets are not evicted,
    so that an older state that is read meanwhile cannot take the place of a newer one that was evicted.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # Values that were read before the last `clear` are not admitted after it.
        self.generation = 0
        self._held: OrderedDict[Key, Totals] = OrderedDict()
        self._pins: Counter[Key] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._held)

    def get(self, key: Key) -> Totals | None:
        """The counts of a target, which stays in memory for it; None where it is not there."""
        value = self._held.get(key)
        if value is not None:
            self._held.move_to_end(key)
        return value

    def peek(self, key: Key) -> Totals | None:
        """As `get`, and does not keep the target in memory."""
        return self._held.get(key)

    def apply(self, rows: Iterable[Row]) -> list[tuple[Key, Totals]]:
        """Takes the rows of a log record and returns what they changed."""
        held = self._held
        changed: list[tuple[Key, Totals]] = []
        for key, version, counts in rows:
            before = held.get(key)
            if before is None or version > before.version:
                held[key] = value = totals(version, counts)
                held.move_to_end(key)
                changed.append((key, value))
        self._evict()
        return changed

    def admit(self, values: Iterable[tuple[Key, Totals]], generation: int) -> list[tuple[Key, Totals]]:
        """Takes values that were read elsewhere, asked for in `generation`; returns those that changed something."""
        if generation != self.generation:
            return []
        changed: list[tuple[Key, Totals]] = []
        for key, value in values:
            before = self._held.get(key)
            if before is None or value.version > before.version:
                self._held[key] = value
                if before is not None or value.version:
                    changed.append((key, value))
        self._evict()
        return changed

    def correct(self, key: Key, truth: Totals, seen: Totals | None) -> Totals:
        """Takes the counts of the records, whatever version is here, unless it is not the one `seen` before they were
        counted. Returns what is here now."""
        before = self._held.get(key)
        if before is None or before == seen or before.version <= truth.version:
            self._held[key] = truth
            self._evict()
            return truth
        return before

    def clear(self) -> list[Key]:
        """Forgets everything; returns the targets that were here."""
        keys = list(self._held)
        self._held.clear()
        self.generation += 1
        return keys

    @contextmanager
    def pinned(self, keys: Sequence[Key]) -> Iterator[None]:
        """Keeps targets from being evicted for the block, also those that come meanwhile."""
        self._pins.update(keys)
        try:
            yield
        finally:
            self._pins.subtract(keys)
            for key in keys:
                if self._pins[key] <= 0:
                    del self._pins[key]

    def _evict(self) -> None:
        excess = len(self._held) - self.capacity
        if excess <= 0:
            return
        out: list[Key] = []
        for key in self._held:
            if len(out) == excess:
                break
            if key not in self._pins:
                out.append(key)
        for key in out:
            del self._held[key]
