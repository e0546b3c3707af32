"""Budgets of users: how many bytes each may send, over all of its connections. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from kit.errors import TooMuchData

_MAX_DEBT_SECONDS = 60.0


class Budgets:
    """Budgets of `burst` bytes that refill with `per_second` bytes, as token buckets (GCRA) that can go into debt.

    What has been received has already cost its reading, so it is always charged; the caller refuses the work and reads
    no more while the user is in debt. A request costs at least `least` bytes.
    """

    def __init__(self, per_second: float, burst: float, *, least: int = 256, max_keys: int = 65_536) -> None:
        self._per_byte = 1.0 / per_second
        self._depth = burst / per_second
        self._least = least
        self._max_keys = max_keys
        # When each budget will be full again, the one that was charged last at the end. A user without an entry has a
        # full budget, so that an idle connection needs no memory here.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def price(self, size: int) -> float:
        """What a request of `size` bytes costs, in seconds of refill."""
        return (size if size > self._least else self._least) * self._per_byte

    def charge(self, key: Hashable, size: int, now: float) -> float:
        """Charges a request of a user; returns for how many seconds the user is in debt then, 0.0 for none.

        A debt above `price` means that the user was in debt before: then the request is refused. The request that
        brings a user into debt is served, because otherwise a large request would be refused at every retry.
        """
        budgets = self._full_at
        full_at = budgets.get(key, now)
        full_at = (full_at if full_at > now else now) + self.price(size)
        debt = full_at - now - self._depth
        if debt <= 0.0:
            debt = 0.0
        elif debt > _MAX_DEBT_SECONDS:
            debt = _MAX_DEBT_SECONDS
            full_at = now + self._depth + debt
        budgets[key] = full_at
        budgets.move_to_end(key)
        self._drop_full(now)
        return debt

    def spend(self, key: Hashable, size: int, now: float) -> None:
        """Charges a request of a user; raises `TooMuchData` where the user was in debt before."""
        debt = self.charge(key, size, now)
        if debt > self.price(size):
            raise TooMuchData("you send more data than you may", retry_after=debt)

    def _drop_full(self, now: float) -> None:
        # Up to two are dropped for each request, so memory shrinks again after many users came at once.
        budgets = self._full_at
        for _ in range(2):
            oldest = next(iter(budgets))
            if budgets[oldest] > now and len(budgets) <= self._max_keys:
                return
            del budgets[oldest]
