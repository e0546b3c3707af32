"""Hands items from other threads over to the event loop, in order, several at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class LoopHandoff(Generic[T]):
    """Calls `deliver` in the loop that is running now, with all items that came since its last call."""

    def __init__(self, deliver: Callable[[list[T]], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._deliver = deliver
        self._items: deque[T] = deque()
        self._scheduled = False

    def put(self, item: T) -> None:
        """Adds an item. May be called from any thread; an item for a closed loop is dropped."""
        # First the item, then the flag; the loop does it the other way round. So the later of the two sees
        # the effect of the other, and no item waits without a scheduled call.
        self._items.append(item)
        if not self._scheduled:
            self._scheduled = True
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._scheduled = False
        items: list[T] = []
        while self._items:
            items.append(self._items.popleft())
        if items:
            self._deliver(items)
