"""The rate limit of each person, kept by this process: who is routed to two nodes may do twice as much."""

from __future__ import annotations

from kit.bucket import Buckets
from kit.clock import Clock


class MemoryRateLimit:
    """See `ports.RateLimit`. Up to `max_users` users are remembered; the one seen longest ago is forgotten."""

    def __init__(self, clock: Clock, per_second: float, at_once: int, max_users: int) -> None:
        self._clock = clock
        self._buckets = Buckets(per_second, at_once, max_keys=max_users)

    def take(self, key: tuple[str, str], changes: int) -> float:
        """See `ports.RateLimit`."""
        return self._buckets.take(key, changes, self._clock.monotonic())


class NoRateLimit:
    """See `ports.RateLimit`: everyone may do anything."""

    def take(self, key: tuple[str, str], changes: int) -> float:
        """See `ports.RateLimit`."""
        return 0.0
