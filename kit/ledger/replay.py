"""What a node reads before it serves a shard: the watermarks, and the entries behind them. No I/O, no clock."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from kit.ledger.effects import Effect, Read, ReadMarks
from kit.ledger.entry import Entry
from kit.ledger.errors import CorruptEntry
from kit.ledger.lanes import Backoff
from kit.ledger.ports import Page, Watermarks

PAGE = 64
"""Entries that are read at once."""
_ATTEMPTS = 3  # to find where to begin, while another node trims


class Replay:
    """One effect at a time, repeated until it succeeds."""

    def __init__(self, rng: random.Random) -> None:
        self._backoff = Backoff(rng)
        self._attempts = 0
        self._under_way: Effect | None = None
        self._begin()

    def _begin(self) -> None:
        self._attempts += 1
        self.found: Watermarks | None = None
        """The watermarks as they were saved."""
        self.position = self.last_stamp = 0
        """Of the last entry that was read."""
        self.is_complete = False

    def poll(self, now: float) -> list[Effect]:
        """What is to be read now."""
        if self._under_way is not None or now < self._backoff.until:
            return []
        if self.found is None:
            self._under_way = ReadMarks("replay")
        else:
            # From the one before: its stamp is needed, and it is never trimmed.
            self._under_way = Read(self.position or max(0, min(self.found) - 1), PAGE, "replay")
        return [self._under_way]

    def next_at(self) -> float:
        """When `poll` may have something to do; infinity: not before something happens."""
        return float("inf") if self._under_way is not None else self._backoff.until

    def is_reading(self, effect: Effect) -> bool:
        """Whether that is what it waits for."""
        return effect is self._under_way

    def failed(self, now: float) -> None:
        """It could not be read."""
        self._under_way = None
        self._backoff.failed(now)

    def done(self, result: Any) -> Sequence[Entry] | None:
        """The entries that were read, in order; None: those read so far do not count, it begins anew.

        Raises CorruptEntry.
        """
        self._under_way = None
        self._backoff.succeeded()
        if self.found is None:
            self.found = result
            return ()
        return self._take(result, self.found)

    def _take(self, page: Page, found: Watermarks) -> Sequence[Entry] | None:
        first = self.position + 1 if self.position else max(1, min(found))
        is_there = page.entries and page.entries[0].position == first
        if page.tail >= first and not is_there and self._attempts <= _ATTEMPTS:
            # Another node has trimmed since the watermarks were read.
            self._begin()
            return None
        if page.tail < max(found) or (page.tail >= first and not is_there):
            raise CorruptEntry(f"entry {first} is missing, the last one is {page.tail}")
        check_order(page.entries, first, self.last_stamp)
        if page.entries:
            self.position, self.last_stamp = page.entries[-1].position, page.entries[-1].stamp
        self.is_complete = self.position >= page.tail
        return page.entries


def check_order(entries: Sequence[Entry], first: int, last_stamp: int) -> None:
    """Raises CorruptEntry unless positions begin at `first` without a gap and stamps grow."""
    for place, entry in enumerate(entries, start=first):
        if entry.position != place:
            raise CorruptEntry(f"entry {place} is missing")
        if entry.stamp <= last_stamp:
            raise CorruptEntry(f"the stamp of entry {place} is not above the one before")
        last_stamp = entry.stamp
