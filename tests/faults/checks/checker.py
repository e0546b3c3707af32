"""Checks a history and the final state against the invariants. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.faults.checks import final_state as final
from tests.faults.checks import push_rules, session_rules, timeline
from tests.faults.checks.final_state import FinalState
from tests.faults.checks.history import Event
from tests.faults.checks.model import operations_of
from tests.faults.checks.verdict import Verdict


def check(
    events: Sequence[Event], state: FinalState, *, fence_seconds: float = 2.0, killed: Iterable[str] = ()
) -> Verdict:
    """Returns all violations. `fence_seconds`: the time until a replaced session must be silent."""
    verdict = Verdict()
    operations = operations_of(events)
    lines = timeline.timelines(operations)
    for line in lines.values():
        verdict.add(timeline.contradictions(line))
        verdict.add(timeline.different_answers(line))
        verdict.add(timeline.out_of_order(line))
        verdict.add(final.lost_or_doubled(line, state))
    verdict.add(final.records_agree(state))
    verdict.add(final.count_drift(state))
    verdict.add(final.single_in_records(state))
    verdict.add(push_rules.check_pushes(events, lines))
    verdict.add(push_rules.check_reads(events, lines))
    found = session_rules.sockets(events)
    verdict.add(session_rules.versions_going_back(found))
    verdict.add(session_rules.undetected_gaps(found, lines))
    verdict.add(session_rules.concurrent_sessions(found, fence_seconds, killed))
    verdict.seen.update(
        operations=len(operations),
        acked=sum(one.acked for one in operations),
        unknown=sum(one.is_unresolved for one in operations),
        refused=sum(not one.acked and not one.is_unresolved for one in operations),
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
