"""The reaction log, folded as it grows, and the counts saved behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from counter_svc import codec, metrics
from counter_svc.counts import Counts
from counter_svc.domain import Batch
from counter_svc.rebuild import Rebuild
from kit.deadletters import DeadLetters
from kit.engines import Log
from kit.eventlog import Record

log = structlog.get_logger()
TOPIC = "reactions"
# Changes folded before other work of the process gets its turn; about a millisecond.
_SLICE = 1_000
# What was appended a moment ago may not be there to read yet.
_LOOKS = 5
_LOOK_SECONDS = 0.1


class Consumer:
    """Follows a partition of the log from the saved position on.

    Where the log no longer has what comes next (trimmed, or replaced by another), goes on with what it has and asks
    for all targets to be counted anew.
    """

    def __init__(self, event_log: Log, partition: int, counts: Counts, rebuild: Rebuild, records_at_once: int) -> None:
        self._log = event_log
        self._dead_letters = DeadLetters(event_log, "counter")
        self._partition = partition
        self._counts = counts
        self._rebuild = rebuild
        self._records_at_once = records_at_once

    async def follow(self) -> None:
        """Folds until it is cancelled."""
        wanted = self._counts.wanted
        await self._find_start()
        growth: asyncio.Task[None] | None = None
        try:
            while True:
                wanted.clear()
                if await self.advance():
                    continue
                if growth is None or growth.done():
                    if growth is not None:
                        growth.result()
                    growth = asyncio.create_task(self._log.wait(TOPIC, self._counts.position, self._partition))
                    growth.add_done_callback(lambda _: wanted.set())
                await wanted.wait()
        finally:
            if growth is not None:
                growth.cancel()

    async def advance(self) -> int:
        """Folds what is there, up to the number of records read at a time; returns how many there were."""
        position = self._counts.position
        records = await self._log.read(TOPIC, position, self._records_at_once, self._partition)
        if not records:
            return 0
        if records[0].position > position + 1:
            oldest, _ = await self._log.bounds(TOPIC, self._partition)
            if oldest > position + 1:
                self._gap(oldest - 1)
        batches: list[Batch] = []
        size = 0
        for record in records:
            batches.append(await self._decoded(record))
            size += len(batches[-1][1])
            if size >= _SLICE:
                await self._absorb(batches)
                batches, size = [], 0
                await asyncio.sleep(0)
        if batches:
            await self._absorb(batches)
        return len(records)

    async def _absorb(self, batches: Sequence[Batch]) -> None:
        done = await self._counts.absorb(batches)
        metrics.folded(done)
        self._rebuild.note(done.changed)
        if done.suspect:
            self._rebuild.suspect(done.suspect)

    async def _find_start(self) -> None:
        position = self._counts.position
        oldest, last = await self._log.bounds(TOPIC, self._partition)
        if last < position:
            log.warning("the log is not the one the counts come from", position=position, last=last)
            self._gap(max(0, oldest - 1))
        elif oldest > position + 1:
            self._gap(oldest - 1)
        if self._counts.position < last and not await self._has_more():
            self._gap(last)
        self._counts.serve_at(last)

    async def _has_more(self) -> bool:
        """Whether the log has anything behind the fold. It may know a last position and have forgotten the record."""
        for _ in range(_LOOKS):
            if await self._log.read(TOPIC, self._counts.position, 1, self._partition):
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    def _gap(self, go_on_at: int) -> None:
        log.warning(
            "log records are gone, counting all targets anew",
            partition=self._partition,
            position=self._counts.position,
            next=go_on_at + 1,
        )
        metrics.GAPS.inc()
        self._counts.skip_to(go_on_at)
        self._rebuild.need_all()

    async def _decoded(self, record: Record) -> Batch:
        batch = await self._dead_letters.decoded(TOPIC, self._partition, record, codec.batch_from_record)
        if batch is None:
            # One bad record must not stop the rest; the records know what was in it.
            metrics.POISON.inc()
            self._counts.skip_to(self._counts.position)  # a crash before the end of the rebuild meets it again
            self._rebuild.need_all()
            return record.position, ()
        return batch
