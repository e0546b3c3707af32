"""The counts of targets in memory: the newest version wins, the least recently used go first."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from kit.tenant_keys import TargetKey

# (key, version, count by emoji): one target of a log record, after its changes.
Row = tuple[TargetKey, int, Mapping[str, int]]


class Totals(NamedTuple):
    """The counts of one target at one version; version 0: no reaction yet.

    `reactions` are (emoji, count) pairs, largest first, then by emoji; counts are at least 1.
    """

    version: int = 0
    reactions: tuple[tuple[str, int], ...] = ()


def totals(version: int, counts: Mapping[str, int]) -> Totals:
    """Orders counts as callers see them; leaves zeros out."""
    nonzero = [pair for pair in counts.items() if pair[1] > 0]
    if len(nonzero) > 1:
        nonzero.sort(key=lambda pair: (-pair[1], pair[0]))
    return Totals(version, tuple(nonzero))


@dataclass(frozen=True, slots=True)
class Recounted:
    """Targets compared with their records, and how many of them were wrong."""

    targets: int
    drifted: int


class PartitionCounts:
    """The counts of the targets of one partition of the log, at most `capacity` of them.

    Rows carry absolute counts, so applying them is idempotent and needs no order: only a higher version changes
    anything. A target that is not in memory is read from another source and admitted. `pinned` targets are not evicted,
    so that an older state that is being read cannot replace a newer one that was evicted meanwhile.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # Values that were requested before the last `clear` are not admitted after it.
        self.generation = 0
        self._totals: OrderedDict[TargetKey, Totals] = OrderedDict()
        self._pins: Counter[TargetKey] = Counter()

    def __len__(self) -> int:
        return len(self._totals)

    def __iter__(self) -> Iterator[TargetKey]:
        return iter(self._totals)

    def get(self, key: TargetKey) -> Totals | None:
        """The counts of a target, which becomes the most recently used; None where it is not in memory."""
        value = self._totals.get(key)
        if value is not None:
            self._totals.move_to_end(key)
        return value

    def peek(self, key: TargetKey) -> Totals | None:
        """As `get`, without counting as a use."""
        return self._totals.get(key)

    def apply(self, rows: Iterable[Row]) -> list[tuple[TargetKey, Totals]]:
        """Applies the rows of a log record and returns the changes."""
        known = self._totals
        changed: list[tuple[TargetKey, Totals]] = []
        for key, version, counts in rows:
            before = known.get(key)
            if before is None or version > before.version:
                known[key] = value = totals(version, counts)
                known.move_to_end(key)
                changed.append((key, value))
        self._evict()
        return changed

    def admit(self, values: Iterable[tuple[TargetKey, Totals]], generation: int) -> list[tuple[TargetKey, Totals]]:
        """Adds values that were read from another source in `generation`; returns the changes."""
        if generation != self.generation:
            return []
        changed: list[tuple[TargetKey, Totals]] = []
        for key, value in values:
            before = self._totals.get(key)
            if before is None or value.version > before.version:
                self._totals[key] = value
                if before is not None or value.version:
                    changed.append((key, value))
        self._evict()
        return changed

    def correct(self, key: TargetKey, truth: Totals, seen: Totals | None) -> Totals:
        """Sets the counts of the records, whatever version is in memory, unless memory has changed since `seen`.
        Returns the counts in memory after it."""
        before = self._totals.get(key)
        if before is None or before == seen or before.version <= truth.version:
            self._totals[key] = truth
            self._evict()
            return truth
        return before

    def clear(self) -> list[TargetKey]:
        """Drops everything; returns the targets."""
        keys = list(self._totals)
        self._totals.clear()
        self.generation += 1
        return keys

    @contextmanager
    def pinned(self, keys: Sequence[TargetKey]) -> Iterator[None]:
        """Keeps targets from being evicted for the block, also those that are added in it."""
        self._pins.update(keys)
        try:
            yield
        finally:
            self._pins.subtract(keys)
            for key in keys:
                if self._pins[key] <= 0:
                    del self._pins[key]

    def _evict(self) -> None:
        excess = len(self._totals) - self.capacity
        if excess <= 0:
            return
        out: list[TargetKey] = []
        for key in self._totals:
            if len(out) == excess:
                break
            if key not in self._pins:
                out.append(key)
        for key in out:
            del self._totals[key]
