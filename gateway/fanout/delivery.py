"""A push on its way to the subscribers of a topic, or of several."""

from __future__ import annotations

from typing import NamedTuple


class Delivery(NamedTuple):
    """See `Delivery` in the contract of the node. A tuple, because fan-out makes very many and sessions buffer them.

    One object is shared by the buffers of all sessions that it goes to.
    """

    tenant: str
    topic: str
    type: str = ""
    """The type of the push; empty: a marker, which says that the node `key` receives the topic."""
    payload: bytes = b""
    """The message of the push, serialized."""
    version: int = 0
    key: str = ""
    """What the push replaces within the topic."""
    order_key: str = ""
    """What the push is in order with within the topic; empty: `key`."""
    removed_users: tuple[str, ...] = ()
    """Users whose subscriptions of the conversation end before the push is sent."""
    ends_subscriptions: bool = False
    """Whether those of all users end."""
    other_topics: tuple[str, ...] = ()
    """Further topics of the tenant that get the same push."""

    def on(self, topic: str) -> Delivery:
        """The delivery as that of one of its topics."""
        if topic == self.topic and not self.other_topics:
            return self
        return self._replace(topic=topic, other_topics=())


def order_key_of(delivery: Delivery) -> str:
    """The key of the order: a delivery whose version is not above the last one of its topic and key is a repetition."""
    return delivery.order_key or delivery.key


def topic_of_user(user: str) -> str:
    """The topic of a user: the only one that durable pushes come on."""
    return f"users/{user}"
