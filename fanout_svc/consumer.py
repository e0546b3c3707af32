"""The reaction log, from its end on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import structlog

from fanout_svc import codec, metrics
from fanout_svc.domain import Change
from fanout_svc.ports import Watch
from fanout_svc.service import Fanout
from kit.eventlog import EventLog, Record

log = structlog.get_logger()
TOPIC = "reactions"
# Changes taken in before other work of the process gets its turn; about a millisecond.
_SLICE = 1_000


class Consumer:
    """Follows the log. What was there before the start is only looked at for its versions.

    A change before the start reaches its viewers by the greeting they get; the greeting's counts must have it in them.
    """

    def __init__(self, event_log: EventLog, fanout: Fanout, records_at_once: int, look_back: int) -> None:
        self._log = event_log
        self._fanout = fanout
        self._records_at_once = records_at_once
        self._look_back = look_back
        self._position: int | None = None

    async def follow(self) -> None:
        """Reads until it is cancelled; goes on where it was when it is called again."""
        while True:
            if not await self.advance():
                await self._log.wait(TOPIC, self._position or 0)

    async def advance(self) -> int:
        """Takes in what is there, up to the number of records read at a time; returns how many there were."""
        if self._position is None:
            _, last = await self._log.bounds(TOPIC)
            self._position = max(0, last - self._look_back)
        position = self._position
        records = await self._log.read(TOPIC, position, self._records_at_once)
        if not records:
            await self._check_end(position)
            return 0
        if records[0].position > position + 1:
            oldest, _ = await self._log.bounds(TOPIC)
            if oldest > position + 1:
                self._gap()
        taken = 0
        for record in records:
            changes = self._decode(record)
            self._fanout.absorb(changes)
            self._position = record.position
            metrics.CHANGES.inc(len(changes))
            taken += len(changes)
            if taken >= _SLICE:
                taken = 0
                await asyncio.sleep(0)
        return len(records)

    async def _check_end(self, position: int) -> None:
        _, last = await self._log.bounds(TOPIC)
        if last < position:
            self._position = last
            self._gap()

    def _gap(self) -> None:
        log.warning("log records are gone, everyone is told the current state", position=self._position)
        metrics.GAPS.inc()
        self._fanout.greet_everyone()

    def _decode(self, record: Record) -> list[Change]:
        try:
            return codec.changes_from_record(record)
        except codec.Undecodable:
            # One bad record must not stop the rest.
            log.error("log record cannot be read, skipped", position=record.position)
            self._fanout.greet_everyone()
            return []


async def follow_interest(watch: Watch, fanout: Fanout) -> None:
    """Takes in news of interest until the watch breaks."""
    fanout.restart_interest()
    async with aclosing(watch.news()) as told:
        async for news in told:
            fanout.hear(news)
