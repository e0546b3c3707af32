"""The durable pushes of one session: numbered, and kept until the client acknowledges them. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import takewhile

from gateway.config import ResumeLimits
from gateway.fanout.delivery import Delivery

# What a buffered push costs in addition to its payload, in bytes.
_OVERHEAD = 576


class MemoryBudget:
    """The bytes that all replay buffers of a node use together."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class ReplayBuffer:
    """Bounded: pushes that do not fit are dropped, oldest first, and `truncated_to` says up to which number.

    A push is numbered when it is added. The buffer uses no memory while everything is acknowledged.
    """

    __slots__ = ("_budget", "_limits", "_pushes", "_size", "seq", "truncated_to")

    def __init__(self, limits: ResumeLimits, budget: MemoryBudget, seq: int = 0) -> None:
        """`seq`: the last number that was assigned before."""
        self._limits = limits
        self._budget = budget
        self._pushes: deque[tuple[int, Delivery]] | None = None
        self._size = 0
        self.seq = seq
        """The last number assigned."""
        self.truncated_to = 0
        """Pushes with numbers up to this may be missing."""

    def __len__(self) -> int:
        return len(self._pushes or ())

    def add(self, delivery: Delivery) -> int:
        """Adds a push; returns its number."""
        seq = self.seq = self.seq + 1
        pushes, limits, budget = self._pushes, self._limits, self._budget
        if pushes is None:
            pushes = self._pushes = deque()
        pushes.append((seq, delivery))
        size = _size(delivery)
        self._size += size
        budget.used += size
        while pushes and (len(pushes) > limits.pushes or self._size > limits.bytes or budget.used > budget.limit):
            self.truncated_to = max(self.truncated_to, pushes[0][0])
            self._free(_size(pushes.popleft()[1]))
        return seq

    def acknowledge(self, seq: int) -> list[Delivery]:
        """Drops all pushes up to and including this number; returns them."""
        pushes = self._pushes
        if not pushes:
            return []
        if pushes[-1][0] <= seq:
            self._pushes = None
            self._free(self._size)
            return [delivery for _, delivery in pushes]
        dropped: list[Delivery] = []
        while pushes[0][0] <= seq:
            dropped.append(pushes.popleft()[1])
        self._free(sum(map(_size, dropped)))
        return dropped

    def mark_gap(self) -> None:
        """Records that a push may have been missed: skips a number, so that the client notices."""
        self.seq += 1
        self.truncated_to = self.seq

    def skip(self) -> int:
        """Numbers a push that is not kept, because it can be read again; returns its number."""
        self.seq += 1
        self.truncated_to = self.seq
        return self.seq

    def covers(self, seq: int) -> bool:
        """Whether the buffer has every push after this number."""
        return self.truncated_to <= seq <= self.seq

    def after(self, seq: int) -> Iterator[tuple[int, Delivery]]:
        """The pushes after a number, each with its own number."""
        found = list(takewhile(lambda numbered: numbered[0] > seq, reversed(self._pushes or ())))
        return reversed(found)

    def close(self) -> None:
        """Drops everything."""
        self.acknowledge(self.seq)

    def _free(self, size: int) -> None:
        self._size -= size
        self._budget.used -= size


def _size(delivery: Delivery) -> int:
    return len(delivery.payload) + _OVERHEAD
