"""Bugs of the counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from counter_svc import counts, domain, publisher, service
from counter_svc.adapters import redis_counts, sqlite


def counted_twice() -> None:
    """A record that the log brings again is counted again."""
    fold: Any = domain.Fold
    once = fold.fold

    def again(self: Any, batches: Iterable[domain.Batch]) -> domain.Folded:
        given = sorted(batches, key=lambda batch: batch[0])
        done: domain.Folded = once(self, given)
        if given and random.random() < 0.05:
            self.position = given[0][0] - 1
            for key in done.changed:
                self._tallies[key].version = 0
            once(self, given)
        return done

    fold.fold = again


def position_before_effect() -> None:
    """The position is saved before what was folded up to it."""
    store: Any = sqlite.SqliteCountStore
    save = store.save

    async def apart(self: Any, totals: Any, position: int, *more: Any) -> None:
        await save(self, {}, position, *more)
        await asyncio.sleep(1.0)  # a slow disk
        await save(self, totals, position, *more)

    store.save = apart


def min_version_ignored() -> None:
    """Counts are answered as they stand, whatever version was asked for."""
    shards: Any = service.Shards
    ready, get = shards.ready, shards.get
    theirs: Any = counts.Counts
    absorb = theirs.absorb

    async def late(self: Any, batches: Any) -> Any:
        await asyncio.sleep(0.3)  # a busy machine
        return await absorb(self, batches)

    theirs.absorb = late
    shards.ready = lambda self, keys, min_versions=(): ready(self, keys)
    shards.get = lambda self, keys, min_versions=(), *more, **named: get(self, keys, (), *more, **named)


def counts_not_rebuilt() -> None:
    """What Redis has lost stays lost until it changes again."""
    theirs: Any = publisher.Publisher

    async def put(self: Any, values: Any, corrected: Any) -> bool:
        await self._shared.put(values, [key for key in values if key in corrected])
        return False

    async def restore(self: Any, totals: Any) -> None:
        return None

    shared: Any = redis_counts.RedisCounts
    theirs._put, shared.restore = put, restore


BUGS: Mapping[str, Callable[[], None]] = {
    "counted-twice": counted_twice,
    "position-before-effect": position_before_effect,
    "counts-not-rebuilt": counts_not_rebuilt,
    "min-version-ignored": min_version_ignored,
}
