"""Reads a partition of the reaction log in order, and detects missing entries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from counter_svc import codec, metrics
from counter_svc.domain import Row
from kit.errors import Unavailable
from kit.event_log.dead_letters import DeadLetters
from kit.event_log.ports import Log, Record
from kit.ledger.entry import Arrival, EntrySequence, parse_name

log = structlog.get_logger()
TOPIC = "reactions"
GROUP = "counter"
# Records before the start position that are read again: entries of a shard may be on the log twice, and an entry on the
# log may be a moment ahead of its tables.
_REWIND_RECORDS = 64
# Rows applied before the loop yields to other work of the process; a few milliseconds.
_SLICE = 1_000
# Records appended a moment ago may not be readable yet: so many empty reads, with a pause between them.
_EMPTY_READS = 5
_CHECK_SECONDS = 0.1


class NewerFormat(Unavailable):
    """An entry has a newer format; reading stops here until this node is updated."""


class Consumer:
    """Consumes a partition, from the committed position of the group, or from the end of the log where there is none.

    `apply` gets the rows of every new entry, in order. `on_gap` is called where entries are missing, or where the
    ledger was replaced. `on_caught_up` is called once, when all records that existed at the start have been read.
    """

    def __init__(
        self,
        event_log: Log,
        partition: int,
        records_at_once: int,
        *,
        apply: Callable[[Sequence[Row]], None],
        on_gap: Callable[[], None],
        on_caught_up: Callable[[], None],
    ) -> None:
        self.position = 0
        self._log = event_log
        self._dead_letters = DeadLetters(event_log, GROUP)
        self._partition = partition
        self._records_at_once = records_at_once
        self._apply = apply
        self._on_gap = on_gap
        self._on_caught_up = on_caught_up
        self._entries = EntrySequence()
        self._read_before = 0
        self._caught_up_at: int | None = None

    async def follow(self) -> None:
        """Reads until it is cancelled. Raises `NewerFormat` and what the log raises; may be called again then."""
        if not self.position:
            await self._find_start()
        empty_reads = 0
        while True:
            if await self.poll():
                empty_reads = 0
            elif self._caught_up_at is not None and empty_reads < _EMPTY_READS:
                empty_reads += 1
                await asyncio.sleep(_CHECK_SECONDS)
            else:
                if self._caught_up_at is not None:  # records that existed at the start are gone
                    self._gap("the end of the log cannot be read")
                    self.position = self._caught_up_at
                    self._check_caught_up()
                await self._log.wait(TOPIC, self.position, self._partition)

    async def poll(self) -> int:
        """Reads and applies up to `records_at_once` records; returns how many there were."""
        records = await self._log.read(TOPIC, self.position, self._records_at_once, self._partition)
        rows = 0
        for record in records:
            rows += await self._process(record)
            self.position = record.position
            if rows >= _SLICE:
                rows = 0
                await asyncio.sleep(0)
        if records:
            self._check_caught_up()
        return len(records)

    async def measure(self) -> None:
        """Sets the lag metric, and starts again where the log was replaced."""
        position = self.position
        _, last = await self._log.bounds(TOPIC, self._partition)
        metrics.LAG.labels(self._partition).set(max(0, last - position))
        if last < position:
            self._gap("the log was replaced")
            self.position = last

    async def _find_start(self) -> None:
        oldest, last = await self._log.bounds(TOPIC, self._partition)
        committed = await self._log.committed(GROUP, TOPIC, self._partition)
        start = last if committed is None else committed
        if last < start:
            self._gap("the log was replaced")
            start = max(0, oldest - 1)
        elif oldest > start + 1:
            self._gap("records are gone")
            start = oldest - 1
        self._read_before = start
        self.position = max(0, start - _REWIND_RECORDS)
        self._caught_up_at = last
        self._check_caught_up()

    async def _process(self, record: Record) -> int:
        entry = await self._dead_letters.decoded(TOPIC, self._partition, record, codec.entry_from_record)
        if entry is None:
            # One bad record must not stop the partition.
            metrics.POISON.inc()
            name = parse_name(record.key)
            if name is not None:
                self._entries.advance(name)
            self._gap("a record cannot be read")
            return 0
        if entry.format > codec.FORMAT:
            raise NewerFormat(f"an entry has the format {entry.format}; this version reads up to {codec.FORMAT}")
        arrival = self._entries.advance(entry.name)
        metrics.ENTRIES.labels(arrival.value).inc()
        if arrival is Arrival.OLD:
            return 0
        # The records that are read again may begin in the middle of a sequence.
        if arrival is not Arrival.NEXT and record.position > self._read_before:
            self._gap(f"the next entry is {entry.name}")
        self._apply(entry.rows)
        return len(entry.rows)

    def _gap(self, why: str) -> None:
        log.warning("entries are missing on the log", partition=self._partition, position=self.position, reason=why)
        metrics.GAPS.inc()
        self._on_gap()

    def _check_caught_up(self) -> None:
        if self._caught_up_at is not None and self.position >= self._caught_up_at:
            self._caught_up_at = None
            self._on_caught_up()
