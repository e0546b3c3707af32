"""The durable pushes of one session: numbered, and kept until the client has acknowledged them. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import takewhile

from gateway.config import ResumeLimits
from plaudit.gateway.v1.node_service_pb2 import Delivery

# What a kept push costs beside its payload.
_OVERHEAD = 384


class Pool:
    """The bytes that all trails of a node keep together."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Trail:
    """Bounded: what does not fit goes from the old end, and `lost` tells how far.

    A push takes its number when it is added. Nothing is held as long as everything is acknowledged.
    """

    __slots__ = ("_kept", "_limits", "_pool", "_size", "lost", "seq")

    def __init__(self, limits: ResumeLimits, pool: Pool, seq: int = 0) -> None:
        """`seq`: the last number given before."""
        self._limits = limits
        self._pool = pool
        self._kept: deque[tuple[int, Delivery]] | None = None
        self._size = 0
        self.seq = seq
        """The last number given."""
        self.lost = 0
        """What has a number up to this is perhaps not all known any more."""

    def __len__(self) -> int:
        return len(self._kept or ())

    def add(self, delivery: Delivery) -> int:
        """Keeps a push; returns its number."""
        self.seq += 1
        if self._kept is None:
            self._kept = deque()
        self._kept.append((self.seq, delivery))
        self._count(_size(delivery))
        limits, pool = self._limits, self._pool
        while self._kept and (len(self._kept) > limits.pushes or self._size > limits.bytes or pool.used > pool.limit):
            self.lost = max(self.lost, self._drop())
        return self.seq

    def acknowledge(self, seq: int) -> None:
        """Forgets everything up to and with a number."""
        while self._kept and self._kept[0][0] <= seq:
            self._drop()
        if not self._kept:
            self._kept = None

    def skip(self) -> None:
        """Takes note that something was perhaps missed: a number is left out, so that the client finds out."""
        self.seq += 1
        self.lost = self.seq

    def covers(self, seq: int) -> bool:
        """Whether everything after a number is here."""
        return self.lost <= seq <= self.seq

    def after(self, seq: int) -> Iterator[tuple[int, Delivery]]:
        """The pushes after a number, with theirs."""
        found = list(takewhile(lambda one: one[0] > seq, reversed(self._kept or ())))
        return reversed(found)

    def close(self) -> None:
        """Forgets everything."""
        self.acknowledge(self.seq)

    def _drop(self) -> int:
        assert self._kept
        seq, delivery = self._kept.popleft()
        self._count(-_size(delivery))
        return seq

    def _count(self, size: int) -> None:
        self._size += size
        self._pool.used += size


def _size(delivery: Delivery) -> int:
    return len(delivery.payload) + _OVERHEAD
