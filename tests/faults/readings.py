"""What everyone says at the end, when the dust has settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.model import Key
from tests.faults.timeline import Counts, Timeline
from tests.faults.verdict import Violation

# A version and the counts at it; version -1: the source does not tell.
Counted = tuple[int, Counts]


@dataclass(slots=True)
class Readings:
    """Records counted, records listed, and the counts by who says so (a node, Redis, a socket's last push)."""

    tallies: dict[Key, Counted] = field(default_factory=dict)
    own: dict[tuple[str, str, str], tuple[str, ...]] = field(default_factory=dict)
    reactors: dict[Key, frozenset[tuple[str, str]]] = field(default_factory=dict)
    counts: dict[str, dict[Key, Counted]] = field(default_factory=dict)


def lost_or_doubled(line: Timeline, readings: Readings) -> Iterable[Violation]:
    """I1: the records are what the answered operations made, no less and no more.

    A record that is missing or left over is an answered change that was lost; a version above all answers is a change
    that nobody was told of, or one made twice.
    """
    version, counts = readings.tallies.get(line.key, (0, {}))
    known = line.version
    if version < known:
        yield Violation("I1", line.where, f"lost: answered up to version {known}, the records are at {version}")
    elif version > known and line.exact:
        yield Violation("I3", line.where, f"doubled or refused and made: records at {version}, answered up to {known}")
    for user, way in line.walks.items():
        found = readings.own.get((*line.key, user))
        if found is not None and way.states and not way.wrong and tuple(found) not in way.states:
            expected = " or ".join("+".join(state) or "nothing" for state in sorted(way.states))
            yield Violation("I1", f"{line.where} {user}", f"holds {'+'.join(found) or 'nothing'}, answered: {expected}")
    if line.exact and line.counts.get(known) is not None and version == known and dict(counts) != line.counts[known]:
        yield Violation("I1", line.where, f"records are {counts}, answered changes make {line.counts[known]}")
    listed = readings.reactors.get(line.key)
    if listed is not None and line.exact and not any(way.wrong for way in line.walks.values()):
        expected_rows = {(user, emoji) for user in line.walks for emoji in line.ways(user)[1][-1]}
        if listed != expected_rows:
            more, less = sorted(listed - expected_rows)[:3], sorted(expected_rows - listed)[:3]
            yield Violation("I1", line.where, f"listed but not answered: {more}; answered but not listed: {less}")


def records_agree(readings: Readings) -> Iterable[Violation]:
    """I1: the records counted and the records listed are the same records."""
    for key, listed in readings.reactors.items():
        counts: dict[str, int] = {}
        for _, emoji in listed:
            counts[emoji] = counts.get(emoji, 0) + 1
        if counts != dict(readings.tallies.get(key, (0, {}))[1]):
            yield Violation("I1", "/".join(key), f"listed {counts}, counted {readings.tallies.get(key)}")


def drift(readings: Readings) -> Iterable[Violation]:
    """I2: all counts are the number of records."""
    for source, found in readings.counts.items():
        for key, (version, counts) in found.items():
            where = f"{'/'.join(key)} at {source}"
            truth, records = readings.tallies.get(key, (0, {}))
            if any(count < 0 for count in counts.values()):
                yield Violation("I2", where, f"negative: {counts}")
            if version not in (-1, truth):
                yield Violation("I2", where, f"is at version {version}, the records are at {truth}")
            elif {emoji: count for emoji, count in counts.items() if count} != dict(records):
                yield Violation("I2", where, f"says {dict(counts)}, the records {dict(records)}")


def single_in_records(readings: Readings) -> Iterable[Violation]:
    """I4: nobody holds two reactions where one is allowed."""
    for key, listed in readings.reactors.items():
        if key[1].partition("/")[0] not in ("posts", "comments"):
            continue
        seen: dict[str, int] = {}
        for user, _ in listed:
            seen[user] = seen.get(user, 0) + 1
        for user, times in seen.items():
            if times > 1:
                yield Violation("I4", "/".join(key), f"{user} holds {times} reactions")
