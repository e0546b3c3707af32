"""The queue of one node: the newest delivery per topic and key, in order of arrival. No I/O."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueuedDelivery(Generic[K, T]):
    """One delivery: of two with the same key the one with the larger version is sent.

    A `state` delivery has the complete state of its key. It gets the position in the queue of the one it replaces, so a
    key that changes all the time is still sent, and it can be requested again. Any other delivery goes to the end,
    because its order among the keys has a meaning."""

    key: K
    version: int
    item: T
    state: bool = True
    size: int = 0
    """In bytes."""


class SendQueue(Generic[K, T]):
    """Bounded: above `limit` the oldest deliveries are dropped, and the keys of dropped states are remembered."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._deliveries: OrderedDict[K, QueuedDelivery[K, T]] = OrderedDict()
        self._dropped: OrderedDict[K, None] = OrderedDict()
        self.gaps = 0
        """Number of dropped deliveries that were no states, and so cannot be requested again."""

    def __len__(self) -> int:
        return len(self._deliveries)

    @property
    def dropped(self) -> int:
        """Number of keys whose state was dropped and has not been added again."""
        return len(self._dropped)

    def put(self, delivery: QueuedDelivery[K, T]) -> bool:
        """Adds a delivery; returns whether one of the same key was waiting, so that only one of the two is sent.

        Of equal versions the first stays: a repeated one has less content.
        """
        waiting = self._deliveries.get(delivery.key)
        if waiting is not None:
            if delivery.version > waiting.version:
                self._deliveries[delivery.key] = delivery
                if not delivery.state:
                    self._deliveries.move_to_end(delivery.key)
            return True
        self._deliveries[delivery.key] = delivery
        self._dropped.pop(delivery.key, None)
        self._drop()
        return False

    def take(self, limit: int, max_bytes: int = sys.maxsize) -> list[QueuedDelivery[K, T]]:
        """Removes and returns up to `limit` deliveries of up to `max_bytes`, but at least one, oldest first."""
        taken: list[QueuedDelivery[K, T]] = []
        size = 0
        while self._deliveries and len(taken) < limit:
            delivery = self._deliveries[next(iter(self._deliveries))]
            size += delivery.size
            if taken and size > max_bytes:
                break
            taken.append(self._deliveries.popitem(last=False)[1])
        return taken

    def take_dropped(self) -> list[K]:
        """Removes and returns keys of dropped states, at most as many as fit; none while the queue is half full."""
        capacity = self._limit - len(self._deliveries)
        if capacity < self._limit // 2:
            return []
        return [self._dropped.popitem(last=False)[0] for _ in range(min(capacity, len(self._dropped)))]

    def requeue(self, deliveries: Sequence[QueuedDelivery[K, T]]) -> None:
        """Puts deliveries that may not have arrived back to the front, except where a newer one of the key waits."""
        for delivery in reversed(deliveries):
            waiting = self._deliveries.get(delivery.key)
            if waiting is None or waiting.version < delivery.version:
                self._deliveries[delivery.key] = delivery
            elif not delivery.state:
                continue  # the newer one keeps its position in the queue
            self._deliveries.move_to_end(delivery.key, last=False)
        self._drop()

    def _drop(self) -> None:
        while len(self._deliveries) > self._limit:
            key, dropped = self._deliveries.popitem(last=False)
            if dropped.state:
                self._dropped[key] = None
            else:
                self.gaps += 1
