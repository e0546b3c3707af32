"""Snapshots of sessions, and the requests for them, as protobuf messages and back."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.fanout.delivery import Delivery
from gateway.sessions.handover import Moved, SessionSnapshot
from kit.rpc.service_call import Payload
from plaudit.gateway.v1 import node_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2 as registry_pb


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


def take_over_to_pb(tenant: str, user: str, session_id: str, to_node: str) -> pb.TakeOverRequest:
    """The request to release a session to a node."""
    return pb.TakeOverRequest(tenant=tenant, user=user, session_id=session_id, node_id=to_node)


def get_sessions_to_pb(tenant: str, user: str) -> Payload:
    """The request for the sessions of a user."""
    return registry_pb.GetSessionsRequest(tenant=tenant, user=user).SerializeToString()


def nodes_by_session(response: bytes) -> Mapping[str, str]:
    """The nodes of a user's sessions, by session id. Raises DecodeError."""
    sessions = registry_pb.GetSessionsResponse.FromString(response).sessions
    return {session.session_id: session.node_id for session in sessions}


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
