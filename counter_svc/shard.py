"""One partition of the log as one node counts it: folded, saved, compared with the records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from counter_svc import metrics
from counter_svc.config import Config
from counter_svc.consumer import TOPIC, Consumer
from counter_svc.counts import Counts
from counter_svc.domain import Key
from counter_svc.ports import CountStore, Records
from counter_svc.rebuild import Rebuild
from kit.engines import Log
from kit.target import partition_of
from kit.tasks import background, keep_running

GROUP = "counter"
_LOOK_SECONDS = 1.0


class Shard:
    """The counts of a partition and all that goes on with them. Made by `open_shard`."""

    def __init__(
        self, partition: int, counts: Counts, records: Records, event_log: Log, config: Config, save_seconds: float
    ) -> None:
        self.partition = partition
        self.counts = counts
        self._log = event_log
        self._config = config
        self._save_seconds = save_seconds
        self._told_place = 0
        self.rebuild = Rebuild(counts, records, self._last_position, self._is_own)
        self._consumer = Consumer(event_log, partition, counts, self.rebuild, config.records_at_once)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Folds and saves for the block."""
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "log": self._consumer.follow,
            "save": self._keep_saved,
            "rebuild": self.rebuild.heal,
            "look": self._keep_measured,
        }
        if self._config.drift_seconds:
            loops["drift"] = partial(self.rebuild.look_for_drift, self._config.drift_seconds, self._config.drift_sample)
        try:
            async with background(
                *[keep_running(f"counter {name} {self.partition}", loop) for name, loop in loops.items()]
            ):
                yield
        finally:
            metrics.gone(self.partition)
            self._log.leave(GROUP, TOPIC, self.partition)

    async def save(self) -> None:
        """Saves what has changed."""
        metrics.SAVED.inc(await self.counts.save())

    async def _keep_saved(self) -> None:
        while True:
            await asyncio.sleep(self._save_seconds)
            await self.save()

    async def _keep_measured(self) -> None:
        while True:
            metrics.BEHIND.labels(self.partition).set(max(0, await self._last_position() - self.counts.position))
            metrics.SNAPSHOT_AGE.labels(self.partition).set(self.counts.age)
            await self._tell_place()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _tell_place(self) -> None:
        # The place that counts is saved with the counts; this one is for those who watch the log.
        if self.counts.saved_position > self._told_place:
            place = self.counts.saved_position
            await self._log.commit(GROUP, TOPIC, place, self.partition)
            self._told_place = place

    async def _last_position(self) -> int:
        return (await self._log.bounds(TOPIC, self.partition))[1]

    def _is_own(self, key: Key) -> bool:
        return partition_of(*key, self._log.partitions(TOPIC)) == self.partition


async def open_shard(
    partition: int,
    store: CountStore,
    records: Records,
    event_log: Log,
    config: Config,
    save_seconds: float,
    *,
    told: Callable[[Counts, Iterable[Key], set[Key]], None],
    serving: Callable[[], None],
    room: Callable[[], int],
) -> Shard:
    """The shard as it was saved; the callbacks are those of `Counts`. Raises Unavailable."""
    counts = Counts(store, await store.position(), config, told=told, serving=serving, room=room)
    return Shard(partition, counts, records, event_log, config, save_seconds)
