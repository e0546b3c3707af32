"""Deliveries as protobuf messages, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from sys import intern

import structlog
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from gateway.contracts.tables import message_class
from gateway.fanout.delivery import Delivery
from plaudit.gateway.v1 import node_service_pb2 as pb

log = structlog.get_logger()


def deliveries_from_pb(delivery: pb.Delivery, max_topics: int) -> Iterator[Delivery]:
    """A delivery of fan-out, in parts of at most `max_topics` topics; they have the same payload object."""
    # Many deliveries that sessions buffer have the same tenant and type.
    tenant, kind, payload = intern(delivery.tenant), intern(delivery.type), delivery.payload
    version, key, order_key = delivery.version, delivery.key, delivery.order_key
    removed, ends_all = tuple(delivery.removed_users), delivery.ends_subscriptions
    others = tuple(delivery.other_topics)
    first = others[: max_topics - 1]
    yield Delivery(tenant, delivery.topic, kind, payload, version, key, order_key, removed, ends_all, first)
    for start in range(len(first), len(others), max_topics):
        topic, *rest = others[start : start + max_topics]
        yield Delivery(tenant, topic, kind, payload, version, key, order_key, other_topics=tuple(rest))


class PushReader:
    """The messages of the pushes that clients know."""

    def __init__(self, pushes: Mapping[str, Descriptor]) -> None:
        """`pushes`: the message of each type."""
        self._classes = {kind: message_class(descriptor) for kind, descriptor in pushes.items()}

    def is_readable(self, delivery: Delivery) -> bool:
        """Whether the type is known, and the payload is a message of it; logs where it is not.

        An unreadable push does not end the stream that it came on.
        """
        try:
            self._classes[delivery.type].FromString(delivery.payload)
        except (KeyError, DecodeError):
            log.warning("push dropped: its message cannot be read", type=delivery.type)
            return False
        return True
