"""What can be asked of the room: counts now, counts at a version, counts as they change, counts made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from counter_svc import metrics
from counter_svc.config import Config
from counter_svc.consumer import TOPIC
from counter_svc.counts import Counts
from counter_svc.domain import Key, Rebuilt, Totals
from counter_svc.elsewhere import Elsewhere
from counter_svc.errors import Draining, Moved, NotCaughtUp
from counter_svc.everywhere import Everywhere
from counter_svc.ports import CountStores, Peers, Records, SharedCounts
from counter_svc.publisher import Publisher
from counter_svc.shard import Shard, open_shard
from counter_svc.waiting import Watcher, Watchers
from kit.engines import Log
from kit.errors import Overloaded
from kit.target import partition_of

_POLL_SECONDS = 0.02
_LEAST_ROOM = 2_000


class Shards:
    """The counts of all targets: those of the partitions folded here from memory, others as their nodes publish them.

    A partition is folded while the block `folding` runs. It answers from memory once it has reached the end that the
    log had when it came here.
    """

    def __init__(
        self,
        config: Config,
        event_log: Log,
        stores: CountStores,
        records: Records,
        peers: Peers,
        shared: SharedCounts | None = None,
        save_seconds: float | None = None,
    ) -> None:
        """`save_seconds`: how often counts are saved, where not as the settings say for files."""
        self._config = config
        self._log = event_log
        self._stores = stores
        self._records = records
        self._save_seconds = save_seconds or config.save_seconds
        self._partitions = event_log.partitions(TOPIC)
        self._shards: dict[int, Shard] = {}
        self._serving: dict[int, Counts] = {}
        # The counts of the one partition there is: no target has to be looked up.
        self._only: Counts | None = None
        self._watchers = Watchers()
        self._elsewhere = Elsewhere(stores, shared, self._partition)
        self._everywhere = Everywhere(self._shards, records, peers, self._partition)
        self._publisher: Publisher | None = None
        if shared is not None:
            self._publisher = Publisher(shared, config.flush_seconds, max(1_000_000, 4 * config.targets_in_memory))
        self._draining = False
        metrics.SHARDS.set_function(lambda: len(self._shards))
        metrics.IN_MEMORY.set_function(lambda: sum(shard.counts.in_memory for shard in self._shards.values()))
        metrics.FLUSH_WAITING.set_function(lambda: len(self._publisher or ()))

    @asynccontextmanager
    async def folding(self, partition: int) -> AsyncIterator[None]:
        """Folds a partition for the block and leaves it saved. Raises Unavailable where the store is not there."""
        shard = await open_shard(
            partition,
            self._stores.of(partition),
            self._records,
            self._log,
            self._config,
            self._save_seconds,
            told=self._told,
            serving=self._arrange,
            room=self._room,
        )
        self._shards[partition] = shard
        if self._publisher is not None:
            self._publisher.add(shard.counts)
        try:
            async with shard.running():
                yield
        finally:
            del self._shards[partition]
            shard.counts.close()
            self._arrange()
            if self._publisher is not None:
                await self._publisher.release(shard.counts)
            await shard.save()

    def loops(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What has to run beside the partitions: nothing where counts are not shared."""
        if self._publisher is None:
            return {}
        return {"counter sharing": self._publisher.run, "counter watching": self._look_elsewhere}

    def ready(self, keys: Sequence[Key], min_versions: Sequence[int] = ()) -> list[Totals] | None:
        """The counts in order, where all are in memory and at those versions; None otherwise. Never waits."""
        only = self._only
        if only is not None:
            return only.ready(keys, min_versions)
        found: list[Totals] = []
        for place, key in enumerate(keys):
            counts = self._serving.get(self._partition(key))
            ready = counts.ready((key,), min_versions[place : place + 1]) if counts is not None else None
            if ready is None:
                return None
            found += ready
        return found

    async def get(
        self, keys: Sequence[Key], min_versions: Sequence[int] = (), timeout: float | None = None
    ) -> list[Totals]:
        """The counts of the targets in order, each at its least version or a later one.

        Waits at most `timeout` seconds (and never longer than the configured patience); raises `NotCaughtUp` then,
        and Unavailable where they can be read nowhere.
        """
        found = self.ready(keys, min_versions)
        if found is not None:
            return found
        if self._only is not None:
            try:
                return await self._only.get(keys, min_versions, timeout)
            except Moved:
                pass  # then they are elsewhere
        least = dict.fromkeys(keys, 0)
        for key, version in zip(keys, min_versions, strict=False):
            least[key] = max(version, least[key])
        patience = self._config.patience_seconds
        try:
            async with asyncio.timeout(patience if timeout is None else min(timeout, patience)):
                values = await self._collect(least)
        except TimeoutError:
            raise NotCaughtUp("the counts have not reached the version asked for", retry_after=0.1) from None
        return [values[key] for key in keys]

    async def watch(self, keys: Sequence[Key]) -> AsyncIterator[list[tuple[Key, Totals]]]:
        """Yields every target's counts, then what has changed; skips versions rather than fall behind.

        Holds at most one pending entry per target. Raises `Overloaded` above the configured number of watchers and
        `Draining` when the room stops.
        """
        if len(self._watchers) >= self._config.max_watchers:
            raise Overloaded("too many watchers", retry_after=1.0)
        sent: dict[Key, int] = {}
        with self._watchers.added(keys) as watcher:
            while True:
                pending = await watcher.pending()
                if self._draining:
                    raise Draining("counts are not served here any longer", retry_after=0.1)
                now = await self.get(pending)
                # A rebuild may show that a version was too high; what a watcher has seen stays.
                news = [
                    (key, value) for key, value in zip(pending, now, strict=True) if value.version > sent.get(key, -1)
                ]
                if news:
                    sent.update((key, value.version) for key, value in news)
                    yield news
                    await self._pause(watcher)

    async def _look_elsewhere(self) -> None:
        """Looks for news of what is watched and folded elsewhere."""
        seen: dict[Key, int] = {}
        while True:
            await asyncio.sleep(self._config.flush_seconds)
            keys = [key for key in self._watchers.watched() if self._partition(key) not in self._serving]
            found = (await self._elsewhere.published(keys) or {}) if keys else {}
            self._watchers.tell(key for key, value in found.items() if value.version != seen.get(key))
            seen = {key: value.version for key, value in found.items()}

    async def rebuild(self, keys: Sequence[Key] | None, partitions: Sequence[int] = ()) -> Rebuilt:
        """Counts these targets anew, None: all, wherever they are folded; with `partitions` only theirs, and here.

        Waits for partitions that are about to be folded, as long as the patience is. Raises `RecordsUnreachable`, and
        `Moved` where a partition is not folded here. Repeating it is harmless.
        """
        patience = self._config.patience_seconds
        wanted = partitions or range(self._partitions)
        return await self._everywhere.rebuild(keys, wanted, patience, here_only=bool(partitions))

    def drain(self) -> None:
        """Ends all watches with `Draining`."""
        self._draining = True
        self._watchers.wake_all()

    async def _collect(self, least: Mapping[Key, int]) -> dict[Key, Totals]:
        found: dict[Key, Totals] = {}
        question = self._elsewhere.question()
        while True:
            here: dict[Counts, list[Key]] = {}
            away: dict[Key, int] = {}
            for key in least.keys() - found.keys():
                counts = self._serving.get(self._partition(key))
                if counts is None:
                    away[key] = least[key]
                else:
                    here.setdefault(counts, []).append(key)
            if away:
                found.update(await question.ask(away, lambda key: self._partition(key) in self._shards))
            for counts, keys in here.items():
                try:
                    values = await counts.get(keys, [least[key] for key in keys])
                except Moved:
                    continue
                found.update(zip(keys, values, strict=True))
            if len(found) == len(least):
                return found
            await asyncio.sleep(_POLL_SECONDS)

    async def _pause(self, watcher: Watcher) -> None:
        # More changes meet in one answer; the drain does not wait.
        if self._config.watch_seconds and not self._draining:
            await watcher.rest(self._config.watch_seconds)

    def _partition(self, key: Key) -> int:
        return partition_of(*key, self._partitions)

    def _room(self) -> int:
        return max(_LEAST_ROOM, self._config.targets_in_memory // max(1, len(self._shards)))

    def _arrange(self) -> None:
        self._serving = {number: shard.counts for number, shard in self._shards.items() if shard.counts.serving}
        self._only = self._serving.get(0) if self._partitions == 1 else None

    def _told(self, counts: Counts, keys: Iterable[Key], corrected: set[Key]) -> None:
        if self._publisher is not None:
            self._publisher.note(counts, keys, corrected)
        self._watchers.tell(keys)
