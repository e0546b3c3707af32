"""Virtual time: events in the order of their moments, deterministic from one seed."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable

Action = Callable[[], None]


class Violation(Exception):
    """A promise was broken."""


class World:
    """The clock, the events to come, and all randomness of one run."""

    def __init__(self, seed: int, *, trace: int = 0) -> None:
        """Keeps the last `trace` lines of what happened."""
        self.rng = random.Random(seed)
        self.now = 0.0
        self.events = 0
        self.lines: deque[str] | None = deque(maxlen=trace) if trace else None
        self._heap: list[tuple[float, int, Action]] = []
        self._scheduled = 0

    def after(self, delay: float, action: Action) -> None:
        """Has something happen `delay` seconds from now."""
        self._scheduled += 1
        heapq.heappush(self._heap, (self.now + delay, self._scheduled, action))

    def run(self, until: float) -> None:
        """Lets all happen that is due by a moment."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, action = heapq.heappop(heap)
            self.events += 1
            action()
        self.now = until

    def micros(self, skew: float = 0.0) -> int:
        """A wall clock, microseconds since 1970, that is `skew` seconds ahead."""
        return 1_700_000_000_000_000 + round((self.now + skew) * 1_000_000)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def note(self, subject: str, what: str, *details: object) -> None:
        """Writes a line of the trace."""
        if self.lines is not None:
            self.lines.append(f"{self.now:8.4f} {subject:8} {what} {' '.join(map(str, details))}")
