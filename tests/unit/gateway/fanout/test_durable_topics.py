"""Durable topics on one node: order, repetitions, slow readers, and what is known of other nodes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.config import ResumeLimits
from gateway.contracts.close_codes import CloseCode
from gateway.fanout.delivery import Delivery
from gateway.fanout.durable_topics import NODE_LEFT, DurableTopics
from gateway.fanout.feed import ConflatedFeed
from kit.clock import ManualClock
from plaudit.fanout.v1 import updates_pb2
from tests.unit.gateway.fanout.test_hub import TABLES, NodeWithConnections

OWN = "users/u0"
STREAM = object()
HERE = "here"


def own(version: int, key: str = "", topic: str = OWN) -> Delivery:
    message = updates_pb2.OwnReactionUpdate(target="messages/1", added="👍", version=version)
    return Delivery(
        tenant="acme",
        topic=topic,
        type="own_reaction_update",
        payload=message.SerializeToString(),
        version=version,
        key=key or f"k{version}",
    )


def marker(node_id: str, version: int = 0) -> Delivery:
    return Delivery(tenant="acme", topic=OWN, key=node_id, version=version)


class RecordingSubscriber:
    """A subscriber that records versions, below zero those of pushes that are not durable; 0 is a gap."""

    def __init__(self) -> None:
        self.versions: list[int] = []

    def deliver(self, delivery: Delivery) -> int:
        self.versions.append(delivery.version)
        return 1

    def mark_gap(self) -> None:
        self.versions.append(0)

    def show(self, feed: ConflatedFeed) -> None:
        assert feed.current is not None
        self.versions.append(-feed.current.version)


class RecordingDirectory:
    """A directory that records subscriptions."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []

    def subscribe(self, _: str, topic: str) -> None:
        self.changes.append(("subscribe", topic))

    def unsubscribe(self, _: str, topic: str) -> None:
        self.changes.append(("unsubscribe", topic))

    def is_attached(self) -> bool:
        return True


class Topics:
    """Durable topics with a clock, two senders and one subscriber."""

    def __init__(self, senders: int = 2) -> None:
        self.clock, self.directory, self.subscriber = ManualClock(), RecordingDirectory(), RecordingSubscriber()
        self.senders = senders
        self.durable = DurableTopics(
            HERE,
            self.directory,  # type: ignore[arg-type]
            TABLES,
            ResumeLimits(),
            self.clock.monotonic,
            lambda: self.senders,
        )
        self.streams = [object(), object()]
        for number, stream in enumerate(self.streams):
            self.durable.stream_continues(stream, f"sequence-{number}")
        self.durable.subscribe(self.subscriber, "acme", OWN)

    def deliver(self, *deliveries: Delivery, stream: int = 0) -> None:
        for delivery in deliveries:
            self.durable.deliver(self.streams[stream], delivery)

    def confirm(self) -> None:
        """Every sender announces that it delivers the topic to this node."""
        for stream in range(len(self.streams)):
            self.deliver(marker(HERE), stream=stream)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.durable.expire(self.clock.monotonic())


def test_repetitions_are_dropped_and_the_order_stays() -> None:
    topics = Topics()
    topics.deliver(own(1), own(2), own(1), own(3, "switch"), own(2), own(4, "switch"), own(3, "switch"))
    assert topics.subscriber.versions == [1, 2, 3, 4]


def in_order(version: int, key: str) -> Delivery:
    return own(version, key)._replace(order_key="messages/1")


def test_a_repeated_push_is_dropped_for_every_order_key_and_also_after_a_gap() -> None:
    topics = Topics()
    again = [in_order(version, f"k{version % 100}") for version in range(1, 200)]
    topics.deliver(*again)
    topics.durable.stream_continues(topics.streams[1], "another sequence")
    topics.deliver(*again, in_order(200, "k0"), own(7, "another target"), stream=1)
    assert topics.subscriber.versions == [*range(1, 200), 0, 200, 7]


def test_a_push_on_several_topics_is_new_or_repeated_on_each_of_them() -> None:
    topics, other = Topics(), RecordingSubscriber()
    topics.durable.subscribe(other, "acme", "users/u1")
    topics.deliver(own(1), own(2)._replace(other_topics=("users/u1", "users/away")))
    topics.deliver(own(2, topic="users/u1"), own(3, topic="users/u1"))
    assert (topics.subscriber.versions, other.versions) == ([1, 2], [2, 3])
    assert topics.durable.recent("acme", "users/u1") == [own(2, topic="users/u1"), own(3, topic="users/u1")]
    topics.deliver(marker(HERE)._replace(other_topics=("users/u1",)), stream=0)
    topics.deliver(marker(HERE)._replace(other_topics=("users/u1",)), stream=1)
    assert topics.durable.is_confirmed("acme", "users/u1")


def test_an_unreadable_push_is_dropped_before_it_is_numbered() -> None:
    topics = Topics()
    wrong = own(2)._replace(payload=b"\xff\xff")
    unknown = own(3)._replace(type="no_such_push")
    topics.deliver(own(1), wrong, unknown, own(4))
    assert topics.subscriber.versions == [1, 4]


def test_a_topic_stays_subscribed_for_the_linger_time_after_its_last_subscriber() -> None:
    topics = Topics()
    topics.durable.unsubscribe(topics.subscriber, "acme", OWN)
    topics.clock.advance(9)
    topics.durable.expire(topics.clock.monotonic())
    topics.durable.subscribe(topics.subscriber, "acme", OWN)
    assert topics.directory.changes == [("subscribe", OWN)]
    topics.confirm()
    topics.durable.unsubscribe(topics.subscriber, "acme", OWN)
    topics.clock.advance(10)
    topics.durable.expire(topics.clock.monotonic())
    assert topics.directory.changes == [("subscribe", OWN), ("unsubscribe", OWN)]
    topics.durable.subscribe(topics.subscriber, "acme", OWN)
    topics.confirm()
    assert not topics.durable.is_certain("acme", OWN), "senders may still be about to process the unsubscription"
    topics.clock.advance(10)
    assert topics.durable.is_certain("acme", OWN)


async def test_a_session_is_released_when_every_sender_delivers_to_the_successor() -> None:
    topics = Topics()
    waiting = asyncio.create_task(topics.durable.wait_until_received_by("acme", OWN, "successor", 5.0))
    topics.deliver(marker("successor"), marker("other"))
    await asyncio.sleep(0)
    assert not waiting.done()
    topics.deliver(marker("other"), marker("successor"), stream=1)
    assert await waiting


@pytest.mark.parametrize("change", ["left", "stream ended", "one sender", "no sender"])
async def test_a_sender_without_a_marker_does_not_count(change: str) -> None:
    topics = Topics(0 if change == "no sender" else 2)
    topics.deliver(marker("successor"))
    if change != "one sender":
        topics.deliver(marker("successor"), stream=1)
    if change == "left":
        topics.deliver(marker("successor", NODE_LEFT), stream=1)
    if change == "stream ended":
        topics.durable.stream_ended(topics.streams[1])
    assert not await topics.durable.wait_until_received_by("acme", OWN, "successor", 0.01)


def test_a_sender_whose_stream_broke_continues_its_sequence_or_a_gap_is_marked() -> None:
    topics = Topics()
    topics.durable.stream_ended(topics.streams[0])
    topics.clock.advance(4)
    topics.durable.expire(topics.clock.monotonic())
    again = object()
    topics.durable.stream_continues(again, "sequence-0")
    assert topics.subscriber.versions == []
    topics.durable.stream_ended(again)
    topics.clock.advance(5)
    topics.durable.expire(topics.clock.monotonic())
    assert topics.subscriber.versions == [0]
    topics.durable.stream_continues(object(), "sequence-9")
    assert topics.subscriber.versions == [0, 0]


def test_a_gap_is_logged_only_if_clients_have_to_reload() -> None:
    topics = Topics()
    with capture_logs() as logs:
        topics.durable.stream_continues(object(), "sequence-8")
        assert [line["topics"] for line in logs] == [1]
        topics.durable.unsubscribe(topics.subscriber, "acme", OWN)
        topics.durable.stream_continues(object(), "sequence-9")
    assert len(logs) == 1


@pytest.fixture(name="model")
def fixture_model(tmp_path: Path) -> NodeWithConnections:
    return NodeWithConnections(tmp_path, 1)


async def test_a_slow_reader_gets_every_durable_push_in_order_and_then_the_newest_state(
    model: NodeWithConnections,
) -> None:
    (connection,), (socket,) = model.connections, model.sockets
    connection.session.topics = {OWN, "messages/1"}
    model.node.hub.subscribe(connection, "acme", [OWN, "messages/1"])
    await model.node.hub.deliver(STREAM, own(1))
    socket.blocked, socket.buffered = True, 1
    for version in range(2, 6):
        await model.node.hub.deliver(STREAM, own(version))
        await model.act(("deliver", 0, version))
    assert [frame["seq"] for frame in socket.frames()] == [1]
    await model.settle()
    frames = [frame for frame in socket.frames() if frame["type"] != "lag"]
    assert [frame.get("seq") for frame in frames[:5]] == [1, 2, 3, 4, 5]
    assert not any("seq" in frame for frame in frames[5:])
    assert frames[-1]["version"] == "5"


async def test_a_reader_too_slow_for_its_durable_pushes_is_closed(model: NodeWithConnections) -> None:
    (connection,), (socket,) = model.connections, model.sockets
    codes: list[int] = []
    socket.close = lambda code, reason: codes.append(code)  # type: ignore[method-assign]
    model.node.hub.subscribe(connection, "acme", [OWN])
    socket.blocked, socket.buffered = True, 1
    for version in range(1, model.node.config.resume.pushes + 3):
        await model.node.hub.deliver(STREAM, own(version))
    assert codes == [CloseCode.SLOW_CONSUMER]
