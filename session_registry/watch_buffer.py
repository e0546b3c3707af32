"""Changes for one watcher, in order."""

from __future__ import annotations

import asyncio
from collections import deque

from session_registry.domain import Delta


class WatchBuffer:
    """At most `limit` changes wait for one watcher; when more come, the watch ends."""

    def __init__(self, limit: int, *, topics: bool) -> None:
        self._limit = limit
        self._topics = topics
        self._deltas: deque[Delta] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._ended = False

    def add(self, delta: Delta) -> bool:
        """Adds changes; False where the watch has ended."""
        if not self._topics:
            delta = Delta(delta.down, delta.up)
        if self._ended or not delta:
            return not self._ended
        self._size += len(delta)
        if self._size > self._limit:
            self.close()
        else:
            self._deltas.append(delta)
            self._wake.set()
        return not self._ended

    def close(self) -> None:
        """Drops the waiting changes and ends the watch."""
        self._ended = True
        self._deltas.clear()
        self._wake.set()

    async def next(self, timeout: float = 3600.0) -> Delta | None:
        """Waits for the next changes, and merges those that concern interest alone. None: the watch has ended.

        Returns an empty delta after `timeout` seconds without changes.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self._deltas and not self._ended:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return Delta()
        if self._ended:
            return None
        delta = self._deltas.popleft()
        interests = list(delta.interests)
        while self._deltas and not self._deltas[0].down and not self._deltas[0].up:
            interests.extend(self._deltas.popleft().interests)
        merged = Delta(delta.down, delta.up, tuple(interests))
        self._size -= len(merged)
        return merged
