"""Reads a partition of a ledger's log, from the committed position of the group or from the end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Protocol

import structlog

from fanout_svc import metrics
from fanout_svc.config import Config
from fanout_svc.errors import NewerFormat, Undecodable
from fanout_svc.ports import Watch
from fanout_svc.service import Fanout
from kit.clock import Clock
from kit.event_log.dead_letters import DeadLetters
from kit.event_log.ports import Log, Record
from kit.ledger.entry import Arrival, EntryName, EntrySequence, parse_name
from kit.tasks import background, run_with_backoff

log = structlog.get_logger()
GROUP = "fanout"
# Bytes of records processed before the loop yields to other work of the process; about a millisecond.
_SLICE = 50_000
# Interval between checks whether the log was replaced by a shorter one.
_CHECK_SECONDS = 1.0


class Entries(Protocol):
    """What fan-out does with the entries of one topic. Entries of a partition come in order and once."""

    topic: str
    newest_format: int
    """Entries of a later format are not read."""
    is_repeatable: bool
    """Whether the changes of some entries before the start position may be delivered again."""

    def decode(self, record: Record) -> Any:
        """The entry in a record, which has a `format`. Any exception makes the record a dead letter."""
        ...

    async def apply(self, partition: int, entry: Any) -> None:
        """Delivers the changes of an entry. Where it raises, the entry is read again."""
        ...

    def skip(self, partition: int, entry: Any) -> None:
        """Reads an entry whose changes were delivered before."""
        ...

    def reset(self, partition: int) -> None:
        """Entries of the partition are read from another position from now on."""
        ...

    def assign(self, partition: int) -> None:
        """This node delivers the partition from now on."""
        ...

    def revoke(self, partition: int) -> None:
        """Another node delivers the partition from now on."""
        ...

    def mark_gap(self, partition: int) -> None:
        """Entries of the partition were missed."""
        ...

    def ledger_replaced(self, partition: int) -> None:
        """The partition has entries of another ledger."""
        ...


class Consumers:
    """The consumers of the partitions assigned to this node. Remembers the position in partitions it had before."""

    def __init__(
        self, event_log: Log, entries: Entries, synced: Callable[[], Awaitable[None]], clock: Clock, config: Config
    ) -> None:
        """`synced` returns once the subscriptions of all nodes are known: an entry before that would miss some."""
        self._log = event_log
        self._entries = entries
        self._synced = synced
        self._clock = clock
        self._config = config
        self._positions: dict[int, int] = {}

    @asynccontextmanager
    async def of(self, partition: int) -> AsyncIterator[None]:
        """Consumes a partition for the block.

        Where the block fails, the partition stays assigned, so that snapshots are sent until it is entered again.
        """
        topic = self._entries.topic
        await self._synced()
        consumer = Consumer(self._log, partition, self._entries, self._clock, self._config)
        await consumer.start(self._positions.get(partition))
        # Not earlier: a snapshot that is sent after the position was chosen leaves no gap.
        self._entries.assign(partition)
        commits = run_with_backoff(f"fan-out commits of {topic}, partition {partition}", consumer.run_commits)
        try:
            async with background(consumer.follow(), commits):
                yield
            self._entries.revoke(partition)
        finally:
            self._positions[partition] = consumer.position
            self._log.leave(GROUP, topic, partition)


class Consumer:
    """Consumes one partition. Of entries before the start position only the heads are used, not the changes.

    A change before the start position reaches subscribers by their snapshots, which must include it. The entries
    before the start position also show which of the later ones are repeated.
    """

    def __init__(self, event_log: Log, partition: int, entries: Entries, clock: Clock, config: Config) -> None:
        self.position = 0
        self._log = event_log
        self._topic = entries.topic
        self._partition = partition
        self._entries = entries
        self._clock = clock
        self._config = config
        self._dead_letters = DeadLetters(event_log, GROUP)
        self._sequence = EntrySequence()
        # The changes of records up to here were delivered before.
        self._delivered = 0
        # (time, position): the updates of these records may still wait for the end of a window.
        self._unsettled: deque[tuple[float, int]] = deque()
        self._committed = 0
        self._check_after = 0.0

    async def start(self, last_position: int | None = None) -> None:
        """Chooses the start position: the committed one, or this node's own `last_position` where it is later.

        Starts near the end of the log where there is neither, or where it is too far back; in the second case a gap is
        marked.
        """
        self._entries.reset(self._partition)
        oldest, last = await self._log.bounds(self._topic, self._partition)
        committed = await self._log.committed(GROUP, self._topic, self._partition)
        self._committed = committed or 0
        start = max(self._committed, last_position or 0)
        is_known = committed is not None or last_position is not None
        if is_known and 0 <= last - start <= self._config.catch_up_records:
            self._delivered = start
            self.position = min(start, self._look_back(start, oldest))
            while self.position < start and await self.poll():
                pass
            self.position = max(self.position, start)
        else:
            self.position = self._look_back(last, oldest)
            if not self._entries.is_repeatable:
                self._delivered = last
            if is_known:
                self._entries.mark_gap(self._partition)

    def _look_back(self, position: int, oldest: int) -> int:
        return max(0, position - self._config.look_back_records, oldest - 1)

    async def follow(self) -> None:
        """Reads until it is cancelled."""
        while True:
            if not await self.poll():
                await self._log.wait(self._topic, self.position, self._partition)

    async def poll(self) -> int:
        """Reads and applies up to `records_at_once` records; returns how many there were."""
        position = self.position
        records = await self._log.read(self._topic, position, self._config.records_at_once, self._partition)
        if not records:
            await self._check_end(position)
            return 0
        if not self._sequence.incarnation and records[0].position > position + 1:
            # The names of entries show a gap between two of them, but not a gap before the first.
            oldest, _ = await self._log.bounds(self._topic, self._partition)
            if oldest > position + 1:
                self._gap()
        size = 0
        for record in records:
            await self._apply(record)
            self.position = record.position
            size += len(record.payload)
            if size >= _SLICE:
                size = 0
                await asyncio.sleep(0)
        self._unsettled.append((self._clock.monotonic(), self.position))
        return len(records)

    async def _apply(self, record: Record) -> None:
        name = parse_name(record.key)
        if name is None or name.shard != self._partition:
            await self._dead_letters.decoded(self._topic, self._partition, record, _refuse_name)
            self._entries.mark_gap(self._partition)
            return
        arrival = self._sequence.advance(name)
        if arrival is Arrival.OLD:
            metrics.REPEATED.inc()
            return
        if arrival is Arrival.RESET:
            self._ledger_replaced(name)
        elif arrival is Arrival.GAP:
            self._gap()
        entry = await self._dead_letters.decoded(self._topic, self._partition, record, self._entries.decode)
        if entry is None:
            # Its changes are unknown.
            self._entries.mark_gap(self._partition)
        elif entry.format > self._entries.newest_format:
            known = self._entries.newest_format
            raise NewerFormat(f"entry {name} has format {entry.format}, this version reads up to {known}")
        elif record.position > self._delivered:
            metrics.ENTRIES.inc()
            await self._entries.apply(self._partition, entry)
        else:
            self._entries.skip(self._partition, entry)

    async def run_commits(self) -> None:
        """Commits the position of what was read at least a window ago, once per interval, until it is cancelled."""
        while True:
            await asyncio.sleep(self._config.commit_seconds)
            position = self._settled()
            if position > self._committed:
                await self._log.commit(GROUP, self._topic, position, self._partition)
                self._committed = position

    def _settled(self) -> int:
        before = self._clock.monotonic() - self._config.window_seconds
        position = self._committed
        while self._unsettled and self._unsettled[0][0] <= before:
            position = max(position, self._unsettled.popleft()[1])
        if position > self._committed:
            # If the commit fails, the next try must find it again.
            self._unsettled.appendleft((before, position))
        return position

    async def _check_end(self, position: int) -> None:
        now = self._clock.monotonic()
        if now < self._check_after:
            return
        self._check_after = now + _CHECK_SECONDS
        _, last = await self._log.bounds(self._topic, self._partition)
        if last < position:
            self.position = last
            self._committed = 0
            self._unsettled.clear()
            self._gap()

    def _gap(self) -> None:
        log.warning("entries are missing on the log", topic=self._topic, partition=self._partition, at=self.position)
        metrics.GAPS.inc()
        self._entries.mark_gap(self._partition)

    def _ledger_replaced(self, name: EntryName) -> None:
        log.warning("the ledger was replaced", topic=self._topic, partition=self._partition, entry=str(name))
        metrics.GAPS.inc()
        self._entries.ledger_replaced(self._partition)


def _refuse_name(record: Record) -> None:
    raise Undecodable(f"{record.key[:100]!r} is not the name of an entry of this partition")


async def follow_interest(watch: Watch, fanout: Fanout) -> None:
    """Applies changes of nodes and subscriptions until the watch breaks."""
    fanout.restart_interest()
    async with aclosing(watch.deltas()) as deltas:
        async for delta in deltas:
            fanout.apply_delta(delta)
