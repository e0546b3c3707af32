"""Connections that wait for their client, longest first: those that make room when an address or the port is full."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol


class Waiting(Protocol):
    """A connection that can be ended."""

    @property
    def address(self) -> str:
        """Where it comes from."""
        ...

    def drop(self) -> None:
        """Ends it, and says why where that can be said."""
        ...


class WaitingConnections:
    """Times are seconds of one clock that only grows."""

    def __init__(self, patience: float) -> None:
        """A connection that waits for less than `patience` seconds makes no room."""
        self._patience = patience
        self._since: defaultdict[str, dict[Waiting, float]] = defaultdict(dict)  # by address, in the order they began

    def __len__(self) -> int:
        return sum(map(len, self._since.values()))

    def add(self, connection: Waiting, now: float) -> None:
        """The connection waits for its client from now on."""
        of_address = self._since[connection.address]
        of_address.pop(connection, None)
        of_address[connection] = now

    def remove(self, connection: Waiting) -> None:
        """The connection is served, or has ended."""
        of_address = self._since.get(connection.address)
        if of_address is not None and of_address.pop(connection, None) is not None and not of_address:
            del self._since[connection.address]

    def make_room(self, address: str, now: float) -> bool:
        """Drops the connection of an address that waits longest; False where none has waited for long enough."""
        of_address = self._since.get(address)
        if not of_address:
            return False
        connection, since = next(iter(of_address.items()))
        if now - since < self._patience:
            return False
        self.remove(connection)
        connection.drop()
        return True

    def make_room_for(self, address: str, has: int, now: float) -> bool:
        """The same at the address that has most; False where that has no more than `address`, which `has` so many."""
        if not self._since:
            return False
        largest = max(self._since, key=lambda other: len(self._since[other]))
        if largest != address and len(self._since[largest]) <= has:
            return False
        return self.make_room(largest, now)
