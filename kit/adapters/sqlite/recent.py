"""The last records that this process committed, so that its readers need not read the file."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from kit.event_log.ports import Record

_MOST_RECORDS = 256
_MOST_BYTES = 4 << 20


class RecentRecords:
    """The last records of one topic, without a gap; empty after another process has written to the topic."""

    def __init__(self) -> None:
        self.last = 0
        """The last known position, committed by this process or read from the file."""
        self.checked_at = -1
        """The number of foreign commits at the last check of the file."""
        self._records: deque[Record] = deque()
        self._bytes = 0

    def add(self, record: Record) -> None:
        """Adds a committed record."""
        if self._records and record.position != self._records[-1].position + 1:
            self.clear()
        self._records.append(record)
        self._bytes += len(record.payload)
        self.last = max(self.last, record.position)
        while len(self._records) > _MOST_RECORDS or self._bytes > _MOST_BYTES:
            self._bytes -= len(self._records.popleft().payload)

    def advance(self, last: int) -> None:
        """Records the last position in the file."""
        self.last = max(self.last, last)

    def after(self, position: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records after a position; none where the first of them is not in memory."""
        if not self._records:
            return ()
        skipped = position + 1 - self._records[0].position
        return list(islice(self._records, skipped, skipped + limit)) if skipped >= 0 else ()

    def clear(self) -> None:
        """Drops the records."""
        self._records.clear()
        self._bytes = 0
