"""What can be asked of the counter: counts now, counts at a version, counts as they change, recounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from counter_svc import metrics
from counter_svc.audit import Audit
from counter_svc.config import Config
from counter_svc.consumer import TOPIC
from counter_svc.domain import Key, Recounted, Totals
from counter_svc.errors import Draining, Moved, NotCaughtUp, RecordsUnreachable
from counter_svc.partition import FollowedPartition
from counter_svc.ports import Peers, Records, SharedCounts
from counter_svc.publisher import Publisher
from counter_svc.waiting import Watchers
from kit.engines import Log
from kit.errors import OutcomeUnknown, Overloaded, Unavailable
from kit.target import partition_of

# How long the log may take to bring a version before the head is read.
_LOG_SECONDS = 0.05
_PAUSE_SECONDS = 0.05
_LEAST_CAPACITY = 2_000


class Counters:
    """The counts of all targets: from memory, from the counts that nodes share, or from the heads of the targets.

    Memory has the partitions of the log that are followed while the block `following` runs, and answers for one once
    it has read what was there. Every answer has a version, and any place may be behind: what is below the version that
    is asked for is asked of the next place, and the head of a target, in the reaction service, is never behind.
    """

    def __init__(
        self, config: Config, event_log: Log, records: Records, peers: Peers, shared: SharedCounts | None = None
    ) -> None:
        self._config = config
        self._log = event_log
        self._records = records
        self._peers = peers
        self._shared = shared
        self._partitions = event_log.partitions(TOPIC)
        self._followed: dict[int, FollowedPartition] = {}
        self._serving: dict[int, FollowedPartition] = {}
        self._watchers = Watchers()
        self._watches = 0
        self._audit = Audit(records, shared, self._partitions)
        self._publisher: Publisher | None = None
        if shared is not None:
            self._publisher = Publisher(
                shared,
                config.flush_seconds,
                4 * config.targets_in_memory,
                in_memory=self._in_memory,
                overflowed=self._recount,
            )
        self._draining = False
        metrics.PARTITIONS.set_function(lambda: len(self._followed))
        metrics.IN_MEMORY.set_function(lambda: sum(len(part.counts) for part in self._followed.values()))
        metrics.PENDING.set_function(lambda: len(self._publisher or ()))

    @asynccontextmanager
    async def following(self, partition: int) -> AsyncIterator[None]:
        """Follows a partition for the block, and leaves everything shared and its place on the log saved."""
        part = self._followed[partition] = FollowedPartition(
            partition,
            self._log,
            self._records,
            self._audit,
            self._publisher,
            self._config,
            changed=self._changed,
            turned=self._arrange,
            watched=lambda: [key for key in self._watchers.watched() if self._partition(key) == partition],
        )
        self._arrange()
        try:
            async with part.running():
                yield
        finally:
            del self._followed[partition]
            self._arrange()

    def loops(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What has to run beside the partitions."""
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {"counter watching": self._look_elsewhere}
        if self._publisher is not None:
            loops["counter sharing"] = self._publisher.run
        return loops

    def ready(self, keys: Sequence[Key], min_versions: Sequence[int] = ()) -> list[Totals] | None:
        """The counts in order, where all are in memory and at those versions; None otherwise. Never waits."""
        serving, partitions = self._serving, self._partitions
        found: list[Totals] = []
        for key in keys:
            part = serving.get(partition_of(*key, partitions))
            value = part.counts.get(key) if part is not None else None
            if value is None:
                return None
            found.append(value)
        for value, least in zip(found, min_versions, strict=False):
            if value.version < least:
                return None
        return found

    async def get(
        self, keys: Sequence[Key], min_versions: Sequence[int] = (), timeout: float | None = None
    ) -> list[Totals]:
        """The counts of the targets in order, each at its least version or a later one.

        Waits at most `timeout` seconds (and never longer than the configured patience). Raises `NotCaughtUp` then, and
        `RecordsUnreachable` where that is why.
        """
        found = self.ready(keys, min_versions)
        if found is not None:
            return found
        least = dict.fromkeys(keys, 0)
        for key, version in zip(keys, min_versions, strict=False):
            least[key] = max(version, least[key])
        patience = self._config.patience_seconds
        values: dict[Key, Totals] = {}
        unreachable: RecordsUnreachable | None = None
        try:
            async with asyncio.timeout(patience if timeout is None else min(timeout, patience)):
                while True:
                    try:
                        await self._look(least, values)
                        unreachable = None
                    except RecordsUnreachable as error:
                        unreachable = error
                    if len(values) == len(least):
                        return [values[key] for key in keys]
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise unreachable or NotCaughtUp(
                "the counts have not reached the version asked for", retry_after=0.1
            ) from None

    async def watch(self, keys: Sequence[Key]) -> AsyncIterator[list[tuple[Key, Totals]]]:
        """Yields every target's counts, then what has changed; skips versions rather than fall behind.

        Has at most one pending entry per target. Raises `Overloaded` above the configured number of watchers and
        `Draining` when the service stops.
        """
        if self._watches >= self._config.max_watchers:
            raise Overloaded("too many watchers", retry_after=1.0)
        self._watches += 1
        sent: dict[Key, int] = {}
        try:
            with self._watchers.added(keys) as watcher:
                while True:
                    pending = await watcher.pending()
                    if self._draining:
                        raise Draining("counts are not served here any longer", retry_after=0.1)
                    now = zip(pending, await self.get(pending), strict=True)
                    # A correction may lower a version; what a watcher has seen stays.
                    changes = [(key, value) for key, value in now if value.version > sent.get(key, -1)]
                    if changes:
                        sent.update((key, value.version) for key, value in changes)
                        yield changes
                        # More changes meet in one answer; the drain does not wait.
                        await watcher.rest(self._config.watch_seconds)
        finally:
            self._watches -= 1

    async def rebuild(self, keys: Sequence[Key] | None, partitions: Sequence[int] = ()) -> Recounted:
        """Compares these targets with their records, None: all, on the nodes that follow their partitions.

        Waits for partitions that change hands, as long as the patience is. With `partitions` only theirs, and here.
        Raises `RecordsUnreachable`, and `Moved` where a partition is not followed. Repeating it is harmless.
        """
        wanted = set(partitions or range(self._partitions))
        if keys is not None:
            wanted &= {self._partition(key) for key in keys}
        until = asyncio.get_running_loop().time() + self._config.patience_seconds
        while True:
            try:
                return await self._rebuild(keys, wanted, here_only=bool(partitions))
            except Moved:
                if partitions or asyncio.get_running_loop().time() > until:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _rebuild(self, keys: Sequence[Key] | None, wanted: set[int], *, here_only: bool) -> Recounted:
        away = wanted - self._followed.keys()
        if away and here_only:
            raise Moved("another node follows this partition now", retry_after=0.5)
        done = [await self._peers.rebuild(away, keys)] if away else []
        here = [part for number, part in self._followed.items() if number in wanted]
        if keys is None and here:
            done.append(await self._audit.recount_all(here))
        for part in here if keys is not None else ():
            own = [key for key in keys or () if self._partition(key) == part.number]
            done.append(await self._audit.recount(part, own))
        return Recounted(sum(one.targets for one in done), sum(one.drifted for one in done))

    def drain(self) -> None:
        """Ends all watches with `Draining`."""
        self._draining = True
        self._watchers.wake_all()

    async def _look(self, least: Mapping[Key, int], found: dict[Key, Totals]) -> None:
        """Looks for the targets that are not found yet, in every place once. Raises `RecordsUnreachable`."""
        await self._look_in_memory(least, found)
        places = (self._look_in_shared, self._read_heads)
        for look in places:
            left = [key for key in least if key not in found]
            if left:
                values = await look(left)
                found.update((key, value) for key, value in values.items() if value.version >= least[key])

    async def _look_in_memory(self, least: Mapping[Key, int], found: dict[Key, Totals]) -> None:
        """Waits a moment for what the log is about to bring of targets that are in memory."""
        left = [key for key in least if key not in found and self._peek(key) is not None]
        with suppress(TimeoutError), self._watchers.added(left) as watcher:
            async with asyncio.timeout(_LOG_SECONDS):
                while left:
                    await watcher.pending()
                    values = [(key, self._peek(key) or Totals()) for key in left]
                    found.update((key, value) for key, value in values if value.version >= least[key])
                    left = [key for key in left if key not in found]

    async def _look_in_shared(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """Those of other nodes' targets that are in the shared counts."""
        away = [key for key in keys if self._partition(key) not in self._serving]
        if away and self._shared is not None:
            with suppress(Unavailable, OutcomeUnknown):
                return await self._shared.get(away)
        return {}

    async def _read_heads(self, keys: Sequence[Key]) -> dict[Key, Totals]:
        """Reads heads: into memory where their partitions are followed here, else into the shared counts."""
        away: list[Key] = []
        here: dict[FollowedPartition, list[Key]] = {}
        for key in keys:
            part = self._serving.get(self._partition(key))
            if part is None:
                away.append(key)
            else:
                here.setdefault(part, []).append(key)
        found: dict[Key, Totals] = {}
        for values in await asyncio.gather(*[part.read(own) for part, own in here.items()]):
            found.update(values)
        if away:
            values = dict(await self._records.heads(away))
            found.update(values)
            if self._shared is not None:
                with suppress(Unavailable, OutcomeUnknown):
                    await self._shared.restore(values)
        return found

    async def _look_elsewhere(self) -> None:
        """Looks for changes of what is watched and followed by other nodes."""
        seen: dict[Key, int] = {}
        while True:
            await asyncio.sleep(self._config.flush_seconds)
            away = [key for key in self._watchers.watched() if self._partition(key) not in self._serving]
            found = dict(await self._look_in_shared(away))
            missing = [key for key in away if key not in found]
            if missing:
                with suppress(RecordsUnreachable):
                    found.update(await self._read_heads(missing))
            self._watchers.changed(key for key, value in found.items() if value.version != seen.get(key))
            seen = {key: value.version for key, value in found.items()}

    def _peek(self, key: Key) -> Totals | None:
        part = self._serving.get(self._partition(key))
        return None if part is None else part.counts.get(key)

    def _partition(self, key: Key) -> int:
        return partition_of(*key, self._partitions)

    def _in_memory(self) -> Iterable[tuple[Key, Totals]]:
        for part in self._serving.values():
            for key in part.counts:
                value = part.counts.peek(key)
                if value is not None and value.version:
                    yield key, value

    def _recount(self) -> None:
        for part in self._followed.values():
            part.recount()

    def _arrange(self) -> None:
        before = self._serving
        self._serving = {number: part for number, part in self._followed.items() if part.serving}
        capacity = max(_LEAST_CAPACITY, self._config.targets_in_memory // max(1, len(self._followed)))
        for part in self._followed.values():
            part.counts.capacity = capacity
        turned: Collection[int] = before.keys() ^ self._serving.keys()
        if turned:  # what changed between the two ways to hear of changes
            self._watchers.changed(key for key in self._watchers.watched() if self._partition(key) in turned)

    def _changed(self, values: Sequence[tuple[Key, Totals]]) -> None:
        self._watchers.changed(key for key, _ in values)
