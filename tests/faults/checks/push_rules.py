"""Rules for pushes and reads during a run."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.faults.checks.history import Event
from tests.faults.checks.model import Effect, HeldEmoji, Key, single_choice
from tests.faults.checks.timeline import Timeline
from tests.faults.checks.verdict import Rule, Violation


def counts_of(reactions: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The counts of a frame."""
    return {str(one["emoji"]): int(one["count"]) for one in reactions}


def check_pushes(events: Iterable[Event], lines: Mapping[Key, Timeline]) -> Iterable[Violation]:
    """I2, I4: a push has the counts of an existing version; an own push has the whole effect of the user's change."""
    effects: dict[Key, dict[int, Effect]] = {}
    for event in events:
        if event.kind != "push":
            continue
        tenant, frame = str(event.args["tenant"]), event.result
        if event.what == "reaction_update":
            line = lines.get((tenant, str(frame["topic"])))
            if line is not None:
                yield from _check_counts(
                    line, int(frame["version"]), counts_of(frame.get("reactions") or ()), event.connection
                )
        elif event.what == "own_reaction_update":
            key = (tenant, str(frame["target"]))
            line = lines.get(key)
            if line is None or not line.exact:
                continue
            if key not in effects:
                effects[key] = {effect.version: effect for effect in line.effects}
            pushed = Effect(
                int(frame["version"]),
                str(frame["topic"]).removeprefix("users/"),
                str(frame.get("added") or ""),
                str(frame.get("removed") or ""),
            )
            if effects[key].get(pushed.version) != pushed:
                rule: Rule = "I4" if single_choice(line.key[1]) else "I3"
                where = f"{line.where} on {event.connection}"
                yield Violation(rule, where, f"pushed {pushed}, the answer was {effects[key].get(pushed.version)}")


def _check_counts(line: Timeline, version: int, counts: Mapping[str, int], by: str) -> Iterable[Violation]:
    if any(count < 0 for count in counts.values()):
        yield Violation("I2", f"{line.where} by {by}", f"negative: {counts}")
    if not line.exact:
        return
    expected = line.counts.get(version)
    if expected is None:
        if version > line.version:
            yield Violation("I1", f"{line.where} by {by}", f"has version {version}, which is in no answer")
        else:
            # An answered change of two versions: no operation asked for the state between them.
            rule: Rule = "I4" if single_choice(line.key[1]) else "I3"
            yield Violation(rule, f"{line.where} by {by}", f"has version {version}, which no change made")
    elif dict(counts) != dict(expected):
        yield Violation("I2", f"{line.where} by {by}", f"has {dict(counts)} at {version}, expected {expected}")


def check_reads(events: Sequence[Event], lines: Mapping[Key, Timeline]) -> Iterable[Violation]:
    """I2, I4: a read is at least as new as requested and as earlier answers, and its content existed."""
    invocations: dict[tuple[str, str, int], Event] = {}
    answered = _AnsweredVersions(lines)
    for event in events:
        if event.what not in ("counts", "own"):
            continue
        attempt = (event.op_id, event.connection, event.position)
        if event.kind == "invoke":
            invocations[attempt] = event
            continue
        invocation = invocations.pop(attempt)
        if event.kind != "ok":
            continue
        tenant, by = str(invocation.args["tenant"]), f"{event.process} {event.what}"
        least = invocation.args.get("min_versions") or {}
        for target, found in event.result["targets"].items():
            line = lines.get((tenant, target))
            if line is None:
                continue
            version = int(found["version"])
            if version < int(least.get(target, 0)):
                yield Violation("I2", f"{line.where} by {by}", f"requested {least[target]}, got {version}")
            if event.what == "counts":
                yield from _check_counts(line, version, found["counts"], by)
            else:
                held: HeldEmoji = tuple(found["emojis"])
                yield from _check_own(
                    line, str(invocation.args["user"]), held, answered.at(line, invocation.time), version
                )


def _check_own(line: Timeline, user: str, held: HeldEmoji, low: int, version: int) -> Iterable[Violation]:
    if single_choice(line.key[1]) and len(held) > 1:
        yield Violation("I4", f"{line.where} {user}", f"holds {held} at {version}")
    way = line.replays.get(user)
    if not line.exact or way is None or way.wrong:
        return
    # The reactions may change between request and answer, but not before or after.
    possible = line.held_between(user, low, max(version, line.version))
    if held not in possible:
        rule: Rule = "I4" if single_choice(line.key[1]) else "I1"
        yield Violation(
            rule, f"{line.where} {user}", f"read {held or 'nothing'} at {version}, possible were {possible}"
        )


class _AnsweredVersions:
    """The highest version of each target that was answered before a time."""

    def __init__(self, lines: Mapping[Key, Timeline]) -> None:
        self._times: dict[Key, list[tuple[float, int]]] = {}
        for key, line in lines.items():
            highest = 0
            times = self._times[key] = [(0.0, 0)]
            for one in sorted((one for one in line.operations if one.acked), key=lambda one: one.answered):
                highest = max(highest, one.answers[0].version)
                times.append((one.answered, highest))

    def at(self, line: Timeline, time: float) -> int:
        """The version of one target before `time`."""
        times = self._times[line.key]
        return times[max(0, bisect_left(times, (time, 0)) - 1)][1]
