"""Pushes of a state on a topic with durable pushes: unnumbered, the newest only, and none of them kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.fanout import state_feeds
from gateway.fanout.delivery import Delivery
from plaudit.message.v1 import updates_pb2
from tests.unit.gateway.fanout.test_durable_topics import OWN, RecordingSubscriber, Topics, own
from tests.unit.gateway.fanout.test_hub import NodeWithConnections


def receipt(version: int, key: str = "conv_1 bob") -> Delivery:
    payload = updates_pb2.Receipt(status="read", read_seq=version).SerializeToString()
    return Delivery("acme", OWN, "receipt", payload, version, key)


def test_an_older_version_of_a_key_is_dropped() -> None:
    topics = Topics()
    topics.deliver(receipt(3), receipt(2), receipt(3), receipt(2, "conv_1 carol"), receipt(4))
    assert topics.subscriber.versions == [-3, -2, -4]


def test_a_receipt_is_neither_numbered_nor_buffered_for_a_resume() -> None:
    topics = Topics()
    topics.deliver(own(1), receipt(9), own(2))
    assert topics.subscriber.versions == [1, -9, 2]
    assert [delivery.version for delivery in topics.durable.recent("acme", OWN)] == [1, 2]
    late = RecordingSubscriber()
    topics.durable.subscribe(late, "acme", OWN)
    topics.deliver(receipt(8), receipt(10))
    assert late.versions == [-10]


def test_an_unreadable_one_is_dropped() -> None:
    topics = Topics()
    topics.deliver(receipt(1)._replace(payload=b"\xff\xff"), receipt(1)._replace(type="no_such_push"), receipt(1))
    assert topics.subscriber.versions == [-1]


def test_the_number_of_remembered_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_feeds, "MAX_KEYS", 3)
    feeds, subscriber = state_feeds.StateFeeds(), RecordingSubscriber()
    for number in range(10):
        feeds.deliver(receipt(5, f"k{number}"), [subscriber])
    for number in range(7, 10):
        feeds.deliver(receipt(4, f"k{number}"), [subscriber])
    assert subscriber.versions == [-5] * 10


async def test_a_slow_socket_gets_the_newest_of_each_key_when_it_reads_again(tmp_path: Path) -> None:
    model = NodeWithConnections(tmp_path, 1)
    connection, socket = model.connections[0], model.sockets[0]
    connection.session.topics = {OWN}
    model.node.durable.subscribe(connection, "acme", OWN)
    socket.blocked = True
    for version in range(1, 6):
        for key in ("conv_1 bob", "conv_1 carol"):
            await model.node.hub.deliver(model, receipt(version, key))
    socket.blocked = False
    socket.buffered = 0
    connection.on_writable()
    sent = [frame["read_seq"] for frame in socket.frames() if frame["type"] == "receipt"]
    # The first was written to the full socket; of the others only the newest of each key.
    assert sent == [1, 5, 5]
    assert not any("seq" in frame for frame in socket.frames() if frame["type"] == "receipt")
