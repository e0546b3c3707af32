"""A partition of the reaction log, from where the fan-out before this one was, or from its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import structlog

from fanout_svc import codec, metrics
from fanout_svc.config import Config
from fanout_svc.domain import Change
from fanout_svc.ports import Watch
from fanout_svc.service import Fanout
from kit.clock import Clock
from kit.deadletters import DeadLetters
from kit.engines import Log
from kit.eventlog import Record
from kit.tasks import background, keep_running

log = structlog.get_logger()
TOPIC = "reactions"
GROUP = "fanout"
# Changes taken in before other work of the process gets its turn; about a millisecond.
_SLICE = 1_000
# How often it is looked whether the log is still the one that was read.
_CHECK_SECONDS = 1.0


class Consumers:
    """The consumers of the partitions that are this node's. What a node has read of a partition it does not forget."""

    def __init__(self, event_log: Log, fanout: Fanout, clock: Clock, config: Config) -> None:
        self._log = event_log
        self._fanout = fanout
        self._clock = clock
        self._config = config
        self._positions: dict[int, int] = {}

    @asynccontextmanager
    async def of(self, partition: int) -> AsyncIterator[None]:
        """Follows a partition for the block.

        Where the block breaks, what can be told without the log is told until it is entered again.
        """
        await self._fanout.synced()  # or those who want what is read first would not hear of it
        consumer = Consumer(self._log, partition, self._fanout, self._clock, self._config)
        await consumer.start(self._positions.get(partition, 0))
        # Only now: whoever is told the state after the place was taken misses nothing.
        self._fanout.follow(partition)
        saving = keep_running(f"fan-out place in {partition}", consumer.keep_committed)
        try:
            async with background(consumer.follow(), saving):
                yield
            self._fanout.unfollow(partition)
        finally:
            self._positions[partition] = consumer.position
            self._log.leave(GROUP, TOPIC, partition)


class Consumer:
    """Follows a partition. What was there before the start is only looked at for its versions.

    A change before the start reaches its viewers by the greeting they get; the greeting's counts must have it in them.
    """

    def __init__(self, event_log: Log, partition: int, fanout: Fanout, clock: Clock, config: Config) -> None:
        self.position = 0
        self._log = event_log
        self._partition = partition
        self._fanout = fanout
        self._clock = clock
        self._config = config
        self._letters = DeadLetters(event_log, GROUP)
        # (when, position): the effect of what was taken in is on its way a window later.
        self._absorbed: deque[tuple[float, int]] = deque()
        self._committed = 0
        self._check_after = 0.0

    async def start(self, known: int) -> None:
        """Takes its place: where the group was, or this node itself (`known`); a little before the end otherwise.

        Who is too far behind to tell every change tells everyone the current state instead.
        """
        _, last = await self._log.bounds(TOPIC, self._partition)
        committed = await self._log.committed(GROUP, TOPIC, self._partition)
        self._committed = committed or 0
        place = max(self._committed, known)
        if (committed is None and not known) or not 0 <= last - place <= self._config.catch_up_records:
            place = max(0, last - self._config.look_back_records)
            if committed is not None or known:
                self._fanout.missed(self._partition)
        self.position = place

    async def follow(self) -> None:
        """Reads until it is cancelled."""
        while True:
            if not await self.advance():
                await self._log.wait(TOPIC, self.position, self._partition)

    async def advance(self) -> int:
        """Takes in what is there, up to the number of records read at a time; returns how many there were."""
        position = self.position
        records = await self._log.read(TOPIC, position, self._config.records_at_once, self._partition)
        if not records:
            await self._check_end(position)
            return 0
        if records[0].position > position + 1:
            oldest, _ = await self._log.bounds(TOPIC, self._partition)
            if oldest > position + 1:
                self._gap()
        taken = 0
        for record in records:
            changes = await self._decode(record)
            self._fanout.absorb(changes)
            self.position = record.position
            metrics.CHANGES.inc(len(changes))
            taken += len(changes)
            if taken >= _SLICE:
                taken = 0
                await asyncio.sleep(0)
        self._absorbed.append((self._clock.monotonic(), self.position))
        return len(records)

    async def keep_committed(self) -> None:
        """Commits what was taken in at least a window ago, about once a second, until it is cancelled."""
        while True:
            await asyncio.sleep(self._config.commit_seconds)
            place = self._settled()
            if place > self._committed:
                await self._log.commit(GROUP, TOPIC, place, self._partition)
                self._committed = place

    def _settled(self) -> int:
        before = self._clock.monotonic() - self._config.window_seconds
        place = self._committed
        while self._absorbed and self._absorbed[0][0] <= before:
            place = max(place, self._absorbed.popleft()[1])
        if place > self._committed:
            # Until it is committed it counts as the oldest of what is not.
            self._absorbed.appendleft((before, place))
        return place

    async def _check_end(self, position: int) -> None:
        now = self._clock.monotonic()
        if now < self._check_after:
            return
        self._check_after = now + _CHECK_SECONDS
        _, last = await self._log.bounds(TOPIC, self._partition)
        if last < position:
            self.position = last
            self._committed = 0
            self._absorbed.clear()
            self._gap()

    def _gap(self) -> None:
        log.warning(
            "log records are gone, everyone is told the current state",
            partition=self._partition,
            position=self.position,
        )
        metrics.GAPS.inc()
        self._fanout.missed(self._partition)

    async def _decode(self, record: Record) -> list[Change]:
        changes = await self._letters.decoded(TOPIC, self._partition, record, codec.changes_from_record)
        if changes is None:
            # Whatever was in it, everyone is told the current state.
            self._fanout.missed(self._partition)
            return []
        return changes


async def follow_interest(watch: Watch, fanout: Fanout) -> None:
    """Takes in news of interest until the watch breaks."""
    fanout.restart_interest()
    async with aclosing(watch.news()) as told:
        async for news in told:
            fanout.hear(news)
