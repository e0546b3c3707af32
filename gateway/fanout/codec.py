"""Deliveries as protobuf messages, and back."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from gateway.contracts.tables import message_class
from gateway.fanout.delivery import Delivery
from plaudit.gateway.v1 import node_service_pb2 as pb


def delivery_from_pb(delivery: pb.Delivery) -> Delivery:
    """A delivery of fan-out."""
    # Many deliveries that sessions buffer have the same tenant and type.
    return Delivery(
        intern(delivery.tenant),
        delivery.topic,
        intern(delivery.type),
        delivery.payload,
        delivery.version,
        delivery.key,
        delivery.order_key,
    )


class PushReader:
    """The messages of the pushes that clients know."""

    def __init__(self, pushes: Mapping[str, Descriptor]) -> None:
        """`pushes`: the message of each type."""
        self._classes = {kind: message_class(descriptor) for kind, descriptor in pushes.items()}

    def is_readable(self, delivery: Delivery) -> bool:
        """Whether the type is known, and the payload is a message of it."""
        found = self._classes.get(delivery.type)
        if found is None:
            return False
        try:
            found.FromString(delivery.payload)
        except DecodeError:
            return False
        return True
