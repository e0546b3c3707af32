"""Budgets of users: how many bytes each may send, over all of its connections. Time is an argument."""

from __future__ import annotations

from collections.abc import Hashable
from weakref import WeakValueDictionary

from kit.errors import TooMuchData

_MAX_DEBT_SECONDS = 60.0


class Budget:
    """The budget of one user: when it will be full again, in seconds of the clock of its `Budgets`."""

    __slots__ = ("__weakref__", "full_at")

    def __init__(self) -> None:
        self.full_at = float("-inf")


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
        # Those that a connection uses, and those that are not full: a full one is the same as a new one.
        self._budgets: WeakValueDictionary[Hashable, Budget] = WeakValueDictionary()
        self._kept: dict[Hashable, Budget] = {}

    def __len__(self) -> int:
        return len(self._budgets)

    def of(self, key: Hashable, now: float) -> Budget:
        """The budget of a user. It is the same for all connections, also for those that come later."""
        budget = self._budgets.get(key)
        if budget is None:
            budget = self._budgets[key] = Budget()
        self._kept.pop(key, None)
        self._drop_full(now)
        self._kept[key] = budget
        return budget

    def price(self, size: int) -> float:
        """What a request of `size` bytes costs, in seconds of refill."""
        return (size if size > self._least else self._least) * self._per_byte

    def charge(self, budget: Budget, size: int, now: float) -> float:
        """Charges a request of `size` bytes; returns for how many seconds the user is in debt then, 0.0 for none.

        A debt above `price` means that the user was in debt before: then the request is refused. The request that
        brings a user into debt is served, because otherwise a large request would be refused at every retry.
        """
        full_at = budget.full_at if budget.full_at > now else now
        full_at += self.price(size)
        debt = full_at - now - self._depth
        if debt <= 0.0:
            budget.full_at = full_at
            return 0.0
        if debt > _MAX_DEBT_SECONDS:
            debt = _MAX_DEBT_SECONDS
            full_at = now + self._depth + debt
        budget.full_at = full_at
        return debt

    def spend(self, key: Hashable, size: int, now: float) -> None:
        """Charges a request of a user; raises `TooMuchData` where the user was in debt before."""
        debt = self.charge(self.of(key, now), size, now)
        if debt > self.price(size):
            raise TooMuchData("you send more data than you may", retry_after=debt)

    def _drop_full(self, now: float) -> None:
        # Two are dropped for each one that is added, so memory shrinks again after many users came at once.
        for _ in range(2):
            oldest = next(iter(self._kept), None)
            if oldest is None or (self._kept[oldest].full_at > now and len(self._kept) < self._max_keys):
                return
            del self._kept[oldest]
