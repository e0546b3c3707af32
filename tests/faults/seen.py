"""Rules about what people were shown while it happened: pushes and reads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.faults.history import Event
from tests.faults.model import Effect, Held, Key, single_choice
from tests.faults.timeline import Timeline
from tests.faults.verdict import Rule, Violation


def counted(reactions: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The counts of a frame."""
    return {str(one["emoji"]): int(one["count"]) for one in reactions}


def pushes(events: Iterable[Event], lines: Mapping[Key, Timeline]) -> Iterable[Violation]:
    """I2, I4: a push shows a version that was, with the counts it had; a person's own shows what they did, whole."""
    effects: dict[Key, dict[int, Effect]] = {}
    for event in events:
        if event.kind != "push":
            continue
        tenant, frame = str(event.args["tenant"]), event.result
        if event.what == "reaction_update":
            line = lines.get((tenant, str(frame["topic"])))
            if line is not None:
                yield from _shown(line, int(frame["version"]), counted(frame.get("reactions") or ()), event.connection)
        elif event.what == "own_reaction_update":
            key = (tenant, str(frame["target"]))
            line = lines.get(key)
            if line is None or not line.exact:
                continue
            if key not in effects:
                effects[key] = {effect.version: effect for effect in line.effects}
            told = Effect(
                int(frame["version"]),
                str(frame["topic"]).removeprefix("users/"),
                str(frame.get("added") or ""),
                str(frame.get("removed") or ""),
            )
            if effects[key].get(told.version) != told:
                rule: Rule = "I4" if single_choice(line.key[1]) else "I3"
                where = f"{line.where} on {event.connection}"
                yield Violation(rule, where, f"told {told}, answered was {effects[key].get(told.version)}")


def _shown(line: Timeline, version: int, counts: Mapping[str, int], by: str) -> Iterable[Violation]:
    if any(count < 0 for count in counts.values()):
        yield Violation("I2", f"{line.where} by {by}", f"negative: {counts}")
    if not line.exact:
        return
    expected = line.counts.get(version)
    if expected is None:
        if version > line.version:
            yield Violation("I1", f"{line.where} by {by}", f"shown at version {version}, which nobody was answered")
        else:
            # An answered change that took two versions: between them is a state that nobody asked for.
            rule: Rule = "I4" if single_choice(line.key[1]) else "I3"
            yield Violation(rule, f"{line.where} by {by}", f"shown at version {version}, which no change made")
    elif dict(counts) != dict(expected):
        yield Violation("I2", f"{line.where} by {by}", f"shown {dict(counts)} at {version}, which had {expected}")


def reads(events: Sequence[Event], lines: Mapping[Key, Timeline]) -> Iterable[Violation]:
    """I2, I4: a read is no older than asked for and than what was answered before; what it shows was so."""
    asked: dict[tuple[str, str, int], Event] = {}
    answered = _Answered(lines)
    for event in events:
        if event.what not in ("counts", "own"):
            continue
        attempt = (event.op_id, event.connection, event.position)
        if event.kind == "invoke":
            asked[attempt] = event
            continue
        question = asked.pop(attempt)
        if event.kind != "ok":
            continue
        tenant, by = str(question.args["tenant"]), f"{event.process} {event.what}"
        least = question.args.get("min_versions") or {}
        for target, found in event.result["targets"].items():
            line = lines.get((tenant, target))
            if line is None:
                continue
            version = int(found["version"])
            if version < int(least.get(target, 0)):
                yield Violation("I2", f"{line.where} by {by}", f"asked for {least[target]}, got {version}")
            if event.what == "counts":
                yield from _shown(line, version, found["counts"], by)
            else:
                held: Held = tuple(found["emojis"])
                yield from _own(line, str(question.args["user"]), held, answered.at(line, question.time), version)


def _own(line: Timeline, user: str, held: Held, low: int, version: int) -> Iterable[Violation]:
    if single_choice(line.key[1]) and len(held) > 1:
        yield Violation("I4", f"{line.where} {user}", f"holds {held} at {version}")
    way = line.walks.get(user)
    if not line.exact or way is None or way.wrong:
        return
    # Between asking and answering what is held may change; before and after it may not.
    possible = line.held_between(user, low, max(version, line.version))
    if held not in possible:
        rule: Rule = "I4" if single_choice(line.key[1]) else "I1"
        yield Violation(rule, f"{line.where} {user}", f"read {held or 'nothing'} at {version}, held were {possible}")


class _Answered:
    """The highest version of each target that was answered before a time."""

    def __init__(self, lines: Mapping[Key, Timeline]) -> None:
        self._times: dict[Key, list[tuple[float, int]]] = {}
        for key, line in lines.items():
            highest = 0
            times = self._times[key] = [(0.0, 0)]
            for one in sorted((one for one in line.asked if one.acked), key=lambda one: one.answered):
                highest = max(highest, one.answers[0].version)
                times.append((one.answered, highest))

    def at(self, line: Timeline, time: float) -> int:
        """Of one target, before `time`."""
        times = self._times[line.key]
        return times[max(0, bisect_left(times, (time, 0)) - 1)][1]
