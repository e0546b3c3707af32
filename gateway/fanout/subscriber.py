"""What receives the pushes of a topic."""

from __future__ import annotations

from typing import Protocol

from gateway.fanout.delivery import Delivery
from gateway.fanout.feed import ConflatedFeed


class DurableSubscriber(Protocol):
    """A session, with a socket or without."""

    def show(self, feed: ConflatedFeed) -> None:
        """Sends the newest update of a feed, now or when the socket is writable."""
        ...

    def deliver(self, delivery: Delivery) -> int:
        """Accepts a durable push, in the order of its topic; returns the number of sockets that it was written to."""
        ...

    def mark_gap(self) -> None:
        """Records that a push may have been missed; the client notices it by the numbers."""
        ...
