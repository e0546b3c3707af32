"""A part of a partition in memory: records that were prefetched, and a few that were taken before. No I/O."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right

from kit.event_log.ports import Record

_OVERHEAD = 200  # about the bytes of a record in addition to its payload


class Window:
    """The records with positions above `low` and up to `high`, of one partition.

    Callers take records by position. Up to `history` bytes that the foremost caller has taken are kept for callers that
    lag a little; at most about `ahead` bytes that no caller has taken are prefetched.
    """

    def __init__(self, low: int, ahead: int, history: int, now: float) -> None:
        self.low = self.high = self._front = low
        self.used = now
        self.paused = False
        self._most_ahead = ahead
        self._most_history = history
        self._records: list[Record] = []
        self._dropped = 0  # records at the front of the list that are deleted
        self._ahead = 0
        self._history = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def covers(self, after: int) -> bool:
        """Whether the window has, or will fetch next, the first record after the position `after`."""
        return self.low <= after <= self.high

    @property
    def is_waited_for(self) -> bool:
        """Whether a caller waits for more."""
        return bool(self._waiting)

    def add(self, records: list[Record]) -> None:
        """Adds fetched records."""
        self._records += records
        self._ahead += sum(map(_size, records))
        self.high = records[-1].position
        self.wake()

    def take(self, after: int, limit: int, now: float) -> list[Record]:
        """Up to `limit` records after a position that is covered."""
        self.used = now
        self._advance(after)
        start = bisect_right(self._records, after, lo=self._dropped, key=_position)
        return self._records[start : start + limit]

    def trim(self, before: int) -> None:
        """Drops records before a position, which the log has deleted."""
        first = bisect_left(self._records, before, lo=self._dropped, key=_position)
        for record in self._records[self._dropped : first]:
            if record.position <= self._front:
                self._history -= _size(record)
            else:
                self._ahead -= _size(record)
        self._dropped = first
        self._front = max(self._front, min(before - 1, self.high))

    def is_full(self) -> bool:
        """Whether enough is prefetched."""
        return self._ahead >= self._most_ahead

    def has_room(self) -> bool:
        """Whether less than half is prefetched."""
        return self._ahead * 2 <= self._most_ahead

    def wake(self, error: Exception | None = None) -> None:
        """Wakes all waiting callers, with an error where there is one."""
        for waiting in self._waiting:
            if not waiting.done():
                if error is None:
                    waiting.set_result(None)
                else:
                    waiting.set_exception(error)
        self._waiting.clear()

    async def grown(self, timeout: float | None = None) -> None:
        """Waits for `wake`, at most `timeout` seconds."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(timeout):
                await waiting
        except TimeoutError:
            return
        finally:
            self._waiting.discard(waiting)

    def _advance(self, front: int) -> None:
        if front <= self._front:
            return
        first = bisect_right(self._records, self._front, lo=self._dropped, key=_position)
        last = bisect_right(self._records, front, lo=first, key=_position)
        taken = sum(map(_size, self._records[first:last]))
        self._ahead -= taken
        self._history += taken
        self._front = front
        while self._history > self._most_history and self._dropped < last:
            oldest = self._records[self._dropped]
            self._history -= _size(oldest)
            self.low = oldest.position
            self._dropped += 1
        if self._dropped * 2 > len(self._records):
            del self._records[: self._dropped]
            self._dropped = 0


def _size(record: Record) -> int:
    return len(record.payload) + _OVERHEAD


def _position(record: Record) -> int:
    return record.position
