"""Snapshots of sessions as protobuf messages, and back."""

from __future__ import annotations

from gateway.sessions.handover import SessionSnapshot
from plaudit.gateway.v1 import node_service_pb2 as pb


def snapshot_to_pb(snapshot: SessionSnapshot) -> pb.TakeOverResponse:
    """The response to a node that takes a session over."""
    return pb.TakeOverResponse(
        seq=snapshot.seq,
        lost_seq=snapshot.truncated_to,
        pushes=[pb.KeptPush(seq=seq, delivery=_without_tenant(delivery)) for seq, delivery in snapshot.pushes],
        topics=[
            pb.KeptTopic(
                topic=topic,
                complete=deliveries is not None,
                received=[
                    pb.Delivery(type=one.type, version=one.version, key=one.key, order_key=one.order_key)
                    for one in deliveries or ()
                ],
            )
            for topic, deliveries in snapshot.topics.items()
        ],
    )


def snapshot_from_pb(response: pb.TakeOverResponse, tenant: str) -> SessionSnapshot:
    """The snapshot in a response. Changes the response: its deliveries get the tenant and the topic."""
    for push in response.pushes:
        push.delivery.tenant = tenant
    for topic in response.topics:
        for delivery in topic.received:
            delivery.tenant, delivery.topic = tenant, topic.topic
    return SessionSnapshot(
        response.seq,
        response.lost_seq,
        tuple((push.seq, push.delivery) for push in response.pushes),
        {topic.topic: tuple(topic.received) if topic.complete else None for topic in response.topics},
    )


def _without_tenant(delivery: pb.Delivery) -> pb.Delivery:
    return pb.Delivery(
        topic=delivery.topic,
        type=delivery.type,
        payload=delivery.payload,
        version=delivery.version,
        key=delivery.key,
        order_key=delivery.order_key,
    )
