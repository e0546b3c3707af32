"""Holds a history and the final readings against the invariants. Pure: it asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.faults import readings as final
from tests.faults import seen, sessions, timeline
from tests.faults.history import Event
from tests.faults.model import changes
from tests.faults.readings import Readings
from tests.faults.verdict import Verdict


def check(
    events: Sequence[Event], readings: Readings, *, fence_seconds: float = 2.0, killed: Iterable[str] = ()
) -> Verdict:
    """Everything that did not hold. `fence_seconds`: how long the news of a takeover may take."""
    verdict = Verdict()
    asked = changes(events)
    lines = timeline.timelines(asked)
    for line in lines.values():
        verdict.add(timeline.unexplained(line))
        verdict.add(timeline.two_answers(line))
        verdict.add(timeline.out_of_order(line))
        verdict.add(final.lost_or_doubled(line, readings))
    verdict.add(final.records_agree(readings))
    verdict.add(final.drift(readings))
    verdict.add(final.single_in_records(readings))
    verdict.add(seen.pushes(events, lines))
    verdict.add(seen.reads(events, lines))
    found = sessions.sockets(events)
    verdict.add(sessions.going_back(found))
    verdict.add(sessions.holes(found, lines))
    verdict.add(sessions.two_owners(found, fence_seconds, killed))
    verdict.seen.update(
        operations=len(asked),
        acked=sum(one.acked for one in asked),
        unknown=sum(one.open for one in asked),
        refused=sum(not one.acked and not one.open for one in asked),
        attempts=sum(event.kind == "invoke" and event.what == "change" for event in events),
        inexact=sum(not line.exact for line in lines.values()),
        targets=len(lines),
        pushes=sum(event.kind == "push" for event in events),
        reads=sum(event.kind == "ok" and event.what != "change" for event in events),
        sockets=len(found),
    )
    return verdict


def longest_gap(events: Iterable[Event]) -> float:
    """The longest time without an answered change, in seconds, between the first and the last one."""
    times = sorted(event.time for event in events if event.kind == "ok" and event.what == "change")
    return max((after - before for before, after in pairwise(times)), default=0.0)
