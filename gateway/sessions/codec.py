"""Snapshots of sessions as protobuf messages, and back."""

from __future__ import annotations

from gateway.fanout.delivery import Delivery
from gateway.sessions.handover import Moved, SessionSnapshot
from plaudit.gateway.v1 import node_service_pb2 as pb


def released_to_pb(released: SessionSnapshot | Moved) -> pb.TakeOverResponse:
    """The response to a node that takes a session over."""
    if isinstance(released, Moved):
        return pb.TakeOverResponse(moved_to=released.node_id)
    return pb.TakeOverResponse(
        seq=released.seq,
        lost_seq=released.truncated_to,
        pushes=[pb.KeptPush(seq=seq, delivery=_push_to_pb(delivery)) for seq, delivery in released.pushes],
        topics=[
            pb.KeptTopic(
                topic=topic,
                complete=deliveries is not None,
                received=[
                    pb.Delivery(type=one.type, version=one.version, key=one.key, order_key=one.order_key)
                    for one in deliveries or ()
                ],
            )
            for topic, deliveries in released.topics.items()
        ],
    )


def released_from_pb(response: pb.TakeOverResponse, tenant: str) -> SessionSnapshot | Moved:
    """The snapshot in a response, or where the session has moved to."""
    if response.moved_to:
        return Moved(response.moved_to)
    return SessionSnapshot(
        response.seq,
        response.lost_seq,
        tuple((push.seq, _push_from_pb(push.delivery, tenant)) for push in response.pushes),
        {
            topic.topic: tuple(
                Delivery(tenant, topic.topic, one.type, b"", one.version, one.key, one.order_key)
                for one in topic.received
            )
            if topic.complete
            else None
            for topic in response.topics
        },
    )


def _push_to_pb(delivery: Delivery) -> pb.Delivery:
    return pb.Delivery(
        topic=delivery.topic,
        type=delivery.type,
        payload=delivery.payload,
        version=delivery.version,
        key=delivery.key,
        order_key=delivery.order_key,
    )


def _push_from_pb(push: pb.Delivery, tenant: str) -> Delivery:
    return Delivery(tenant, push.topic, push.type, push.payload, push.version, push.key, push.order_key)
