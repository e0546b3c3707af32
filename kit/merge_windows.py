"""Merges values of a key that come soon after another, so that at most one passes in each window."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from kit.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
# Windows that end within this many seconds of each other end together:
_LINGER_SECONDS = 0.01
# at most this share of all, or so many, because windows that began together would make a burst each second.
_SHARE_AT_ONCE = 1 / 50
_AT_ONCE = 16


class MergeWindows(Generic[K, V]):
    """The first value of a key passes at once and begins a window. Values that come within it are merged, and pass
    together when it ends, which begins the next one. Nothing is lost. Time is an argument, and never goes back.
    """

    def __init__(self, seconds: float, merge: Callable[[V, V], V], max_keys: int) -> None:
        """`merge` makes one value of an earlier and a later one. With more than `max_keys` windows, the oldest end
        early."""
        self._seconds = seconds
        self._merge = merge
        self._max_keys = max_keys
        # The end of each window and what waits for it, in the order of the ends.
        self._windows: OrderedDict[K, tuple[float, V | None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def next_end(self) -> float | None:
        """When the next window ends; None: there is none."""
        return next(iter(self._windows.values()))[0] if self._windows else None

    def add(self, key: K, value: V, now: float) -> list[V]:
        """Adds a value; returns the values that pass now."""
        passing: list[V] = []
        found = self._windows.get(key)
        if found is not None and found[0] > now:
            end, waiting = found
            self._windows[key] = end, value if waiting is None else self._merge(waiting, value)
            return passing
        if found is not None and found[1] is not None:
            value = self._merge(found[1], value)
        self._begin(key, now)
        passing.append(value)
        while len(self._windows) > self._max_keys:
            _, (_, waiting) = self._windows.popitem(last=False)
            if waiting is not None:
                passing.append(waiting)
        return passing

    def due(self, now: float, limit: int = sys.maxsize) -> list[V]:
        """Ends windows that are over by now, those that ended first; returns the values that pass, up to `limit`."""
        passing: list[V] = []
        while self._windows and len(passing) < limit:
            key, (end, waiting) = next(iter(self._windows.items()))
            if end > now:
                break
            if waiting is None:
                del self._windows[key]
            else:
                passing.append(waiting)
                self._begin(key, now)
        return passing

    def _begin(self, key: K, now: float) -> None:
        self._windows[key] = now + self._seconds, None
        self._windows.move_to_end(key)


class MergeLoop(Generic[K, V]):
    """Drives windows by a clock: `emit` is called with the values that pass, and never waits."""

    def __init__(self, windows: MergeWindows[K, V], clock: Clock, emit: Callable[[Sequence[V]], None]) -> None:
        self._windows = windows
        self._clock = clock
        self._emit = emit
        self._wake = asyncio.Event()

    def add_all(self, values: Sequence[tuple[K, V]]) -> None:
        """Adds values, which pass now or later; those that pass now are emitted together."""
        now = self._clock.monotonic()
        passing = [value for key, one in values for value in self._windows.add(key, one, now)]
        if passing:
            self._emit(passing)
        self._wake.set()

    async def run(self) -> None:
        """Ends windows until it is cancelled."""
        while True:
            limit = max(_AT_ONCE, int(len(self._windows) * _SHARE_AT_ONCE))
            passing = self._windows.due(self._clock.monotonic(), limit)
            if passing:
                self._emit(passing)
            self._wake.clear()
            end = self._windows.next_end
            if end is None:
                await self._wake.wait()
            else:
                await asyncio.sleep(max(_LINGER_SECONDS, end - self._clock.monotonic()))
