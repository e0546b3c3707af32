"""What this process committed last, by topic: its readers need not ask the file for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from kit.eventlog import Record

_MOST_RECORDS = 256
_MOST_BYTES = 4 << 20


class RecentRecords:
    """The last records of one topic, without a hole; empty where another process has written between them."""

    def __init__(self) -> None:
        self.last = 0
        """The last position this process knows of, committed here or found in the file."""
        self.asked_at = -1
        """Of which of the changes that others made to the file this is."""
        self._records: deque[Record] = deque()
        self._bytes = 0

    def add(self, record: Record) -> None:
        """A record was committed."""
        if self._records and record.position != self._records[-1].position + 1:
            self.clear()
        self._records.append(record)
        self._bytes += len(record.payload)
        self.last = max(self.last, record.position)
        while len(self._records) > _MOST_RECORDS or self._bytes > _MOST_BYTES:
            self._bytes -= len(self._records.popleft().payload)

    def found(self, last: int) -> None:
        """The last position in the file."""
        self.last = max(self.last, last)

    def after(self, position: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records behind a position; none where the first of them is not known."""
        if not self._records:
            return ()
        skipped = position + 1 - self._records[0].position
        return list(islice(self._records, skipped, skipped + limit)) if skipped >= 0 else ()

    def clear(self) -> None:
        """Forgets the records."""
        self._records.clear()
        self._bytes = 0
