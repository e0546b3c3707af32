"""A partition of the reaction log, read in order; entries that are missing on it are noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from counter_svc import codec, metrics
from counter_svc.domain import Row
from kit.deadletters import DeadLetters
from kit.engines import Log
from kit.errors import Unavailable
from kit.eventlog import Record
from kit.ledger.entry import Arrival, parse_name
from kit.ledger.entry import Sequence as LedgerSequence

log = structlog.get_logger()
TOPIC = "reactions"
GROUP = "counter"
# Records before the start that are read once more: the entries of a shard may be on the log twice, and an entry that is
# there may be a moment ahead of its tables.
_LOOK_BACK = 64
# Rows applied before other work of the process gets its turn; a few milliseconds.
_SLICE = 1_000
# What was appended a moment ago may not be there to read yet.
_LOOKS = 5
_LOOK_SECONDS = 0.1


class NewerFormat(Unavailable):
    """An entry was written by a newer version of the program, and is not understood here."""


class Consumer:
    """Follows a partition, from where its group was, or from the end of a log that remembers no groups.

    `apply` gets the rows of every new entry, in order. `missed` is called where entries were lost, or where the ledger
    is another one. `caught_up` is called once, when everything was read that was there at the start.
    """

    def __init__(
        self,
        event_log: Log,
        partition: int,
        records_at_once: int,
        *,
        apply: Callable[[Sequence[Row]], None],
        missed: Callable[[], None],
        caught_up: Callable[[], None],
    ) -> None:
        self.position = 0
        self._log = event_log
        self._letters = DeadLetters(event_log, GROUP)
        self._partition = partition
        self._records_at_once = records_at_once
        self._apply = apply
        self._on_missed = missed
        self._on_caught_up = caught_up
        self._entries = LedgerSequence()
        self._read_before = 0
        self._caught_up_at: int | None = None

    async def follow(self) -> None:
        """Reads until it is cancelled. Raises `NewerFormat` and what the log raises; may be called again then."""
        if not self.position:
            await self._find_start()
        looks = 0
        while True:
            if await self.advance():
                looks = 0
            elif self._caught_up_at is not None and looks < _LOOKS:
                looks += 1
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                if self._caught_up_at is not None:  # what was there at the start is not there any more
                    self._missed("the end of the log cannot be read")
                    self.position = self._caught_up_at
                    self._look_whether_caught_up()
                await self._log.wait(TOPIC, self.position, self._partition)

    async def advance(self) -> int:
        """Reads what is there, up to the number of records read at a time; returns how many there were."""
        records = await self._log.read(TOPIC, self.position, self._records_at_once, self._partition)
        rows = 0
        for record in records:
            rows += await self._take(record)
            self.position = record.position
            if rows >= _SLICE:
                rows = 0
                await asyncio.sleep(0)
        if records:
            self._look_whether_caught_up()
        return len(records)

    async def measure(self) -> None:
        """Sets the metric of the lag, and begins again where the log was replaced by another."""
        position = self.position
        _, last = await self._log.bounds(TOPIC, self._partition)
        metrics.LAG.labels(self._partition).set(max(0, last - position))
        if last < position:
            self._missed("the log is not the one that was read")
            self.position = last

    async def _find_start(self) -> None:
        oldest, last = await self._log.bounds(TOPIC, self._partition)
        committed = await self._log.committed(GROUP, TOPIC, self._partition)
        place = last if committed is None else committed
        if last < place:
            self._missed("the log is not the one that was read")
            place = max(0, oldest - 1)
        elif oldest > place + 1:
            self._missed("records are gone")
            place = oldest - 1
        self._read_before = place
        self.position = max(0, place - _LOOK_BACK)
        self._caught_up_at = last
        self._look_whether_caught_up()

    async def _take(self, record: Record) -> int:
        entry = await self._letters.decoded(TOPIC, self._partition, record, codec.entry_from_record)
        if entry is None:
            # One bad record must not stop the rest.
            metrics.POISON.inc()
            name = parse_name(record.key)
            if name is not None:
                self._entries.arrived(name)
            self._missed("a record cannot be read")
            return 0
        if entry.format > codec.FORMAT:
            raise NewerFormat(f"an entry has the format {entry.format}; this version reads up to {codec.FORMAT}")
        arrival = self._entries.arrived(entry.name)
        metrics.ENTRIES.labels(arrival.value).inc()
        if arrival is Arrival.OLD:
            return 0
        # What the group had read before the start may begin with the second half of something.
        if arrival is not Arrival.NEXT and record.position > self._read_before:
            self._missed(f"the next entry is {entry.name}")
        self._apply(entry.rows)
        return len(entry.rows)

    def _missed(self, why: str) -> None:
        log.warning("entries are missing on the log", partition=self._partition, position=self.position, reason=why)
        metrics.GAPS.inc()
        self._on_missed()

    def _look_whether_caught_up(self) -> None:
        if self._caught_up_at is not None and self.position >= self._caught_up_at:
            self._caught_up_at = None
            self._on_caught_up()
