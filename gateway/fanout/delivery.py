"""A push on its way to the subscribers of a topic."""

from __future__ import annotations

from typing import NamedTuple


class Delivery(NamedTuple):
    """See `Delivery` in the contract of the node. A tuple, because fan-out makes very many and sessions buffer them."""

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


def order_key_of(delivery: Delivery) -> str:
    """The key of the order: a delivery whose version is not above the last one of its topic and key is a repetition."""
    return delivery.order_key or delivery.key
