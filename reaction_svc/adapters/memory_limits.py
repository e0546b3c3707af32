"""The rate limit of each user, local to this process: a user of two nodes has twice the limit."""

from __future__ import annotations

from collections.abc import Sequence

from kit.clock import Clock
from kit.limits.bucket import Buckets
from kit.tenant_keys import UserKey


class MemoryRateLimit:
    """See `ports.RateLimit`. Has up to `max_users` users in memory; the least recently used one is evicted."""

    def __init__(self, clock: Clock, per_second: float, at_once: int, max_users: int) -> None:
        self._clock = clock
        self._buckets = Buckets(per_second, at_once, max_keys=max_users)

    async def take(self, users: Sequence[UserKey]) -> Sequence[float]:
        """See `ports.RateLimit`."""
        take, now = self._buckets.take, self._clock.monotonic()
        return [take(user, 1, now) for user in users]


class NoRateLimit:
    """See `ports.RateLimit`: no limit."""

    async def take(self, users: Sequence[UserKey]) -> Sequence[float]:
        """See `ports.RateLimit`."""
        return [0.0] * len(users)
