"""Bugs of the counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from counter_svc import consumer, domain, publisher, service
from counter_svc.adapters import redis_counts
from counter_svc.domain import Row, Totals

_SOMETIMES = 0.2


def counted_twice() -> None:
    """The counts of an entry are doubled now and then, as if they were added instead of absolute."""
    counts: Any = domain.PartitionCounts
    apply = counts.apply

    def again(self: Any, rows: Iterable[Row]) -> Any:
        return apply(self, [(key, version, _doubled(people)) for key, version, people in rows])

    counts.apply = again


def _doubled(people: Mapping[str, int]) -> Mapping[str, int]:
    return {emoji: 2 * count for emoji, count in people.items()} if random.random() < _SOMETIMES else people


def position_before_effect() -> None:
    """A target gets the version of an entry before its counts."""
    counts: Any = domain.PartitionCounts
    apply = counts.apply

    def apart(self: Any, rows: Iterable[Row]) -> Any:
        given = list(rows)
        known = [(key, version, dict((self.peek(key) or Totals()).reactions)) for key, version, _ in given]
        return apply(self, known if random.random() < _SOMETIMES else given)

    counts.apply = apart


def min_version_ignored() -> None:
    """Counts are answered without waiting for the requested version."""
    counters: Any = service.Counters
    ready, get = counters.ready, counters.get
    reader: Any = consumer.Consumer
    poll = reader.poll

    async def late(self: Any) -> Any:
        await asyncio.sleep(0.3)  # a busy machine
        return await poll(self)

    reader.poll = late
    counters.ready = lambda self, keys, min_versions=(): ready(self, keys)
    counters.get = lambda self, keys, min_versions=(), *more, **named: get(self, keys, (), *more, **named)


def counts_not_rebuilt() -> None:
    """Counts that Redis has lost are missing until they change again."""

    async def nothing(*_: Any) -> None:
        return None

    theirs: Any = publisher.Publisher
    shared: Any = redis_counts.RedisCounts
    theirs.check_for_loss = shared.restore = nothing


MUTANTS: Mapping[str, Callable[[], None]] = {
    "counted-twice": counted_twice,
    "position-before-effect": position_before_effect,
    "counts-not-rebuilt": counts_not_rebuilt,
    "min-version-ignored": min_version_ignored,
}
