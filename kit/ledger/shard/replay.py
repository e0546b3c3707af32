"""Reads the watermarks of a shard and the entries after them, before it is served. No I/O, no clock."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from kit.ledger.backoff import NEVER, Backoff
from kit.ledger.entry import Entry
from kit.ledger.errors import CorruptEntry
from kit.ledger.ports import Page, Watermarks
from kit.ledger.shard.effects import Effect, ReadEntries, ReadWatermarks

PAGE = 64
"""Entries of one read."""
_ATTEMPTS = 3  # to find the first entry, while another node trims


class Replay:
    """One effect at a time, repeated until it succeeds."""

    def __init__(self, rng: random.Random) -> None:
        self._backoff = Backoff(rng)
        self._attempts = 0
        self._in_flight: Effect | None = None
        self._restart()

    def _restart(self) -> None:
        self._attempts += 1
        self.found: Watermarks | None = None
        """The saved watermarks."""
        self.position = self.last_stamp = 0
        """Of the last entry read."""
        self.is_complete = False

    def poll(self, now: float) -> list[Effect]:
        """Returns the next read."""
        if self._in_flight is not None or now < self._backoff.until:
            return []
        if self.found is None:
            self._in_flight = ReadWatermarks("replay")
        else:
            # Begins with the entry before: its stamp is needed, and it is never trimmed.
            self._in_flight = ReadEntries(self.position or max(0, min(self.found) - 1), PAGE, "replay")
        return [self._in_flight]

    def next_at(self) -> float:
        """The time of the next step, or `NEVER`."""
        return NEVER if self._in_flight is not None else self._backoff.until

    def is_reading(self, effect: Effect) -> bool:
        """Whether the effect is the read in flight."""
        return effect is self._in_flight

    def failed(self, now: float) -> None:
        """Repeats the read later."""
        self._in_flight = None
        self._backoff.failed(now)

    def done(self, result: Any) -> Sequence[Entry] | None:
        """The entries read, in order; None: the replay starts again, and the entries read so far are invalid.

        Raises CorruptEntry.
        """
        self._in_flight = None
        self._backoff.succeeded()
        if self.found is None:
            self.found = result
            return ()
        return self._add_page(result, self.found)

    def _add_page(self, page: Page, found: Watermarks) -> Sequence[Entry] | None:
        first = self.position + 1 if self.position else max(1, min(found))
        is_there = page.entries and page.entries[0].position == first
        if page.tail >= first and not is_there and self._attempts <= _ATTEMPTS:
            # Another node has trimmed since the watermarks were read.
            self._restart()
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
    for position, entry in enumerate(entries, start=first):
        if entry.position != position:
            raise CorruptEntry(f"entry {position} is missing")
        if entry.stamp <= last_stamp:
            raise CorruptEntry(f"the stamp of entry {position} is not above the one before")
        last_stamp = entry.stamp
