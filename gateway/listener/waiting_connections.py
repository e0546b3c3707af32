"""Connections that wait for their client, longest first: evicted when an address or the port is full."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol


class EvictableConnection(Protocol):
    """A connection that can be dropped."""

    @property
    def address(self) -> str:
        """The address of the client."""
        ...

    def drop(self) -> None:
        """Ends the connection, with an answer where one is possible."""
        ...


class WaitingConnections:
    """Times are seconds of a monotonic clock."""

    def __init__(self, min_wait: float) -> None:
        """A connection that waits for less than `min_wait` seconds is not evicted."""
        self._min_wait = min_wait
        # By address, in the order in which they began to wait.
        self._since: defaultdict[str, dict[EvictableConnection, float]] = defaultdict(dict)

    def __len__(self) -> int:
        return sum(map(len, self._since.values()))

    def add(self, connection: EvictableConnection, now: float) -> None:
        """The connection waits for its client from now on."""
        of_address = self._since[connection.address]
        of_address.pop(connection, None)
        of_address[connection] = now

    def remove(self, connection: EvictableConnection) -> None:
        """The connection is served, or has ended."""
        of_address = self._since.get(connection.address)
        if of_address is not None and of_address.pop(connection, None) is not None and not of_address:
            del self._since[connection.address]

    def evict(self, address: str, now: float) -> bool:
        """Drops the connection of an address that has waited longest; False where none has waited long enough."""
        of_address = self._since.get(address)
        if not of_address:
            return False
        connection, since = next(iter(of_address.items()))
        if now - since < self._min_wait:
            return False
        self.remove(connection)
        connection.drop()
        return True

    def evict_for(self, address: str, connections: int, now: float) -> bool:
        """Drops one at the address with most waiting connections; False where that has not more than `connections`.

        `connections` is what `address`, which needs the place, has itself; it may evict one of its own.
        """
        if not self._since:
            return False
        largest = max(self._since, key=lambda other: len(self._since[other]))
        if largest != address and len(self._since[largest]) <= connections:
            return False
        return self.evict(largest, now)
