"""A partition of the reaction log, from where the fan-out before this one was, or from its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import structlog

from fanout_svc import codec, metrics
from fanout_svc.config import Config
from fanout_svc.errors import NewerFormat
from fanout_svc.ports import Watch
from fanout_svc.service import Fanout
from kit.clock import Clock
from kit.deadletters import DeadLetters
from kit.engines import Log
from kit.eventlog import Record
from kit.ledger.entry import Arrival, EntryName, Sequence, parse_name
from kit.tasks import background, keep_running

log = structlog.get_logger()
TOPIC = "reactions"
GROUP = "fanout"
# Bytes of records taken in before other work of the process gets its turn; about a millisecond.
_SLICE = 50_000
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
        # Only now: a node that is told the state after the place was taken misses nothing.
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
    """Follows a partition. Of what was there before its place only the state is remembered, not the changes.

    A change before the place reaches its viewers by the greeting they get, which must have the change in it. The
    entries before the place also show which of those behind it are repetitions.
    """

    def __init__(self, event_log: Log, partition: int, fanout: Fanout, clock: Clock, config: Config) -> None:
        self.position = 0
        self._log = event_log
        self._partition = partition
        self._fanout = fanout
        self._clock = clock
        self._config = config
        self._letters = DeadLetters(event_log, GROUP)
        self._sequence = Sequence()
        # The changes of records up to here were told before.
        self._told = 0
        # (when, position): the effect of what was taken in is on its way a window later.
        self._absorbed: deque[tuple[float, int]] = deque()
        self._committed = 0
        self._check_after = 0.0

    async def start(self, known: int) -> None:
        """Takes its place: where the group was, or this node itself (`known`); a little before the end otherwise.

        Where that is too far back to tell every change, everyone is told the current state instead.
        """
        self._fanout.prepare(self._partition)
        oldest, last = await self._log.bounds(TOPIC, self._partition)
        committed = await self._log.committed(GROUP, TOPIC, self._partition)
        self._committed = committed or 0
        place = max(self._committed, known)
        is_known = committed is not None or known > 0
        if is_known and 0 <= last - place <= self._config.catch_up_records:
            self._told = place
            self.position = min(place, self._look_back(place, oldest))
            while self.position < place and await self.advance():
                pass
            self.position = max(self.position, place)
        else:
            self.position = self._look_back(last, oldest)
            if is_known:
                self._fanout.missed(self._partition)

    def _look_back(self, place: int, oldest: int) -> int:
        return max(0, place - self._config.look_back_records, oldest - 1)

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
        if not self._sequence.incarnation and records[0].position > position + 1:
            # Entries that come show themselves what is missing between them, but not what is before the first.
            oldest, _ = await self._log.bounds(TOPIC, self._partition)
            if oldest > position + 1:
                self._gap()
        taken = 0
        for record in records:
            await self._take(record)
            self.position = record.position
            taken += len(record.payload)
            if taken >= _SLICE:
                taken = 0
                await asyncio.sleep(0)
        self._absorbed.append((self._clock.monotonic(), self.position))
        return len(records)

    async def _take(self, record: Record) -> None:
        name = parse_name(record.key)
        if name is None or name.shard != self._partition:
            await self._letters.decoded(TOPIC, self._partition, record, _refuse_name)
            self._fanout.missed(self._partition)
            return
        arrival = self._sequence.arrived(name)
        if arrival is Arrival.OLD:
            metrics.REPEATED.inc()
            return
        if arrival is Arrival.RESET:
            self._restored(name)
        elif arrival is Arrival.GAP:
            self._gap()
        entry = await self._letters.decoded(TOPIC, self._partition, record, self._decode)
        if entry is None:
            # Whatever was in it, everyone is told the current state.
            self._fanout.missed(self._partition)
        elif entry.format > codec.FORMAT:
            raise NewerFormat(f"entry {name} has format {entry.format}, and this version knows {codec.FORMAT}")
        elif record.position > self._told:
            metrics.ENTRIES.inc()
            self._fanout.absorb(self._partition, entry.targets)
        else:
            self._fanout.remember(self._partition, entry.targets)

    def _decode(self, record: Record) -> codec.Entry:
        return codec.entry_from_record(record, self._fanout.interest)

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

    def _restored(self, name: EntryName) -> None:
        log.warning("the ledger is another one, everyone is told the current state", entry=str(name))
        metrics.GAPS.inc()
        self._fanout.restored(self._partition)


def _refuse_name(record: Record) -> None:
    raise codec.Undecodable(f"{record.key[:100]!r} is not the name of an entry of this partition")


async def follow_interest(watch: Watch, fanout: Fanout) -> None:
    """Takes in news of interest until the watch breaks."""
    fanout.restart_interest()
    async with aclosing(watch.news()) as told:
        async for news in told:
            fanout.hear(news)
