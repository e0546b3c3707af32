"""What a change does to a count: the fold of reaction changes, exact under repetition, and never negative."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# (tenant, target), for example ("default", "messages/42").
Key = tuple[str, str]
# (tenant, target, added, removed, version): a plain tuple, because the fold takes them by the million.
Change = tuple[str, str, str, str, int]
# (position, changes): one record of the log.
Batch = tuple[int, Sequence[Change]]


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of one target at one version; version 0: nobody ever reacted.

    `reactions` are (emoji, people) pairs, largest first, then by emoji; people are at least 1.
    """

    version: int = 0
    reactions: tuple[tuple[str, int], ...] = ()


def totals(version: int, counts: Mapping[str, int]) -> Totals:
    """Orders the counts the way readers see them; zero counts are left out."""
    held = [pair for pair in counts.items() if pair[1] > 0]
    held.sort(key=lambda pair: (-pair[1], pair[0]))
    return Totals(version, tuple(held))


@dataclass(slots=True)
class Folded:
    """What one `Fold.fold` did: how many changes were counted, how many were repeats, and what looked wrong."""

    changed: set[Key] = field(default_factory=set)
    counted: int = 0
    repeated: int = 0
    # Targets whose count would have gone below zero, or that met a version below one already counted.
    suspect: set[Key] = field(default_factory=set)
    # Targets whose counts differed from the records' at the same version; they are right now.
    drifted: set[Key] = field(default_factory=set)
    # Of the changed targets, those whose wrong counts had a version that is not below that of the right ones.
    corrected: set[Key] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Targets counted anew, and how many of them had been wrong."""

    targets: int
    drifted: int


class Tally:
    """The running counts of one target.

    `settled`: changes up to this version are known to be in the counts, because these were saved or the records were
    counted at it. Where counts were saved and the log position was not, such changes come again.
    """

    __slots__ = ("counts", "settled", "version", "view")

    def __init__(self, start: Totals) -> None:
        self.version = start.version
        self.counts = dict(start.reactions)
        self.view: Totals | None = start
        self.settled = start.version


class Fold:
    """Counts of the targets in memory, and the log position they are folded to.

    Exactly once has two guards: a record at or below `position` is skipped whole, and a change whose version its
    target has reached is skipped alone. Changed targets stay until `saved` says that they are durable; of the others
    `evict` keeps the latest used. Callers `admit` a target before they fold or read it.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self._tallies: OrderedDict[Key, Tally] = OrderedDict()
        self._dirty: dict[Key, None] = {}
        self._corrected: set[Key] = set()
        self._expected: dict[Key, Totals] = {}

    def __len__(self) -> int:
        return len(self._tallies)

    @property
    def unsaved(self) -> int:
        """How many targets have changed since they were saved."""
        return len(self._dirty)

    @property
    def corrected(self) -> frozenset[Key]:
        """Targets that were saved with wrong counts, at a version that is not below that of the right ones."""
        return frozenset(self._corrected)

    def keys(self) -> list[Key]:
        """The targets in memory."""
        return list(self._tallies)

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """The targets that have to be admitted first."""
        tallies = self._tallies
        return [key for key in keys if key not in tallies]

    def admit(self, key: Key, start: Totals) -> None:
        """Takes a target into memory as it was saved; one that is there already is not touched."""
        if key not in self._tallies:
            self._tallies[key] = Tally(start)

    def version(self, key: Key) -> int | None:
        """The version a target is folded to; None where it is not in memory."""
        tally = self._tallies.get(key)
        return None if tally is None else tally.version

    def totals(self, key: Key) -> Totals | None:
        """The counts of a target; None where it is not in memory."""
        tally = self._tallies.get(key)
        if tally is None:
            return None
        self._tallies.move_to_end(key)
        return tally.view or self._view(tally)

    def peek(self, key: Key) -> Totals | None:
        """As `totals`, and does not keep the target in memory."""
        tally = self._tallies.get(key)
        return None if tally is None else tally.view or self._view(tally)

    def fold(self, batches: Iterable[Batch]) -> Folded:
        """Counts the changes of log records, given in any order; repeated records and changes do nothing."""
        done = Folded()
        changed = done.changed
        tallies = self._tallies
        expected = self._expected
        for position, changes in sorted(batches, key=_position):
            if position <= self.position:
                done.repeated += len(changes)
                continue
            for tenant, target, added, removed, version in changes:
                key = (tenant, target)
                tally = tallies[key]
                if version <= tally.version:
                    done.repeated += 1
                    if version > tally.settled:
                        done.suspect.add(key)
                    continue
                if expected and key in expected and version > expected[key].version:
                    self._compare(key, tally, done)
                counts = tally.counts
                if added:
                    counts[added] = counts.get(added, 0) + 1
                if removed:
                    left = counts.get(removed, 0) - 1
                    if left > 0:
                        counts[removed] = left
                    else:
                        counts.pop(removed, None)
                        if left < 0:
                            done.suspect.add(key)
                tally.version = version
                tally.view = None
                done.counted += 1
                changed.add(key)
            self.position = position
        for key in changed:
            self._dirty[key] = None
            tallies.move_to_end(key)
        if expected:
            self._compare_reached(done)
        return done

    def expect(self, key: Key, truth: Totals) -> Folded | None:
        """Says what the records counted; compared, and where it differs adopted, once the fold has its version.

        Returns what that did where the version is reached already. None: it is compared later, inside `fold`.
        Raises ValueError where the fold is beyond the version; then the records have to be counted again.
        """
        tally = self._tallies[key]
        if truth.version < tally.version:
            raise ValueError(f"folded to {tally.version}, records counted at {truth.version}")
        self._expected[key] = truth
        if truth.version > tally.version:
            return None
        done = Folded()
        self._compare(key, tally, done)
        return done

    def expects(self, key: Key) -> bool:
        """Whether a comparison is still to come."""
        return key in self._expected

    def forget(self, key: Key) -> None:
        """Drops a comparison to come."""
        self._expected.pop(key, None)

    def adopt(self, key: Key, truth: Totals) -> Folded:
        """Takes the records' counts whatever the fold has: for what no log record brings, or not in time.

        A target that was behind the records has not drifted.
        """
        done = Folded()
        tally = self._tallies[key]
        behind = tally.version < truth.version
        self._expected[key] = truth
        self._compare(key, tally, done)
        if behind:
            done.drifted.clear()
        return done

    def unsaved_totals(self) -> dict[Key, Totals]:
        """The counts of the targets that have changed since they were saved; they belong to `position`."""
        tallies = self._tallies
        return {key: tallies[key].view or self._view(tallies[key]) for key in self._dirty}

    def saved(self, totals_by_key: Mapping[Key, Totals]) -> None:
        """Says that these are durable: targets that have not changed again meanwhile may be evicted from now on."""
        for key, durable in totals_by_key.items():
            if self._tallies[key].view is durable:
                self._dirty.pop(key, None)
                self._corrected.discard(key)

    def evict(self, keep: int) -> int:
        """Drops the least recently used of the saved targets until `keep` are left; returns how many."""
        excess = len(self._tallies) - keep
        if excess <= 0:
            return 0
        pinned = self._dirty.keys() | self._expected.keys()
        out: list[Key] = []
        for key in self._tallies:
            if len(out) == excess:
                break
            if key not in pinned:
                out.append(key)
        for key in out:
            del self._tallies[key]
        return len(out)

    @staticmethod
    def _view(tally: Tally) -> Totals:
        tally.view = view = totals(tally.version, tally.counts)
        return view

    def _compare_reached(self, done: Folded) -> None:
        for key in [key for key, truth in self._expected.items() if self._tallies[key].version >= truth.version]:
            self._compare(key, self._tallies[key], done)

    def _compare(self, key: Key, tally: Tally, done: Folded) -> None:
        truth = self._expected.pop(key)
        if (tally.view or self._view(tally)) != truth:
            if tally.version >= truth.version:
                self._corrected.add(key)
                done.corrected.add(key)
            tally.counts = dict(truth.reactions)
            tally.version = truth.version
            tally.view = truth
            self._dirty[key] = None
            done.changed.add(key)
            done.drifted.add(key)
        tally.settled = truth.version


def _position(batch: Batch) -> int:
    return batch[0]
