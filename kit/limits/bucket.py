"""Token buckets (GCRA): operations per second, with bursts. Time is an argument."""

from __future__ import annotations

from collections.abc import Hashable

_SLACK = 1e-6  # seconds; so that a caller that waits exactly as long as required is not refused by a rounding error


class Bucket:
    """One bucket of `burst` tokens that refills with `rate` tokens per second; it begins full.

    Kept as one number, the time at which it will be full again (the GCRA of ITU-T I.371), so that taking tokens
    costs an addition, and no timer refills buckets.
    """

    __slots__ = ("_depth", "_full_at", "_per_token")

    def __init__(self, rate: float, burst: float) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a bucket needs a rate above 0 and a burst of at least 1")
        self._per_token = 1.0 / rate
        self._depth = burst / rate
        self._full_at = float("-inf")

    def take(self, n: float, now: float) -> float:
        """Takes `n` tokens and returns 0.0, or takes none and returns the seconds after which `n` will be there.

        `now` is in seconds of a clock that only grows; raises ValueError if `n` is more than the burst.
        """
        wait, self._full_at = _take(self._full_at, n * self._per_token, self._depth, now)
        return wait


class Buckets:
    """A bucket of the same size for every key, in bounded memory.

    A full bucket is the same as none and is dropped. Only where more than `max_keys` keys are used within the time it
    takes to fill a bucket, the least recently used one is dropped early, which gives its key a full one.
    """

    __slots__ = ("_depth", "_full_at", "_max_keys", "_per_token")

    def __init__(self, rate: float, burst: float, *, max_keys: int = 65_536) -> None:
        if rate <= 0 or burst < 1 or max_keys < 1:
            raise ValueError("buckets need a rate above 0, a burst of at least 1 and space for a key")
        self._per_token = 1.0 / rate
        self._depth = burst / rate
        self._max_keys = max_keys
        self._full_at: dict[Hashable, float] = {}  # in the order of their last take

    def __len__(self) -> int:
        """Number of buckets that are not full."""
        return len(self._full_at)

    def take(self, key: Hashable, n: float, now: float) -> float:
        """Takes `n` tokens from the key's bucket: see `Bucket.take`. A refusal changes and stores nothing."""
        full_at = self._full_at.get(key, now)
        wait, full_at = _take(full_at, n * self._per_token, self._depth, now)
        if wait == 0.0:
            self._full_at.pop(key, None)
            self._forget(now)
            self._full_at[key] = full_at
        return wait

    def _forget(self, now: float) -> None:
        # Two are dropped for each one that is added: memory shrinks again after many keys, without a sweep.
        for _ in range(2):
            oldest = next(iter(self._full_at), None)
            if oldest is None:
                return
            if self._full_at[oldest] > now and len(self._full_at) < self._max_keys:
                return
            del self._full_at[oldest]


def _take(full_at: float, cost: float, depth: float, now: float) -> tuple[float, float]:
    """Returns (seconds to wait, when the bucket will be full); `cost` and `depth` are in seconds of refill."""
    if cost > depth + _SLACK:
        raise ValueError("more tokens are asked for than the bucket can hold")
    # Bounded on both sides: after the clock was set back, no key has to wait for longer.
    full_at = min(max(full_at, now), now + depth)
    wait = full_at + cost - now - depth
    if wait > _SLACK:
        return wait, full_at
    return 0.0, full_at + cost
