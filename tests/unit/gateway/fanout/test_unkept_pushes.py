"""Pushes that are not durable, on a topic with durable ones: unnumbered, in order, and none of them kept."""

from __future__ import annotations

from pathlib import Path

from gateway.fanout.delivery import Delivery
from plaudit.message.v1 import updates_pb2
from tests.unit.gateway.fanout.test_durable_topics import OWN, RecordingSubscriber, Topics, own
from tests.unit.gateway.fanout.test_hub import NodeWithConnections


def receipt(version: int, conversation_id: str = "conv_1") -> Delivery:
    payload = updates_pb2.Receipt(status="read", read_seq=version).SerializeToString()
    return Delivery("acme", OWN, "receipt", payload, version, f"{conversation_id} {version}", conversation_id)


def test_one_that_is_older_than_the_last_of_its_conversation_is_dropped() -> None:
    topics = Topics()
    topics.deliver(receipt(3), receipt(2), receipt(3), receipt(2, "conv_2"), receipt(4))
    assert topics.subscriber.versions == [-3, -3, -2, -4]


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


async def test_a_slow_socket_gets_all_of_them_when_it_reads_again(tmp_path: Path) -> None:
    model = NodeWithConnections(tmp_path, 1)
    connection, socket = model.connections[0], model.sockets[0]
    connection.session.topics = {OWN}
    model.node.durable.subscribe(connection, "acme", OWN)
    socket.blocked = True
    for version in range(1, 6):
        await model.node.hub.deliver(model, receipt(version))
    socket.blocked = False
    socket.buffered = 0
    connection.on_writable()
    sent = [frame for frame in socket.frames() if frame["type"] == "receipt"]
    assert [frame["read_seq"] for frame in sent] == [1, 2, 3, 4, 5]
    assert not any("seq" in frame for frame in sent)
