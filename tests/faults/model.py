"""What operations do to what one person holds on one target: the model that answers and records are held against.

It is written from the contract and shares no code with the services.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.faults.history import Event

Key = tuple[str, str]  # tenant, target
Held = tuple[str, ...]  # oldest first
SINGLE_CHOICE = ("posts", "comments")
# Unresolved operations of one person on one target that are still told apart.
_MOST_UNKNOWN = 6


class Answer(NamedTuple):
    """What an operation was answered."""

    on: bool
    version: int


class Effect(NamedTuple):
    """One change of one person's reactions at one version of the target."""

    version: int
    user: str
    added: str
    removed: str


@dataclass(slots=True)
class Asked:
    """One operation with all of its attempts. Times are those of the first invocation and the first answer."""

    op_id: str
    tenant: str
    target: str
    user: str
    emoji: str
    action: str
    invoked: float
    answered: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    pending: int = 0
    refused: int = 0
    unknown: int = 0

    @property
    def key(self) -> Key:
        """The target with its tenant."""
        return self.tenant, self.target

    @property
    def acked(self) -> bool:
        """Whether it was answered at least once."""
        return bool(self.answers)

    @property
    def open(self) -> bool:
        """Whether nobody can tell if it was done."""
        return not self.answers and (self.unknown > 0 or self.pending > 0)


@dataclass(slots=True)
class Walk:
    """A person's way through a target. `states` are all that may be held at the end; `effects` None: not certain."""

    states: set[Held]
    effects: list[Effect] | None
    wrong: list[tuple[Asked, str]]


def changes(events: Iterable[Event]) -> list[Asked]:
    """The changes of a history, in the order of their first invocations."""
    found: dict[tuple[str, str, str], Asked] = {}
    attempts: dict[tuple[str, str, int], Asked] = {}
    for event in events:
        if event.what != "change":
            continue
        attempt = (event.op_id, event.connection, event.position)
        if event.kind == "invoke":
            args = event.args
            asked = found.setdefault(
                (args["tenant"], args["target"], event.op_id),
                Asked(
                    event.op_id, args["tenant"], args["target"], args["user"], args["emoji"], args["action"], event.time
                ),
            )
            asked.pending += 1
            attempts[attempt] = asked
            continue
        asked = attempts.pop(attempt)
        asked.pending -= 1
        if event.kind == "ok":
            if not asked.answers:
                asked.answered = event.time
            asked.answers.append(Answer(bool(event.result["on"]), int(event.result["version"])))
        elif event.kind == "fail":
            asked.refused += 1
        else:
            asked.unknown += 1
    return list(found.values())


def single_choice(target: str) -> bool:
    """Whether a person holds at most one reaction on the target."""
    return target.partition("/")[0] in SINGLE_CHOICE


def step(single: bool, held: Held, action: str, emoji: str) -> tuple[bool, list[tuple[str, str]]]:
    """What an action does: whether the emoji is held then, and (added, removed) of each version it takes."""
    if action == "clear":
        return False, [("", one) for one in held]
    on = {"toggle": emoji not in held, "add": True, "remove": False}[action]
    if on == (emoji in held):
        return on, []
    if not on:
        return False, [("", emoji)]
    if not single or not held:
        return True, [(emoji, "")]
    *others, last = held
    return True, [*(("", one) for one in others), (emoji, last)]


def after(held: Held, facts: Sequence[tuple[str, str]]) -> Held:
    """What is held after these changes."""
    for added, removed in facts:
        held = tuple(one for one in held if one != removed) + ((added,) if added else ())
    return held


def walk(asked: Sequence[Asked]) -> Walk:
    """Replays one person's operations on one target by the versions they were answered with.

    Operations nobody knows the outcome of may have happened anywhere, or never.
    """
    single = single_choice(asked[0].target)
    unknown = [one for one in asked if one.open]
    certain = not unknown
    if len(unknown) > _MOST_UNKNOWN:
        return Walk(set(), None, [])
    effects: list[Effect] = []
    wrong: list[tuple[Asked, str]] = []
    ways: set[tuple[Held, frozenset[int]]] = {((), frozenset(range(len(unknown))))}
    last = 0
    for one in _in_order(asked, single):
        answer = one.answers[0]
        reached: set[tuple[Held, frozenset[int]]] = set()
        facts: list[tuple[str, str]] = []
        for held, left in _anywhere(ways, unknown, single):
            on, facts_here = step(single, held, one.action, one.emoji)
            if on != answer.on or (facts_here and answer.version <= last):
                continue
            facts = facts_here
            reached.add((after(held, facts_here), left))
        if not reached:
            holds = " or ".join(sorted({"+".join(held) or "nothing" for held, _ in ways}))
            wrong.append((one, f"answered on={answer.on} at {answer.version}, but {one.user} held {holds} before"))
            held = next(iter(ways))[0]
            _, facts = step(single, held, one.action, one.emoji)
            held = tuple(each for each in held if each != one.emoji) + ((one.emoji,) if answer.on else ())
            reached = {(held, left) for _, left in ways}
            certain = False
        ways = reached
        if facts:
            last = answer.version
            first = answer.version - len(facts) + 1
            effects += [Effect(first + at, one.user, *fact) for at, fact in enumerate(facts)]
    states = {held for held, _ in _anywhere(ways, unknown, single)}
    return Walk(states, effects if certain else None, wrong)


def _in_order(asked: Sequence[Asked], single: bool) -> list[Asked]:
    """Acked operations by version; of one version the one that made it comes first, then those that changed nothing."""
    ordered: list[Asked] = []
    groups: dict[int, list[Asked]] = {}
    for one in asked:
        if one.acked:
            groups.setdefault(one.answers[0].version, []).append(one)
    held: Held = ()
    for version in sorted(groups):
        group = sorted(groups[version], key=lambda one: (one.action != "toggle", one.invoked))
        makers = [one for one in group if step(single, held, one.action, one.emoji)[1]]
        first = next((one for one in makers if _rest(single, held, one, group)), makers[0] if makers else group[0])
        group.remove(first)
        for one in (first, *group):
            held = after(held, step(single, held, one.action, one.emoji)[1])
            ordered.append(one)
    return ordered


def _rest(single: bool, held: Held, first: Asked, group: Sequence[Asked]) -> bool:
    """Whether after one operation none of the others changes anything."""
    then = after(held, step(single, held, first.action, first.emoji)[1])
    return not any(step(single, then, one.action, one.emoji)[1] for one in group if one is not first)


def _anywhere(
    ways: set[tuple[Held, frozenset[int]]], unknown: Sequence[Asked], single: bool
) -> set[tuple[Held, frozenset[int]]]:
    """These ways, and those on which some of the unknown operations have happened by now."""
    found = set(ways)
    fresh = list(ways)
    while fresh:
        held, left = fresh.pop()
        for at in left:
            one = unknown[at]
            way = (after(held, step(single, held, one.action, one.emoji)[1]), left - {at})
            if way not in found:
                found.add(way)
                fresh.append(way)
    return found
