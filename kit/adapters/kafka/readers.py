"""Windows into partitions for any number of callers: those at about the same position share one."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from itertools import count

from kafka import TopicPartition

from kit.adapters.kafka.consumer import ConsumerThread, Fetched
from kit.adapters.kafka.offsets import Offsets
from kit.adapters.kafka.window import Window
from kit.engine_url import EngineUrl

MAX_THREADS = 4
_PREFETCH_BYTES = 4 << 20
_HISTORY_BYTES = 1 << 20
_IDLE_SECONDS = 20.0
_SWEEP_SECONDS = 1.0


class _Reader:
    """A window, and the thread that fills it."""

    def __init__(self, at: TopicPartition, thread: ConsumerThread, ticket: int, window: Window) -> None:
        self.at = at
        self.thread = thread
        self.ticket = ticket
        self.window = window


class Readers:
    """Up to `MAX_THREADS` positions of a partition are read at a time; one more replaces the least recently used."""

    def __init__(self, url: EngineUrl, offsets: Offsets) -> None:
        self._url = url
        self._offsets = offsets
        self._threads: list[ConsumerThread] = []
        self._ended: list[ConsumerThread] = []
        self._readers: dict[TopicPartition, list[_Reader]] = defaultdict(list)
        self._by_ticket: dict[int, _Reader] = {}
        self._tickets = count(1)
        self._entering: dict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)

    def find(self, at: TopicPartition, after: int) -> Window | None:
        """A window that has, or will have, the first record after the position `after`."""
        for reader in self._readers[at]:
            if reader.window.covers(after):
                return reader.window
        return None

    async def enter(self, at: TopicPartition, after: int, *, beyond: bool = False) -> Window | None:
        """Begins to read after a position; None where there is nothing to read (`beyond`: not even later)."""
        async with self._entering[at]:
            found = self.find(at, after)
            if found is not None:
                return found
            begin, end = await self._offsets.span(at)
            if after > end or (after == end and not beyond):
                return None
            thread = self._thread_for(at)
            # If the window begins after the position, no record is between them: the window covers both.
            window = Window(after, _PREFETCH_BYTES, _HISTORY_BYTES, time.monotonic())
            reader = _Reader(at, thread, next(self._tickets), window)
            self._readers[at].append(reader)
            self._by_ticket[reader.ticket] = reader
            thread.follow(at, max(after, begin), reader.ticket)
            return window

    def taken(self, at: TopicPartition, window: Window) -> None:
        """Records were taken from a window: resumes fetching where there is capacity again."""
        if window.paused and window.has_room():
            for reader in self._readers[at]:
                if reader.window is window:
                    window.paused = False
                    reader.thread.resume(at)

    def trimmed(self, at: TopicPartition, before: int) -> None:
        """The records before a position were deleted."""
        for reader in self._readers[at]:
            reader.window.trim(before)
            self.taken(at, reader.window)

    def fail(self, error: Exception) -> None:
        """Kafka is unavailable: fails all waiting reads, and closes all threads."""
        for reader in list(self._by_ticket.values()):
            reader.window.wake(error)
            self._leave(reader)
        for thread in self._threads:
            thread.close()
        self._ended += self._threads
        self._threads = []

    async def sweep(self) -> None:
        """Closes windows that are not used any more, until it is cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._ended = [thread for thread in self._ended if thread.runs()]
            before = time.monotonic() - _IDLE_SECONDS
            for reader in list(self._by_ticket.values()):
                if reader.window.used < before and not reader.window.is_waited_for:
                    self._leave(reader)

    async def close(self) -> None:
        """Ends the threads."""
        for thread in self._threads:
            thread.close()
        await asyncio.to_thread(self._join, self._threads + self._ended)

    @staticmethod
    def _join(threads: list[ConsumerThread]) -> None:
        for thread in threads:
            thread.join()

    def _thread_for(self, at: TopicPartition) -> ConsumerThread:
        readers = self._readers[at]
        taken = {reader.thread for reader in readers}
        for thread in self._threads:
            if thread not in taken:
                return thread
        if len(self._threads) < MAX_THREADS:
            self._threads.append(ConsumerThread(self._url, len(self._threads), self._fetched))
            return self._threads[-1]
        oldest = min(readers, key=lambda reader: reader.window.used)
        self._leave(oldest)
        return oldest.thread

    def _leave(self, reader: _Reader) -> None:
        self._readers[reader.at].remove(reader)
        del self._by_ticket[reader.ticket]
        reader.thread.drop(reader.at)
        reader.window.wake()  # waiting callers look for another one

    def _fetched(self, results: list[Fetched]) -> None:
        for ticket, records, lost in results:
            reader = self._by_ticket.get(ticket)
            if reader is None:
                continue
            if lost:
                self._leave(reader)
                continue
            window = reader.window
            window.add(records)
            self._offsets.at_least(reader.at, window.high)
            if window.is_full() and not window.paused:
                window.paused = True
                reader.thread.pause(reader.at)
