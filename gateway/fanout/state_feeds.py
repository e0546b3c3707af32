"""The pushes of a state on a topic that has durable ones, too: of each key only the newest matters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from gateway.fanout.delivery import Delivery
from gateway.fanout.feed import ConflatedFeed, Update

# Keys of a topic whose last version is remembered, so that no older one follows it.
MAX_KEYS = 1_024


class StateSubscriber(Protocol):
    """A session, with a socket or without."""

    def show(self, feed: ConflatedFeed) -> bool:
        """Sends the newest update of a feed, now or when the socket is writable; returns whether it needs the feed no
        more."""
        ...


class StateFeeds:
    """Hands each update to every subscriber there is. None is kept: a subscriber that comes later loads the state."""

    __slots__ = ("_feeds",)

    def __init__(self) -> None:
        self._feeds: OrderedDict[str, ConflatedFeed] = OrderedDict()

    def deliver(self, delivery: Delivery, subscribers: Iterable[StateSubscriber]) -> int:
        """Delivers a push; returns the number of subscribers, 0 where it is not newer than one before."""
        feed = self._feeds.get(delivery.key)
        if feed is None:
            feed = self._feeds[delivery.key] = ConflatedFeed()
            if len(self._feeds) > MAX_KEYS:
                self._feeds.popitem(last=False)
        self._feeds.move_to_end(delivery.key)
        if delivery.version <= feed.version:
            return 0
        feed.current = Update(delivery.topic, delivery.type, delivery.payload, delivery.version)
        shown = [subscriber.show(feed) for subscriber in list(subscribers)]
        if all(shown):
            feed.drop_update()
        return len(shown)
