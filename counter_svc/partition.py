"""One partition of the log as the node follows it: its counts in memory, kept equal to the log."""

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
from counter_svc.domain import Key, PartitionCounts, Row, Totals
from counter_svc.ports import Records
from counter_svc.publisher import Publisher
from kit.engines import Log
from kit.errors import OutcomeUnknown, Unavailable
from kit.tasks import background, keep_running

log = structlog.get_logger()
_AT_ONCE = 1_000
_LOOK_SECONDS = 2.0
_RECENT = 10_000


class FollowedPartition:
    """The counts of a partition and all that goes on with them.

    Where entries were missed, nothing in memory is believed any more: it is forgotten, and what was there is read
    again from the heads. What else may be wrong in the shared counts is found by a recount of the whole partition.
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
        changed: Callable[[Sequence[tuple[Key, Totals]]], None],
        turned: Callable[[], None],
        watched: Callable[[], Iterable[Key]],
    ) -> None:
        """`changed` is called with targets and their new counts, `turned` where `serving` has changed.

        `watched` gives the targets of this partition that are watched.
        """
        self.number = number
        self.counts = PartitionCounts(config.targets_in_memory)
        self.serving = False
        """Whether memory has caught up with the log, and answers."""
        self._log = event_log
        self._records = records
        self._audit = audit
        self._publisher = publisher
        self._config = config
        self._on_changed = changed
        self._on_turned = turned
        self._watched = watched
        self._recent: dict[Key, None] = {}
        self._unread: dict[Key, None] = {}
        self._recounts_wanted = self._recounts_done = 0
        self._needed = asyncio.Event()
        self._committed = 0
        self._consumer = Consumer(
            event_log,
            number,
            config.records_at_once,
            apply=self._apply,
            missed=self.missed,
            caught_up=self._caught_up,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follows the log for the block, and leaves everything shared and its place on the log saved."""
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "log": self._follow,
            "place": self._keep_committed,
            "repair": self._repair,
        }
        if self._config.drift_seconds:
            loops["drift"] = self._look_for_drift
        try:
            async with background(
                *[keep_running(f"counter {name} {self.number}", loop) for name, loop in loops.items()]
            ):
                yield
        finally:
            with suppress(Unavailable, OutcomeUnknown):
                await self.commit()
            metrics.left(self.number)
            self._log.leave(GROUP, TOPIC, self.number)

    async def read(self, keys: Sequence[Key]) -> dict[Key, Totals]:
        """Reads targets from their heads into memory. Raises `RecordsUnreachable`."""
        generation = self.counts.generation
        with self.counts.pinned(keys):
            values = await self._records.heads(keys)
            self._changed(self.counts.admit(values.items(), generation))
        return {key: max(value, self.counts.peek(key) or value) for key, value in values.items()}

    def correct(self, key: Key, truth: Totals, seen: Totals | None) -> None:
        """Takes the counts of the records, and shares what is right now, whatever is shared."""
        value = self.counts.correct(key, truth, seen)
        self._on_changed([(key, value)])
        if self._publisher is not None:
            self._publisher.add([(key, value)], corrected=True)

    async def share(self) -> None:
        """Shares what has changed, where that can be done now."""
        if self._publisher is not None:
            with suppress(Unavailable, OutcomeUnknown):
                await self._publisher.flush()

    def behind(self, key: Key, truth: Totals) -> None:
        """Takes newer counts that the records have, and shares them."""
        self._changed(self.counts.admit([(key, truth)], self.counts.generation))
        if self._publisher is not None:
            self._publisher.add([(key, self.counts.peek(key) or truth)])

    def missed(self) -> None:
        """Forgets what is in memory and has it read again; and has the shared counts compared with the records."""
        self._unread.update(dict.fromkeys(self.counts.clear()))
        self._unread.update(dict.fromkeys(self._watched()))
        self.recount()

    def recount(self) -> None:
        """Has the whole partition compared with the records soon, where counts are shared."""
        self._recounts_wanted += self._publisher is not None
        self._needed.set()

    async def commit(self) -> None:
        """Saves the place on the log up to which everything is shared. Raises what the log and Redis raise."""
        place = self._consumer.position
        if place <= self._committed or self._recounts_wanted != self._recounts_done:
            return  # a crash before the end of a recount meets its reason again
        if self._publisher is not None:
            await self._publisher.flush()
        await self._log.commit(GROUP, TOPIC, place, self.number)
        self._committed = place

    def _apply(self, rows: Sequence[Row]) -> None:
        changed = self.counts.apply(rows)
        metrics.applied(len(rows), len(changed))
        if changed:
            self._changed(changed)
            if len(self._recent) < _RECENT:
                self._recent.update((key, None) for key, _ in changed)

    def _changed(self, values: Sequence[tuple[Key, Totals]]) -> None:
        if values:
            if self._publisher is not None:
                self._publisher.add(values)
            self._on_changed(values)

    def _caught_up(self) -> None:
        self.serving = True
        self._on_turned()

    async def _follow(self) -> None:
        try:
            await self._consumer.follow()
        except NewerFormat:
            # Counts that cannot be kept up to date are not answered.
            self.serving = False
            self.counts.clear()
            self._on_turned()
            raise

    async def _keep_committed(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._consumer.measure()
            await self.commit()

    async def _repair(self) -> None:
        while True:
            await self._needed.wait()
            self._needed.clear()
            try:
                while self._unread:
                    keys = list(islice(self._unread, _AT_ONCE))
                    await self.read(keys)
                    for key in keys:
                        self._unread.pop(key, None)
                wanted = self._recounts_wanted
                if wanted != self._recounts_done:
                    done = await self._audit.recount_all([self])
                    log.info("recounted", partition=self.number, targets=done.targets, drifted=done.drifted)
                    self._recounts_done = wanted
            except BaseException:
                self._needed.set()
                raise

    async def _look_for_drift(self) -> None:
        while True:
            await asyncio.sleep(self._config.drift_seconds)
            recent, self._recent = list(self._recent), {}
            sample = random.sample(recent, min(self._config.drift_sample, len(recent)))
            metrics.CHECKED.inc((await self._audit.recount(self, sample, "sample")).targets)
