"""Model of the reactions of one user on one target; answers and records are compared with it.

It is written from the contract and shares no code with the services.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.faults.checks.history import Event

Key = tuple[str, str]  # tenant, target
HeldEmoji = tuple[str, ...]  # oldest first
SINGLE_CHOICE = ("posts", "comments")
# Unresolved operations of one user on one target up to which all outcomes are tried.
_MAX_UNRESOLVED = 6


class Answer(NamedTuple):
    """The answer of an operation."""

    on: bool
    version: int


class Effect(NamedTuple):
    """One change of the reactions of one user at one version of the target."""

    version: int
    user: str
    added: str
    removed: str


@dataclass(slots=True)
class Operation:
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
        """Whether it has at least one answer."""
        return bool(self.answers)

    @property
    def is_unresolved(self) -> bool:
        """Whether its outcome is unknown."""
        return not self.answers and (self.unknown > 0 or self.pending > 0)


@dataclass(slots=True)
class Replay:
    """A replay of one user's operations on a target. `states`: possible final reactions; `effects` None: uncertain."""

    states: set[HeldEmoji]
    effects: list[Effect] | None
    wrong: list[tuple[Operation, str]]


def operations_of(events: Iterable[Event]) -> list[Operation]:
    """The changes of a history, in the order of their first invocations."""
    found: dict[tuple[str, str, str], Operation] = {}
    attempts: dict[tuple[str, str, int], Operation] = {}
    for event in events:
        if event.what != "change":
            continue
        attempt = (event.op_id, event.connection, event.position)
        if event.kind == "invoke":
            args = event.args
            operation = found.setdefault(
                (args["tenant"], args["target"], event.op_id),
                Operation(
                    event.op_id, args["tenant"], args["target"], args["user"], args["emoji"], args["action"], event.time
                ),
            )
            operation.pending += 1
            attempts[attempt] = operation
            continue
        operation = attempts.pop(attempt)
        operation.pending -= 1
        if event.kind == "ok":
            if not operation.answers:
                operation.answered = event.time
            operation.answers.append(Answer(bool(event.result["on"]), int(event.result["version"])))
        elif event.kind == "fail":
            operation.refused += 1
        else:
            operation.unknown += 1
    return list(found.values())


def single_choice(target: str) -> bool:
    """Whether a user has at most one reaction on the target."""
    return target.partition("/")[0] in SINGLE_CHOICE


def step(single: bool, held: HeldEmoji, action: str, emoji: str) -> tuple[bool, list[tuple[str, str]]]:
    """The result of an action: whether the emoji is on afterwards, and (added, removed) of each version it makes."""
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


def apply_changes(held: HeldEmoji, facts: Sequence[tuple[str, str]]) -> HeldEmoji:
    """The reactions after these changes."""
    for added, removed in facts:
        held = tuple(one for one in held if one != removed) + ((added,) if added else ())
    return held


def replay(operations: Sequence[Operation]) -> Replay:
    """Replays the operations of one user on one target in the order of their answered versions.

    An unresolved operation may have happened at any point, or never.
    """
    single = single_choice(operations[0].target)
    unknown = [one for one in operations if one.is_unresolved]
    certain = not unknown
    if len(unknown) > _MAX_UNRESOLVED:
        return Replay(set(), None, [])
    effects: list[Effect] = []
    wrong: list[tuple[Operation, str]] = []
    ways: set[tuple[HeldEmoji, frozenset[int]]] = {((), frozenset(range(len(unknown))))}
    last = 0
    for one in _by_version(operations, single):
        answer = one.answers[0]
        reached: set[tuple[HeldEmoji, frozenset[int]]] = set()
        facts: list[tuple[str, str]] = []
        for held, left in _with_unresolved(ways, unknown, single):
            on, facts_here = step(single, held, one.action, one.emoji)
            if on != answer.on or (facts_here and answer.version <= last):
                continue
            facts = facts_here
            reached.add((apply_changes(held, facts_here), left))
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
    states = {held for held, _ in _with_unresolved(ways, unknown, single)}
    return Replay(states, effects if certain else None, wrong)


def _by_version(operations: Sequence[Operation], single: bool) -> list[Operation]:
    """Acked operations by version; within a version first the one that made it, then those that changed nothing."""
    ordered: list[Operation] = []
    groups: dict[int, list[Operation]] = {}
    for one in operations:
        if one.acked:
            groups.setdefault(one.answers[0].version, []).append(one)
    held: HeldEmoji = ()
    for version in sorted(groups):
        group = sorted(groups[version], key=lambda one: (one.action != "toggle", one.invoked))
        makers = [one for one in group if step(single, held, one.action, one.emoji)[1]]
        first = next(
            (one for one in makers if _rest_changes_nothing(single, held, one, group)),
            makers[0] if makers else group[0],
        )
        group.remove(first)
        for one in (first, *group):
            held = apply_changes(held, step(single, held, one.action, one.emoji)[1])
            ordered.append(one)
    return ordered


def _rest_changes_nothing(single: bool, held: HeldEmoji, first: Operation, group: Sequence[Operation]) -> bool:
    """Whether no other operation of the group changes anything after `first`."""
    then = apply_changes(held, step(single, held, first.action, first.emoji)[1])
    return not any(step(single, then, one.action, one.emoji)[1] for one in group if one is not first)


def _with_unresolved(
    ways: set[tuple[HeldEmoji, frozenset[int]]], unknown: Sequence[Operation], single: bool
) -> set[tuple[HeldEmoji, frozenset[int]]]:
    """These states, and those in which some of the unresolved operations have happened."""
    found = set(ways)
    fresh = list(ways)
    while fresh:
        held, left = fresh.pop()
        for at in left:
            one = unknown[at]
            way = (apply_changes(held, step(single, held, one.action, one.emoji)[1]), left - {at})
            if way not in found:
                found.add(way)
                fresh.append(way)
    return found
