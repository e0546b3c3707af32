"""The state of the system at the end of a run, and the rules for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.checks.model import Key
from tests.faults.checks.timeline import Counts, Timeline
from tests.faults.checks.verdict import Violation

# A version and its counts; version -1: the source has none.
VersionedCounts = tuple[int, Counts]


@dataclass(slots=True)
class FinalState:
    """Tallies and lists of the records, and counts by source (a node, Redis, the last push of a socket)."""

    tallies: dict[Key, VersionedCounts] = field(default_factory=dict)
    own: dict[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    reactors: dict[Key, frozenset[tuple[str, str]]] = field(default_factory=dict)
    counts: dict[str, dict[Key, VersionedCounts]] = field(default_factory=dict)


def lost_or_doubled(line: Timeline, state: FinalState) -> Iterable[Violation]:
    """I1: the records are exactly the result of the answered operations.

    A missing or extra record is an answered change that was lost; a version above all answers is a change without an
    answer, or one made twice.
    """
    version, counts = state.tallies.get(line.key, (0, {}))
    known = line.version
    if version < known:
        yield Violation("I1", line.where, f"lost: answered up to version {known}, the records are at {version}")
    elif version > known and line.exact:
        yield Violation("I3", line.where, f"doubled or refused and made: records at {version}, answered up to {known}")
    for user, way in line.replays.items():
        found = state.own.get((*line.key, user))
        if found is not None and way.states and not way.wrong and tuple(found) not in way.states:
            expected = " or ".join("+".join(state) or "nothing" for state in sorted(way.states))
            yield Violation("I1", f"{line.where} {user}", f"holds {'+'.join(found) or 'nothing'}, answered: {expected}")
    if line.exact and line.counts.get(known) is not None and version == known and dict(counts) != line.counts[known]:
        yield Violation("I1", line.where, f"records are {counts}, answered changes make {line.counts[known]}")
    listed = state.reactors.get(line.key)
    if listed is not None and line.exact and not any(way.wrong for way in line.replays.values()):
        expected_rows = {(user, emoji) for user in line.replays for emoji in line.reactions_of(user)[1][-1]}
        if listed != expected_rows:
            more, less = sorted(listed - expected_rows)[:3], sorted(expected_rows - listed)[:3]
            yield Violation("I1", line.where, f"listed but not answered: {more}; answered but not listed: {less}")


def records_agree(state: FinalState) -> Iterable[Violation]:
    """I1: tallies and lists have the same records."""
    for key, listed in state.reactors.items():
        counts: dict[str, int] = {}
        for _, emoji in listed:
            counts[emoji] = counts.get(emoji, 0) + 1
        if counts != dict(state.tallies.get(key, (0, {}))[1]):
            yield Violation("I1", "/".join(key), f"listed {counts}, counted {state.tallies.get(key)}")


def count_drift(state: FinalState) -> Iterable[Violation]:
    """I2: every count is the number of records."""
    for source, found in state.counts.items():
        for key, (version, counts) in found.items():
            where = f"{'/'.join(key)} at {source}"
            truth, records = state.tallies.get(key, (0, {}))
            if any(count < 0 for count in counts.values()):
                yield Violation("I2", where, f"negative: {counts}")
            if version not in (-1, truth):
                yield Violation("I2", where, f"is at version {version}, the records are at {truth}")
            elif {emoji: count for emoji, count in counts.items() if count} != dict(records):
                yield Violation("I2", where, f"says {dict(counts)}, the records {dict(records)}")


def single_in_records(state: FinalState) -> Iterable[Violation]:
    """I4: no user has two reactions on a single-choice target."""
    for key, listed in state.reactors.items():
        if key[1].partition("/")[0] not in ("posts", "comments"):
            continue
        seen: dict[str, int] = {}
        for user, _ in listed:
            seen[user] = seen.get(user, 0) + 1
        for user, times in seen.items():
            if times > 1:
                yield Violation("I4", "/".join(key), f"{user} holds {times} reactions")
