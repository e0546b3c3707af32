"""`subscribed` of a durable topic waits until every sender delivers the topic to the node."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, ResumeLimits
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from tests.wire.gatewayrig import JSON, PROTO, Client, Rig, confirm, running, until
from tests.wire.sessions.resuming import OWN, opened, own, pushes, resume
from tests.wire.sessions.topic_pushes import TOPIC, update

SHORT = Config(resume=ResumeLimits(confirmation=0.2))


class Sender:
    """A stream of fan-out."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        rig.gateway.node.durable.stream_continues(self, "")

    def confirm(self, topic: str = OWN) -> None:
        confirm(self._rig.gateway, self, "default", topic)


async def send(client: Client, type: str, id: int, topics: list[str]) -> None:
    if client.is_json:
        await client.socket.send(json.dumps({"type": type, "id": id, "topics": topics}))
        return
    message: Any = pb.Subscribe if type == "subscribe" else pb.Unsubscribe
    await client.socket.send(pb.ClientFrame(id=id, **{type: message(topics=topics)}).SerializeToString())


async def assert_silent(client: Client) -> None:
    """Nothing was answered: the answer to a ping is the next frame."""
    answer = await client.ask(
        {"type": "ping", "id": 77} if client.is_json else pb.ClientFrame(id=77, ping=session_pb.Ping())
    )
    assert (answer["type"] if client.is_json else answer.WhichOneof("body")) == "pong"


async def kind_of_next(client: Client) -> str:
    frame = await client.next()
    return str(frame["type"] if client.is_json else frame.WhichOneof("body"))


def unconfirmed(rig: Rig) -> int:
    return rig.gateway.node.durable.unconfirmed


@pytest.mark.parametrize("subprotocol", [JSON, PROTO])
async def test_subscribed_waits_for_the_sender(tmp_path: Path, subprotocol: str) -> None:
    async with running(tmp_path, is_confirming=False) as rig, rig.socket(subprotocol=subprotocol) as client:
        sender = Sender(rig)
        await send(client, "subscribe", 2, [OWN])
        await assert_silent(client)
        sender.confirm()
        assert await kind_of_next(client) == "subscribed"
        await rig.deliver(own(1))
        assert await pushes(client, 1) == [(1, 1)]
        await send(client, "subscribe", 3, [OWN])
        assert await kind_of_next(client) == "subscribed", "the topic is confirmed"


async def test_other_topics_are_answered_immediately_and_no_update_arrives_before_the_answer(tmp_path: Path) -> None:
    async with running(tmp_path, is_confirming=False) as rig, rig.socket() as client, rig.socket() as other:
        sender = Sender(rig)
        await send(other, "subscribe", 2, [TOPIC])
        assert (await other.next())["type"] == "subscribed"
        await send(client, "subscribe", 2, [TOPIC, OWN])
        await assert_silent(client)
        await rig.deliver(update(1))
        await assert_silent(client)
        sender.confirm()
        assert [(await client.next())["type"] for _ in range(2)] == ["subscribed", "reaction_update"]


async def test_many_sockets_of_a_user_wait_together(tmp_path: Path) -> None:
    async with running(tmp_path, is_confirming=False) as rig, rig.socket() as one, rig.socket() as two:
        sender = Sender(rig)
        for client in (one, two):
            await send(client, "subscribe", 2, [OWN])
            await assert_silent(client)
        sender.confirm()
        assert [await kind_of_next(client) for client in (one, two)] == ["subscribed"] * 2
        assert [event[0] for event in rig.directory.events].count("subscribed") == 1


async def test_without_a_sender_subscribed_is_sent_at_the_timeout_and_a_gap_follows_when_a_sender_confirms(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, config=SHORT, is_confirming=False) as rig, rig.socket() as client:
        await send(client, "subscribe", 2, [OWN])
        assert await kind_of_next(client) == "subscribed"
        assert (await client.ask({"type": "ping", "id": 3}))["seq"] == "0", "a reload does not help yet"
        Sender(rig).confirm()
        assert (await client.ask({"type": "ping", "id": 4}))["seq"] == "1", "the client reloads"
        assert (await client.ask({"type": "ping", "id": 5}))["seq"] == "1", "once"


async def test_unsubscribing_ends_the_wait(tmp_path: Path) -> None:
    async with running(tmp_path, is_confirming=False) as rig, rig.socket() as client:
        sender = Sender(rig)
        await send(client, "subscribe", 2, [TOPIC, OWN])
        await send(client, "unsubscribe", 3, [OWN, TOPIC])
        frames = [await client.next() for _ in range(2)]
        assert [(frame["type"], frame["id"]) for frame in frames] == [("subscribed", 2), ("unsubscribed", 3)]
        sender.confirm()
        await rig.deliver(own(1), update(1))
        await assert_silent(client)
        assert unconfirmed(rig) == 0


async def test_a_socket_that_closes_while_it_waits_leaves_no_state_and_its_session_can_resume(tmp_path: Path) -> None:
    async with running(tmp_path, is_confirming=False) as rig, rig.socket(hello=False) as second:
        sender = Sender(rig)
        async with rig.socket(hello=False) as first:
            welcome = await opened(first)
            await send(first, "subscribe", 3, [OWN])
            await assert_silent(first)
            assert unconfirmed(rig) == 1
            first.socket.transport.abort()
            await until(lambda: len(rig.gateway.node) == 1)
        assert unconfirmed(rig) == 0
        resuming = asyncio.create_task(resume(second, welcome, 0, {OWN: 0}))
        await until(lambda: unconfirmed(rig) == 1)
        assert not resuming.done()
        sender.confirm()
        assert (await resuming)["verdict"] == "complete"
        await rig.deliver(own(1))
        assert await pushes(second, 1) == [(1, 1)]


async def test_a_resumed_session_with_another_topic_waits_for_the_sender(tmp_path: Path) -> None:
    async with running(tmp_path, is_confirming=False) as rig, rig.socket(hello=False) as second:
        sender = Sender(rig)
        async with rig.socket(hello=False) as first:
            welcome = await opened(first)
            first.socket.transport.abort()
            await until(lambda: len(rig.gateway.node) == 1)
        resuming = asyncio.create_task(resume(second, welcome, 0, {OWN: 0}))
        await until(lambda: unconfirmed(rig) == 1)
        sender.confirm()
        answer = await resuming
        assert (answer["verdict"], answer["reload"]) == ("partial", [OWN]), "what came before may be missing"
