"""One durable topic: its subscribers here, and its recent pushes. No I/O."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from gateway.config import ResumeLimits
from gateway.fanout.confirmations import Receivers
from gateway.fanout.delivery import Delivery
from gateway.fanout.subscriber import DurableSubscriber


class DurableTopic(Receivers):
    """See `DurableTopics`."""

    __slots__ = ("_received", "_unkept_versions", "_versions", "idle_since", "name", "subscribers", "unsure_until")

    def __init__(self, name: str, unsure_until: float) -> None:
        super().__init__()
        self.name = name
        self.subscribers: list[DurableSubscriber] = []
        self.unsure_until = unsure_until
        """Until then the senders may not know yet that this node subscribes to the topic again."""
        self.idle_since = 0.0
        """When the last subscriber unsubscribed."""
        # The rest is created when it is needed: most topics are quiet. Versions are by order key.
        self._received: deque[tuple[float, Delivery]] | None = None
        self._versions: OrderedDict[str, int] | None = None
        self._unkept_versions: OrderedDict[str, int] | None = None

    def mark_gap(self) -> None:
        """See `confirmations.Receivers`."""
        for subscriber in self.subscribers:
            subscriber.mark_gap()

    def accepts(self, order_key: str, received: tuple[float, Delivery], limits: ResumeLimits) -> bool:
        """Whether a durable push is newer than the last one of its order key. Such a push is recorded.

        `received`: when it was received, and the push; one object for all topics of the push.
        """
        versions, pushes = self._versions, self._received
        if versions is None or pushes is None:
            versions = self._versions = OrderedDict()
            pushes = self._received = deque(maxlen=limits.recent)
        version = received[1].version
        if versions.get(order_key, -1) >= version:
            return False
        _put(versions, order_key, version, limits.order_keys)
        pushes.append(received)
        return True

    def accepts_unkept(self, order_key: str, version: int, limits: ResumeLimits) -> bool:
        """Whether a push that is not durable is no older than the last one of its order key. Records its version."""
        versions = self._unkept_versions
        if versions is None:
            versions = self._unkept_versions = OrderedDict()
        if versions.get(order_key, -1) > version:
            return False
        _put(versions, order_key, version, limits.order_keys)
        return True

    def recent(self, since: float) -> Sequence[Delivery]:
        """The last durable pushes, those received since then, oldest first, only the newest of each key."""
        newest: dict[str, Delivery] = {}
        for at, delivery in self._received or ():
            if at >= since:
                newest.pop(delivery.key, None)
                newest[delivery.key] = delivery.on(self.name)
        return list(newest.values())


def _put(versions: OrderedDict[str, int], order_key: str, version: int, limit: int) -> None:
    versions[order_key] = version
    versions.move_to_end(order_key)
    if len(versions) > limit:
        versions.popitem(last=False)
