"""One assigned partition of the log: its counts in memory, kept equal to the log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any

import structlog

from counter_svc import metrics
from counter_svc.audit import Audit
from counter_svc.config import Config
from counter_svc.consumer import GROUP, TOPIC, Consumer, NewerFormat
from counter_svc.domain import PartitionCounts, Row, Totals
from counter_svc.ports import Records
from counter_svc.publisher import Publisher
from kit.errors import OutcomeUnknown, Unavailable
from kit.event_log.ports import Log
from kit.tasks import background, run_with_backoff
from kit.tenant_keys import TargetKey

log = structlog.get_logger()
_BATCH = 1_000
_CHECK_SECONDS = 2.0
_MAX_RECENT = 10_000


class AssignedPartition:
    """The counts of a partition, and the loops that keep them right.

    After a gap in the log the counts in memory are dropped and read again from the heads; a recount of the whole
    partition finds what else may be wrong in the shared counts.
    """

    def __init__(
        self,
        number: int,
        event_log: Log,
        records: Records,
        audit: Audit,
        publisher: Publisher | None,
        config: Config,
        *,
        on_change: Callable[[Sequence[tuple[TargetKey, Totals]]], None],
        on_serving_change: Callable[[], None],
        watched: Callable[[], Iterable[TargetKey]],
    ) -> None:
        """`on_change` gets targets with their new counts; `watched` returns the watched targets of this partition."""
        self.number = number
        self.counts = PartitionCounts(config.targets_in_memory)
        self.serving = False
        """Whether memory has caught up with the log, so that it can answer."""
        self._log = event_log
        self._records = records
        self._audit = audit
        self._publisher = publisher
        self._config = config
        self._on_change = on_change
        self._on_serving_change = on_serving_change
        self._watched = watched
        self._recent: dict[TargetKey, None] = {}
        self._unread: dict[TargetKey, None] = {}
        self._recounts_requested = self._recounts_done = 0
        self._repair_needed = asyncio.Event()
        self._committed = 0
        self._consumer = Consumer(
            event_log,
            number,
            config.records_at_once,
            apply=self._apply,
            on_gap=self.mark_gap,
            on_caught_up=self._caught_up,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Consumes the log for the block; at its end, shares all changes and commits the position."""
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "log": self._follow,
            "commits": self._run_commits,
            "repair": self._repair,
        }
        if self._config.drift_seconds:
            loops["drift"] = self._check_drift
        try:
            async with background(
                *[run_with_backoff(f"counter {name} {self.number}", loop) for name, loop in loops.items()]
            ):
                yield
        finally:
            with suppress(Unavailable, OutcomeUnknown):
                await self.commit()
            metrics.left(self.number)
            self._log.leave(GROUP, TOPIC, self.number)

    async def read(self, keys: Sequence[TargetKey]) -> dict[TargetKey, Totals]:
        """Reads targets from their heads into memory. Raises `RecordsUnreachable`."""
        generation = self.counts.generation
        with self.counts.pinned(keys):
            values = await self._records.heads(keys)
            self._changed(self.counts.admit(values.items(), generation))
        return {key: max(value, self.counts.peek(key) or value) for key, value in values.items()}

    def correct(self, key: TargetKey, truth: Totals, seen: Totals | None) -> None:
        """See `audit.Audited`."""
        value = self.counts.correct(key, truth, seen)
        self._on_change([(key, value)])
        if self._publisher is not None:
            self._publisher.add([(key, value)], corrected=True)

    async def share(self) -> None:
        """See `audit.Audited`."""
        if self._publisher is not None:
            with suppress(Unavailable, OutcomeUnknown):
                await self._publisher.flush()

    def catch_up(self, key: TargetKey, truth: Totals) -> None:
        """See `audit.Audited`."""
        self._changed(self.counts.admit([(key, truth)], self.counts.generation))
        if self._publisher is not None:
            self._publisher.add([(key, self.counts.peek(key) or truth)])

    def mark_gap(self) -> None:
        """Entries are missing on the log: drops the counts in memory, and schedules their repair and a recount."""
        self._unread.update(dict.fromkeys(self.counts.clear()))
        self._unread.update(dict.fromkeys(self._watched()))
        self.recount()

    def recount(self) -> None:
        """Schedules a recount of the whole partition, where counts are shared."""
        self._recounts_requested += self._publisher is not None
        self._repair_needed.set()

    async def commit(self) -> None:
        """Commits the position up to which all changes are shared. Raises what the log and Redis raise."""
        position = self._consumer.position
        if position <= self._committed or self._recounts_requested != self._recounts_done:
            return  # after a crash, the gap must be found again
        if self._publisher is not None:
            await self._publisher.flush()
        await self._log.commit(GROUP, TOPIC, position, self.number)
        self._committed = position

    def _apply(self, rows: Sequence[Row]) -> None:
        changed = self.counts.apply(rows)
        metrics.applied(len(rows), len(changed))
        if changed:
            self._changed(changed)
            if len(self._recent) < _MAX_RECENT:
                self._recent.update((key, None) for key, _ in changed)

    def _changed(self, values: Sequence[tuple[TargetKey, Totals]]) -> None:
        if values:
            if self._publisher is not None:
                self._publisher.add(values)
            self._on_change(values)

    def _caught_up(self) -> None:
        self.serving = True
        self._on_serving_change()

    async def _follow(self) -> None:
        try:
            await self._consumer.follow()
        except NewerFormat:
            # Counts that are not kept up to date must not be returned.
            self.serving = False
            self.counts.clear()
            self._on_serving_change()
            raise

    async def _run_commits(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            await self._consumer.measure()
            await self.commit()

    async def _repair(self) -> None:
        while True:
            await self._repair_needed.wait()
            self._repair_needed.clear()
            try:
                while self._unread:
                    keys = list(islice(self._unread, _BATCH))
                    await self.read(keys)
                    for key in keys:
                        self._unread.pop(key, None)
                requested = self._recounts_requested
                if requested != self._recounts_done:
                    done = await self._audit.recount_all([self])
                    log.info("recounted", partition=self.number, targets=done.targets, drifted=done.drifted)
                    self._recounts_done = requested
            except BaseException:
                self._repair_needed.set()
                raise

    async def _check_drift(self) -> None:
        while True:
            await asyncio.sleep(self._config.drift_seconds)
            recent, self._recent = list(self._recent), {}
            sample = random.sample(recent, min(self._config.drift_sample, len(recent)))
            metrics.CHECKED.inc((await self._audit.recount(self, sample, "sample")).targets)
