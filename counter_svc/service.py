"""The operations of the counter: counts now, counts at a version, watches, recounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from counter_svc import metrics
from counter_svc.audit import Audit
from counter_svc.config import Config
from counter_svc.consumer import TOPIC
from counter_svc.domain import Recounted, Totals
from counter_svc.errors import Draining, Moved, NotCaughtUp, RecordsUnreachable
from counter_svc.partition import AssignedPartition
from counter_svc.ports import Peers, Records, SharedCounts
from counter_svc.publisher import Publisher
from counter_svc.watchers import Watchers
from kit.errors import OutcomeUnknown, Overloaded, Unavailable
from kit.event_log.ports import Log
from kit.target import partition_of
from kit.tenant_keys import TargetKey

# How long a read waits for the log to bring a version before it reads the head.
_LOG_SECONDS = 0.05
_PAUSE_SECONDS = 0.05
_MIN_CAPACITY = 2_000


class Counters:
    """The counts of all targets: from memory, from the counts that nodes share, or from the heads of the targets.

    Memory holds the partitions that are assigned to this node, from the moment the log was read to its end. Every
    answer has a version, and each source may lag: targets below the requested version are read from the next
    source. The last source, the head of a target in reaction_svc, never lags.
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
        self._assigned: dict[int, AssignedPartition] = {}
        self._serving: dict[int, AssignedPartition] = {}
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
        metrics.PARTITIONS.set_function(lambda: len(self._assigned))
        metrics.IN_MEMORY.set_function(lambda: sum(len(part.counts) for part in self._assigned.values()))
        metrics.PENDING.set_function(lambda: len(self._publisher or ()))

    @asynccontextmanager
    async def consuming(self, partition: int) -> AsyncIterator[None]:
        """Consumes a partition for the block; at its end, shares all changes and commits the position."""
        part = self._assigned[partition] = AssignedPartition(
            partition,
            self._log,
            self._records,
            self._audit,
            self._publisher,
            self._config,
            on_change=self._changed,
            on_serving_change=self._update_serving,
            watched=lambda: [key for key in self._watchers.watched() if self._partition(key) == partition],
        )
        self._update_serving()
        try:
            async with part.running():
                yield
        finally:
            del self._assigned[partition]
            self._update_serving()

    def loops(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """The loops that are independent of partitions."""
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {"counter watches": self._poll_remote}
        if self._publisher is not None:
            loops["counter sharing"] = self._publisher.run
        return loops

    def ready(self, keys: Sequence[TargetKey], min_versions: Sequence[int] = ()) -> list[Totals] | None:
        """The counts in order, where all are in memory and at those versions; None otherwise. Never waits."""
        serving, partitions = self._serving, self._partitions
        found: list[Totals] = []
        for key in keys:
            part = serving.get(partition_of(*key, partitions))
            value = part.counts.get(key) if part is not None else None
            if value is None:
                return None
            found.append(value)
        for value, version in zip(found, min_versions, strict=False):
            if value.version < version:
                return None
        return found

    async def get(
        self, keys: Sequence[TargetKey], min_versions: Sequence[int] = (), timeout: float | None = None
    ) -> list[Totals]:
        """The counts of the targets in order, each at its minimum version or a later one.

        Waits at most `timeout` seconds, and at most `wait_seconds`. Then raises `NotCaughtUp`, or
        `RecordsUnreachable` where that is the reason.
        """
        found = self.ready(keys, min_versions)
        if found is not None:
            return found
        wanted = dict.fromkeys(keys, 0)
        for key, version in zip(keys, min_versions, strict=False):
            wanted[key] = max(version, wanted[key])
        longest = self._config.wait_seconds
        values: dict[TargetKey, Totals] = {}
        unreachable: RecordsUnreachable | None = None
        try:
            async with asyncio.timeout(longest if timeout is None else min(timeout, longest)):
                while True:
                    try:
                        await self._find(wanted, values)
                        unreachable = None
                    except RecordsUnreachable as error:
                        unreachable = error
                    if len(values) == len(wanted):
                        return [values[key] for key in keys]
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            raise unreachable or NotCaughtUp(
                "the counts have not reached the version asked for", retry_after=0.1
            ) from None

    async def watch(self, keys: Sequence[TargetKey]) -> AsyncIterator[list[tuple[TargetKey, Totals]]]:
        """Yields the counts of every target, then changes. Skips versions when the caller reads slowly.

        At most one change per target is pending. Raises `Overloaded` above the configured number of watchers and
        `Draining` when the service stops.
        """
        if self._watches >= self._config.max_watchers:
            raise Overloaded("too many watchers", retry_after=1.0)
        self._watches += 1
        sent: dict[TargetKey, int] = {}
        try:
            with self._watchers.added(keys) as watcher:
                while True:
                    pending = await watcher.pending()
                    if self._draining:
                        raise Draining("counts are not served here any longer", retry_after=0.1)
                    now = zip(pending, await self.get(pending), strict=True)
                    # A correction may lower a version; a watcher never sees a lower one.
                    changes = [(key, value) for key, value in now if value.version > sent.get(key, -1)]
                    if changes:
                        sent.update((key, value.version) for key, value in changes)
                        yield changes
                        # So that more changes fit in one answer; a drain ends the pause.
                        await watcher.pause(self._config.watch_seconds)
        finally:
            self._watches -= 1

    async def rebuild(self, keys: Sequence[TargetKey] | None, partitions: Sequence[int] = ()) -> Recounted:
        """Compares targets (None: all) with their records, on the nodes that their partitions are assigned to.

        Waits up to `wait_seconds` for partitions that are moving. With `partitions`, only these, and only on this
        node. Raises `RecordsUnreachable`, and `Moved` where a partition is not assigned. Repeating it is harmless.
        """
        chosen = set(partitions or range(self._partitions))
        if keys is not None:
            chosen &= {self._partition(key) for key in keys}
        until = asyncio.get_running_loop().time() + self._config.wait_seconds
        while True:
            try:
                return await self._rebuild(keys, chosen, local_only=bool(partitions))
            except Moved:
                if partitions or asyncio.get_running_loop().time() > until:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _rebuild(self, keys: Sequence[TargetKey] | None, chosen: set[int], *, local_only: bool) -> Recounted:
        remote = chosen - self._assigned.keys()
        if remote and local_only:
            raise Moved("this partition is assigned to another node now", retry_after=0.5)
        done = [await self._peers.rebuild(remote, keys)] if remote else []
        local = [part for number, part in self._assigned.items() if number in chosen]
        if keys is None and local:
            done.append(await self._audit.recount_all(local))
        for part in local if keys is not None else ():
            own = [key for key in keys or () if self._partition(key) == part.number]
            done.append(await self._audit.recount(part, own))
        return Recounted(sum(one.targets for one in done), sum(one.drifted for one in done))

    def drain(self) -> None:
        """Ends all watches with `Draining`."""
        self._draining = True
        self._watchers.wake_all()

    async def _find(self, wanted: Mapping[TargetKey, int], found: dict[TargetKey, Totals]) -> None:
        """Reads the targets that are not in `found` from every source once. Raises `RecordsUnreachable`."""
        await self._find_in_memory(wanted, found)
        for read in (self._find_shared, self._read_heads):
            missing = [key for key in wanted if key not in found]
            if missing:
                values = await read(missing)
                found.update((key, value) for key, value in values.items() if value.version >= wanted[key])

    async def _find_in_memory(self, wanted: Mapping[TargetKey, int], found: dict[TargetKey, Totals]) -> None:
        """Waits a moment for versions of targets in memory that the log is about to bring."""
        missing = [key for key in wanted if key not in found and self._peek(key) is not None]
        with suppress(TimeoutError), self._watchers.added(missing) as watcher:
            async with asyncio.timeout(_LOG_SECONDS):
                while missing:
                    await watcher.pending()
                    values = [(key, self._peek(key) or Totals()) for key in missing]
                    found.update((key, value) for key, value in values if value.version >= wanted[key])
                    missing = [key for key in missing if key not in found]

    async def _find_shared(self, keys: Sequence[TargetKey]) -> Mapping[TargetKey, Totals]:
        """The shared counts of targets that other nodes serve."""
        remote = [key for key in keys if self._partition(key) not in self._serving]
        if remote and self._shared is not None:
            with suppress(Unavailable, OutcomeUnknown):
                return await self._shared.get(remote)
        return {}

    async def _read_heads(self, keys: Sequence[TargetKey]) -> dict[TargetKey, Totals]:
        """Reads heads: into memory where this node serves their partitions, else into the shared counts."""
        remote: list[TargetKey] = []
        local: dict[AssignedPartition, list[TargetKey]] = {}
        for key in keys:
            part = self._serving.get(self._partition(key))
            if part is None:
                remote.append(key)
            else:
                local.setdefault(part, []).append(key)
        found: dict[TargetKey, Totals] = {}
        for values in await asyncio.gather(*[part.read(own) for part, own in local.items()]):
            found.update(values)
        if remote:
            values = dict(await self._records.heads(remote))
            found.update(values)
            if self._shared is not None:
                with suppress(Unavailable, OutcomeUnknown):
                    await self._shared.restore(values)
        return found

    async def _poll_remote(self) -> None:
        """Polls the counts of watched targets that other nodes serve."""
        seen: dict[TargetKey, int] = {}
        while True:
            await asyncio.sleep(self._config.flush_seconds)
            remote = [key for key in self._watchers.watched() if self._partition(key) not in self._serving]
            found = dict(await self._find_shared(remote))
            missing = [key for key in remote if key not in found]
            if missing:
                with suppress(RecordsUnreachable):
                    found.update(await self._read_heads(missing))
            self._watchers.changed(key for key, value in found.items() if value.version != seen.get(key))
            seen = {key: value.version for key, value in found.items()}

    def _peek(self, key: TargetKey) -> Totals | None:
        part = self._serving.get(self._partition(key))
        return None if part is None else part.counts.get(key)

    def _partition(self, key: TargetKey) -> int:
        return partition_of(*key, self._partitions)

    def _in_memory(self) -> Iterable[tuple[TargetKey, Totals]]:
        for part in self._serving.values():
            for key in part.counts:
                value = part.counts.peek(key)
                if value is not None and value.version:
                    yield key, value

    def _recount(self) -> None:
        for part in self._assigned.values():
            part.recount()

    def _update_serving(self) -> None:
        before = self._serving
        self._serving = {number: part for number, part in self._assigned.items() if part.serving}
        capacity = max(_MIN_CAPACITY, self._config.targets_in_memory // max(1, len(self._assigned)))
        for part in self._assigned.values():
            part.counts.capacity = capacity
        moved: Collection[int] = before.keys() ^ self._serving.keys()
        if moved:  # changes that came between the two ways of watching
            self._watchers.changed(key for key in self._watchers.watched() if self._partition(key) in moved)

    def _changed(self, values: Sequence[tuple[TargetKey, Totals]]) -> None:
        self._watchers.changed(key for key, _ in values)
