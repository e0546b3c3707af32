"""Publishes committed entries on the event log, in order. No I/O; time is an argument."""

from __future__ import annotations

import random
from collections import deque
from typing import Any, NamedTuple

from kit.ledger.backoff import NEVER, Backoff
from kit.ledger.entry import Entry
from kit.ledger.shard.effects import Effect, Publish, ReadEntries, ReadWatermarks


class PublishLimits(NamedTuple):
    """How entries are published on the event log."""

    # Entries of one step, and entries buffered for it in memory; other entries are read from the store.
    batch_entries: int = 64
    buffered_entries: int = 256
    # A busy shard publishes at most once per interval: the event log and its consumers work in batches.
    interval_seconds: float = 0.05
    # How long a node that the shard is not assigned to leaves publishing to the assigned node.
    unassigned_delay_seconds: float = 1.0


class EntryPublisher:
    """Publishes the entries after the watermark in order; after a failure it repeats the same entries.

    The buffer has no gap: an entry that does not follow its last one is read from the store later.
    """

    def __init__(self, rng: random.Random, limits: PublishLimits) -> None:
        self._limits = limits
        self._backoff = Backoff(rng)
        self._buffer: deque[Entry] = deque()
        self._in_flight: Publish | ReadEntries | ReadWatermarks | None = None
        self._not_before = self._next_interval_at = 0.0
        self._must_read_watermarks = False
        self.published = 0

    def add(self, entry: Entry, *, is_assigned: bool, now: float) -> None:
        """Adds a durable entry."""
        if not is_assigned and not self._has_unpublished(entry.position - 1):
            # The assigned node finds the entry in the store. If it does not, this node publishes it later.
            self._not_before, self._must_read_watermarks = now + self._limits.unassigned_delay_seconds, True
        self._buffer_next(entry)

    def publish_now(self) -> None:
        """Publishes without the delay for nodes that the shard is not assigned to."""
        self._not_before = 0.0

    def poll(self, position: int, now: float) -> Publish | ReadEntries | ReadWatermarks | None:
        """Publishes the next entries, or reads them first; None where an effect is in flight or nothing is
        unpublished."""
        if self._in_flight is not None or not self._has_unpublished(position) or now < self._ready_at():
            return None
        while self._buffer and self._buffer[0].position <= self.published:
            self._buffer.popleft()
        if self._must_read_watermarks:
            self._in_flight = ReadWatermarks("publish")
        elif self._buffer and self._buffer[0].position == self.published + 1:
            self._in_flight = Publish(list(self._buffer)[: self._limits.batch_entries])
            # All shards of a node publish at the same moments.
            pace = self._limits.interval_seconds
            self._next_interval_at = (now // pace + 1) * pace if pace else now
        else:
            self._in_flight = ReadEntries(self.published, self._limits.batch_entries, "publish")
        return self._in_flight

    def done(self, effect: Effect, result: Any, now: float) -> None:
        """Records the result of the effect in flight."""
        if effect is not self._in_flight:
            return
        self._in_flight = None
        self._backoff.succeeded()
        if isinstance(effect, Publish):
            self.published = effect.entries[-1].position
        elif isinstance(effect, ReadWatermarks):
            self._must_read_watermarks = False
            self.published = max(self.published, result.published)
        elif result.entries and result.entries[0].position == self.published + 1:
            # Entries that were added since the read follow those that were read, or are not there yet.
            added, self._buffer = self._buffer, deque()
            for entry in (*result.entries, *added):
                self._buffer_next(entry)
        else:
            # The entry is trimmed, so another node has published it.
            self._must_read_watermarks = True
            self._backoff.failed(now)

    def failed(self, effect: Effect, now: float) -> None:
        """Repeats the effect later."""
        if effect is self._in_flight:
            self._in_flight = None
            self._backoff.failed(now)

    def next_at(self, position: int) -> float:
        """The time of the next step, or `NEVER`."""
        return self._ready_at() if self._in_flight is None and self._has_unpublished(position) else NEVER

    def _buffer_next(self, entry: Entry) -> None:
        is_next = not self._buffer or entry.position == self._buffer[-1].position + 1
        if is_next and len(self._buffer) < self._limits.buffered_entries:
            self._buffer.append(entry)

    def _has_unpublished(self, position: int) -> bool:
        return position > self.published

    def _ready_at(self) -> float:
        return max(self._not_before, self._backoff.until, self._next_interval_at)
