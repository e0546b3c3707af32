"""A ledger in memory, for tests: it has the semantics of the ports without durability."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from kit.ledger.entry import Entry
from kit.ledger.ports import Page, Watermarks


class MemoryShard:
    """The entries and watermarks of one shard."""

    def __init__(self) -> None:
        self.tail = 0
        self.marks = Watermarks()
        self._entries: list[Entry] = []

    def commit(self, entry: Entry) -> bool:
        """See `ports.LedgerStore`."""
        if entry.position != self.tail + 1:
            return False
        self._entries.append(entry)
        self.tail = entry.position
        return True

    def read(self, after: int, limit: int) -> Page:
        """See `ports.LedgerStore`."""
        begin = max(0, after - (self.tail - len(self._entries)))
        return Page(self._entries[begin : begin + limit], self.tail)

    def save(self, marks: Watermarks) -> None:
        """See `ports.LedgerStore`."""
        self.marks = Watermarks(*map(max, self.marks, marks))

    def trim(self, before: int) -> None:
        """See `ports.LedgerStore`."""
        del self._entries[: max(0, min(before, self.tail) - (self.tail - len(self._entries)) - 1)]


class MemoryLedgerStore:
    """See `ports.LedgerStore`. Tables are written separately."""

    is_atomic = False

    def __init__(self, incarnation: str = "memory") -> None:
        self.incarnation = incarnation
        self.shards: defaultdict[int, MemoryShard] = defaultdict(MemoryShard)

    async def commit(self, shard: int, entry: Entry, writes: Any) -> bool:
        """See `ports.LedgerStore`."""
        return self.shards[shard].commit(entry)

    async def read(self, shard: int, after: int, limit: int) -> Page:
        """See `ports.LedgerStore`."""
        return self.shards[shard].read(after, limit)

    async def tail(self, shard: int, *, confirm: bool) -> int:
        """See `ports.LedgerStore`."""
        return self.shards[shard].tail

    async def watermarks(self, shard: int) -> Watermarks:
        """See `ports.LedgerStore`."""
        return self.shards[shard].marks

    async def save_watermarks(self, shard: int, marks: Watermarks) -> None:
        """See `ports.LedgerStore`."""
        self.shards[shard].save(marks)

    async def trim(self, shard: int, before: int) -> None:
        """See `ports.LedgerStore`."""
        self.shards[shard].trim(before)
