"""What every target looked like at each of its versions, as far as the answers tell."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.model import Asked, Effect, Held, Key, Walk, walk
from tests.faults.verdict import Violation

Counts = Mapping[str, int]


@dataclass(slots=True)
class Timeline:
    """One target. `exact`: the effect of every operation is known, so `counts` has all versions there ever were."""

    key: Key
    asked: list[Asked]
    walks: dict[str, Walk] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    exact: bool = True
    counts: dict[int, Counts] = field(default_factory=dict)
    _held: dict[str, tuple[list[int], list[Held]]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The target in a message."""
        return "/".join(self.key)

    @property
    def version(self) -> int:
        """The highest version that was answered."""
        return max((answer.version for one in self.asked for answer in one.answers), default=0)

    def ways(self, user: str) -> tuple[list[int], list[Held]]:
        """The versions at which what the user held has changed, and what was held from each on."""
        found = self._held.get(user)
        if found is None:
            held: Held = ()
            versions, states = [0], [held]
            for effect in self.effects:
                if effect.user == user:
                    held = tuple(one for one in held if one != effect.removed)
                    held += (effect.added,) if effect.added else ()
                    versions.append(effect.version)
                    states.append(held)
            found = self._held[user] = (versions, states)
        return found

    def held_between(self, user: str, low: int, high: int) -> set[Held]:
        """All that the user held from the version `low` to the version `high`."""
        versions, states = self.ways(user)
        begin = bisect_right(versions, low) - 1
        return set(states[begin : bisect_right(versions, high)])


def timelines(asked: Iterable[Asked]) -> dict[Key, Timeline]:
    """One for each target that somebody asked to change."""
    found: dict[Key, Timeline] = {}
    for one in asked:
        found.setdefault(one.key, Timeline(one.key, [])).asked.append(one)
    for line in found.values():
        _fill(line)
    return found


def _fill(line: Timeline) -> None:
    by_user: dict[str, list[Asked]] = {}
    for one in line.asked:
        by_user.setdefault(one.user, []).append(one)
    for user, theirs in by_user.items():
        way = line.walks[user] = walk(theirs)
        if way.effects is None:
            line.exact = False
        else:
            line.effects += way.effects
    line.effects.sort()
    counts: Counter[str] = Counter()
    line.counts[0] = {}
    for effect in line.effects:
        counts[effect.added] += 1
        counts[effect.removed] -= 1
        line.counts[effect.version] = {emoji: count for emoji, count in counts.items() if emoji and count}


def unexplained(line: Timeline) -> Iterable[Violation]:
    """I3: every answer follows from what was before it, and no two changes share a version."""
    for user in line.walks.values():
        for one, why in user.wrong:
            yield Violation("I3", f"{line.where} {one.user}", f"{one.action} {one.emoji} ({one.op_id}): {why}")
    for before, effect in pairwise(line.effects):
        if before.version == effect.version:
            yield Violation("I3", line.where, f"two changes at one version: {before} and {effect}")


def out_of_order(line: Timeline) -> Iterable[Violation]:
    """I3: what was answered before another operation was asked for comes before it, by version."""
    made = {effect.version for effect in line.effects} if line.exact else set()
    makers: dict[int, str] = {}
    for effect in line.effects:
        makers[effect.version] = effect.user
    done: list[tuple[float, int]] = []
    highest = 0
    for one in sorted((one for one in line.asked if one.acked), key=lambda one: one.invoked):
        while done and done[0][0] < one.invoked:
            highest = max(highest, heapq.heappop(done)[1])
        version = one.answers[0].version
        changed = one.action == "toggle" and version in made and makers[version] == one.user
        if version < highest or (changed and version == highest):
            yield Violation(
                "I3", line.where, f"{one.op_id} has version {version}, but {highest} was answered before it was asked"
            )
        heapq.heappush(done, (one.answered, version))


def two_answers(line: Timeline) -> Iterable[Violation]:
    """I3: one operation has one answer, however often it is asked for."""
    for one in line.asked:
        different: Sequence[object] = sorted(set(one.answers))
        if len(different) > 1:
            yield Violation("I3", line.where, f"{one.op_id} ({one.action} {one.emoji} of {one.user}) got {different}")
