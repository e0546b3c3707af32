"""The move of a session from one node to another: its snapshot, and what the client must reload. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from gateway.fanout.delivery import Delivery, order_key_of, topic_of_user
from gateway.sessions.detached_sessions import DetachedSession
from gateway.sessions.replay_buffer import ReplayBuffer

COMPLETE, PARTIAL, RESET = "complete", "partial", "reset"
"""The verdicts of a resume."""
MAX_SKEW = 10.0
"""Seconds by which a push may reach one node later than another."""
_MAX_SEQ = 1 << 62


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """The state of a session that moves. `topics`: the durable ones, each with the pushes that the node received on it,
    or None where those may be incomplete."""

    seq: int = 0
    truncated_to: int = 0
    pushes: tuple[tuple[int, Delivery], ...] = ()
    topics: Mapping[str, Sequence[Delivery] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moved:
    """A session that moved to another node before."""

    node_id: str


EMPTY_SNAPSHOT = SessionSnapshot()
"""The snapshot of a session whose node is gone."""


def snapshot_of(detached: DetachedSession, topics: Mapping[str, Sequence[Delivery] | None]) -> SessionSnapshot:
    """The snapshot of a session, with the received pushes of its topics."""
    buffer, own_topic = detached.replay_buffer, topic_of_user(detached.user)
    pushes = tuple((seq, delivery.on(own_topic)) for seq, delivery in buffer.after(0))
    return SessionSnapshot(buffer.seq, buffer.truncated_to, pushes, topics)


def is_valid_seq(seq: int) -> bool:
    """Whether any session can have assigned this number."""
    return seq < _MAX_SEQ


def topics_to_reload(snapshot: SessionSnapshot, topics: Sequence[str], seq: int) -> list[str]:
    """The durable topics that a client must reload after it received all pushes up to `seq`."""
    if topics and snapshot.truncated_to > seq:
        return list(topics)
    return [topic for topic in topics if snapshot.topics.get(topic) is None]


def renumber_into(buffer: ReplayBuffer, snapshot: SessionSnapshot, topics: Sequence[str], seq: int) -> None:
    """Adds the pushes after `seq` on these topics to a new buffer, whose numbers start after `seq`."""
    for number, delivery in snapshot.pushes:
        if number > seq and delivery.topic in topics:
            buffer.add(delivery)


def received_up_to(snapshot: SessionSnapshot, seq: int) -> list[Delivery]:
    """The pushes that the client has received although it did not acknowledge them before."""
    return [delivery for number, delivery in snapshot.pushes if number <= seq]


def not_in_snapshot(snapshot: SessionSnapshot, received: Sequence[Delivery | None]) -> list[Delivery | None]:
    """The pushes received here, without those that the other node received too. None stands for a gap."""
    versions = {
        (topic, order_key_of(delivery)): delivery.version
        for topic, deliveries in snapshot.topics.items()
        for delivery in sorted(deliveries or (), key=attrgetter("version"))
    }
    return [
        delivery
        for delivery in received
        if delivery is None or versions.get((delivery.topic, order_key_of(delivery)), -1) < delivery.version
    ]
