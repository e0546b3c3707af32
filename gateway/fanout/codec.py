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


def deliveries_from_pb(delivery: pb.Delivery) -> Iterator[Delivery]:
    """A delivery of fan-out, for each of its topics; they have the same payload object."""
    # Many deliveries that sessions buffer have the same tenant and type.
    tenant, kind, payload = intern(delivery.tenant), intern(delivery.type), delivery.payload
    version, key, order_key = delivery.version, delivery.key, delivery.order_key
    removed = tuple(delivery.removed_users)
    ends_all = delivery.ends_subscriptions
    yield Delivery(tenant, delivery.topic, kind, payload, version, key, order_key, removed, ends_all)
    for topic in delivery.other_topics:
        yield Delivery(tenant, topic, kind, payload, version, key, order_key)


class PushReader:
    """The messages of the pushes that clients know."""

    def __init__(self, pushes: Mapping[str, Descriptor]) -> None:
        """`pushes`: the message of each type."""
        self._classes = {kind: message_class(descriptor) for kind, descriptor in pushes.items()}
        self._last: tuple[str, bytes] | None = None

    def is_readable(self, delivery: Delivery) -> bool:
        """Whether the type is known, and the payload is a message of it; logs where it is not.

        An unreadable push does not end the stream that it came on.
        """
        last = self._last
        if last is not None and delivery.payload is last[1] and delivery.type == last[0]:
            return True  # the same push for another topic
        try:
            self._classes[delivery.type].FromString(delivery.payload)
        except (KeyError, DecodeError):
            log.warning("push dropped: its message cannot be read", type=delivery.type)
            return False
        self._last = (delivery.type, delivery.payload)
        return True
