"""Pauses between attempts that fail. No I/O; time is an argument."""

from __future__ import annotations

import random

_RETRY_SECONDS = (0.02, 0.5)
NEVER = float("inf")
"""The result of `next_at` where only an event, not time, brings the next step."""


class Backoff:
    """Doubling pauses with jitter, in seconds, between attempts that fail."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0
        self.until = 0.0

    def failed(self, now: float) -> None:
        """Records a failed attempt: the next one begins at `until`."""
        shortest, longest = _RETRY_SECONDS
        self._failures += 1
        self.until = now + self._rng.uniform(shortest, min(longest, shortest * 2 ** min(self._failures, 10)))

    def succeeded(self) -> None:
        """Records a successful attempt: the next one begins at once."""
        self._failures = 0
        self.until = 0.0
