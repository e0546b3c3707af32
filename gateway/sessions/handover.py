"""A session goes from one node to another: what is asked for, what is given, and what that means for the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from gateway.fanout.durable_topics import order_key_of
from gateway.sessions.replay_buffer import Trail
from plaudit.gateway.v1 import node_service_pb2 as pb

COMPLETE, PARTIAL, RESET = "complete", "partial", "reset"
# Seconds by which a push may come later to one node than to another.
APART = 10.0
_MAX_SEQ = 1 << 62


@dataclass(frozen=True, slots=True)
class Held:
    """What was kept of a session. `topics`: the durable ones, with what came on them where it was, or None where that
    is not all there was."""

    seq: int = 0
    lost: int = 0
    pushes: tuple[tuple[int, pb.Delivery], ...] = ()
    topics: Mapping[str, Sequence[pb.Delivery] | None] = field(default_factory=dict)


NOTHING = Held()
"""Of a session whose node is gone."""


def is_number(seq: int) -> bool:
    """Whether a client of any session can have got so far."""
    return seq < _MAX_SEQ


def missing(held: Held, wanted: Sequence[str], seq: int) -> list[str]:
    """The durable topics a client must reload that has seen all pushes up to `seq`."""
    if wanted and held.lost > seq:
        return list(wanted)
    return [topic for topic in wanted if held.topics.get(topic) is None]


def renumbered(held: Held, wanted: Sequence[str], seq: int, trail: Trail) -> None:
    """Puts what the client has not seen into a new trail that begins after `seq`."""
    for number, delivery in held.pushes:
        if number > seq and delivery.topic in wanted:
            trail.add(delivery)


def unknown_there(held: Held, here: Sequence[pb.Delivery | None]) -> list[pb.Delivery | None]:
    """What came here, without what came to the node that held the session as well; None stands for what is missing."""
    there = {
        (topic, order_key_of(delivery)): delivery.version
        for topic, received in held.topics.items()
        for delivery in sorted(received or (), key=attrgetter("version"))
    }
    return [one for one in here if one is None or there.get((one.topic, order_key_of(one)), -1) < one.version]


def to_pb(held: Held) -> pb.TakeOverResponse:
    """What the other node is answered."""
    return pb.TakeOverResponse(
        seq=held.seq,
        lost_seq=held.lost,
        pushes=[pb.KeptPush(seq=seq, delivery=_without_tenant(delivery)) for seq, delivery in held.pushes],
        topics=[
            pb.KeptTopic(
                topic=topic,
                complete=received is not None,
                received=[
                    pb.Delivery(type=one.type, version=one.version, key=one.key, order_key=one.order_key)
                    for one in received or ()
                ],
            )
            for topic, received in held.topics.items()
        ],
    )


def from_pb(response: pb.TakeOverResponse, tenant: str) -> Held:
    """What the other node has answered."""
    for push in response.pushes:
        push.delivery.tenant = tenant
    for topic in response.topics:
        for received in topic.received:
            received.tenant, received.topic = tenant, topic.topic
    return Held(
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
