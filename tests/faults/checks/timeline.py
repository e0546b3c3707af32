"""The state of every target at each version, as far as the answers determine it."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.checks.model import Effect, HeldEmoji, Key, Operation, Replay, replay
from tests.faults.checks.verdict import Violation

Counts = Mapping[str, int]


@dataclass(slots=True)
class Timeline:
    """One target. `exact`: the effect of every operation is known, so `counts` has every version."""

    key: Key
    operations: list[Operation]
    replays: dict[str, Replay] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    exact: bool = True
    counts: dict[int, Counts] = field(default_factory=dict)
    _held: dict[str, tuple[list[int], list[HeldEmoji]]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The target in a message."""
        return "/".join(self.key)

    @property
    def version(self) -> int:
        """The highest version that was answered."""
        return max((answer.version for one in self.operations for answer in one.answers), default=0)

    def reactions_of(self, user: str) -> tuple[list[int], list[HeldEmoji]]:
        """The versions at which the reactions of a user changed, and the reactions from each of them on."""
        found = self._held.get(user)
        if found is None:
            held: HeldEmoji = ()
            versions, states = [0], [held]
            for effect in self.effects:
                if effect.user == user:
                    held = tuple(one for one in held if one != effect.removed)
                    held += (effect.added,) if effect.added else ()
                    versions.append(effect.version)
                    states.append(held)
            found = self._held[user] = (versions, states)
        return found

    def held_between(self, user: str, low: int, high: int) -> set[HeldEmoji]:
        """All states of the user's reactions between the versions `low` and `high`."""
        versions, states = self.reactions_of(user)
        begin = bisect_right(versions, low) - 1
        return set(states[begin : bisect_right(versions, high)])


def timelines(operations: Iterable[Operation]) -> dict[Key, Timeline]:
    """The timeline of each target of the operations."""
    found: dict[Key, Timeline] = {}
    for one in operations:
        found.setdefault(one.key, Timeline(one.key, [])).operations.append(one)
    for line in found.values():
        _fill(line)
    return found


def _fill(line: Timeline) -> None:
    by_user: dict[str, list[Operation]] = {}
    for one in line.operations:
        by_user.setdefault(one.user, []).append(one)
    for user, theirs in by_user.items():
        way = line.replays[user] = replay(theirs)
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


def contradictions(line: Timeline) -> Iterable[Violation]:
    """I3: every answer follows from the earlier operations, and no two changes have the same version."""
    for user in line.replays.values():
        for one, why in user.wrong:
            yield Violation("I3", f"{line.where} {one.user}", f"{one.action} {one.emoji} ({one.op_id}): {why}")
    for before, effect in pairwise(line.effects):
        if before.version == effect.version:
            yield Violation("I3", line.where, f"two changes at one version: {before} and {effect}")


def out_of_order(line: Timeline) -> Iterable[Violation]:
    """I3: an operation answered before another was sent has a lower version."""
    made = {effect.version for effect in line.effects} if line.exact else set()
    makers: dict[int, str] = {}
    for effect in line.effects:
        makers[effect.version] = effect.user
    done: list[tuple[float, int]] = []
    highest = 0
    for one in sorted((one for one in line.operations if one.acked), key=lambda one: one.invoked):
        while done and done[0][0] < one.invoked:
            highest = max(highest, heapq.heappop(done)[1])
        version = one.answers[0].version
        changed = one.action == "toggle" and version in made and makers[version] == one.user
        if version < highest or (changed and version == highest):
            yield Violation(
                "I3", line.where, f"{one.op_id} has version {version}, but {highest} was answered before it was sent"
            )
        heapq.heappush(done, (one.answered, version))


def different_answers(line: Timeline) -> Iterable[Violation]:
    """I3: all attempts of one operation get the same answer."""
    for one in line.operations:
        different: Sequence[object] = sorted(set(one.answers))
        if len(different) > 1:
            yield Violation("I3", line.where, f"{one.op_id} ({one.action} {one.emoji} of {one.user}) got {different}")
