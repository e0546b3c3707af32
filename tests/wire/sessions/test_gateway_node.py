"""Fan-out to real sockets: which pushes a subscriber gets, in which order, and slow readers."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway import metrics
from gateway.config import Config, SessionLimits
from gateway.limits import SocketLimits
from gateway.sessions.connection import Connection
from gateway.sessions.session import Session
from gateway.websocket.framing import Framing
from gateway.websocket.socket import Socket
from kit.clock import ManualClock
from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1.node_service_pb2 import Delivery
from plaudit.type.v1.counts_pb2 import ReactionCount
from tests.wire.gatewayrig import PROTO, Client, Rig, running, until

TOPIC = "messages/42"


def update(version: int, *, topic: str = TOPIC, tenant: str = "default", key: str = "", text: str = "👍") -> Delivery:
    payload = updates_pb2.ReactionUpdate(version=version, reactions=[ReactionCount(emoji=text, count=version)])
    kind = "reaction_update"
    return Delivery(
        tenant=tenant, topic=topic, type=kind, payload=payload.SerializeToString(), version=version, key=key
    )


async def subscribed(client: Client, *topics: str) -> Client:
    topics = topics or (TOPIC,)
    if client.is_json:
        assert (await client.ask({"type": "subscribe", "id": 2, "topics": topics}))["type"] == "subscribed"
    else:
        answer = await client.ask(pb.ClientFrame(id=2, subscribe=pb.Subscribe(topics=topics)))
        assert list(answer.subscribed.topics) == list(topics)
    return client


async def versions(client: Client, last: int) -> list[int]:
    """The versions pushed, up to and including `last`."""
    seen: list[int] = []
    while not seen or seen[-1] != last:
        frame = await client.next()
        if frame["type"] != "lag":
            seen.append(int(frame["version"]))
    return seen


async def test_a_push_reaches_its_subscribers_in_their_own_subprotocols(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as rig,
        rig.socket() as text,
        rig.socket("bob", PROTO) as binary,
        rig.socket() as other,
    ):
        await subscribed(text)
        await subscribed(binary)
        await subscribed(other, "messages/43")
        assert await rig.deliver(update(18)) == 2
        assert await text.next() == {
            "type": "reaction_update",
            "topic": TOPIC,
            "version": "18",
            "reactions": [{"emoji": "👍", "count": "18"}],
            "storm": False,
            "recent": [],
        }
        push = (await binary.next()).push
        assert (push.topic, push.type) == (TOPIC, "reaction_update")
        assert updates_pb2.ReactionUpdate.FromString(push.payload).version == 18
        assert (await other.ask({"type": "ping", "id": 3}))["type"] == "pong"


async def test_another_tenants_topic_of_the_same_name_is_another_topic(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client)
        assert await rig.deliver(update(5, tenant="other")) == 0
        assert await rig.deliver(update(4)) == 1
        assert await versions(client, 4) == [4]


async def test_versions_never_go_back_and_are_never_repeated(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client)
        for version in (3, 2, 3, 7, 5, 7, 9):
            await rig.deliver(update(version))
        assert await versions(client, 9) == [3, 7, 9]


async def test_a_later_subscriber_gets_the_last_update_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as first, rig.socket("bob", PROTO) as late:
        await subscribed(first)
        await rig.deliver(update(6), update(7))
        await subscribed(late)
        assert updates_pb2.ReactionUpdate.FromString((await late.next()).push.payload).version == 7


async def test_updates_of_different_keys_do_not_replace_each_other(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client, rig.socket("bob") as late:
        await subscribed(client)
        await rig.deliver(update(5, key="a"), update(4, key="b"))
        assert [int((await client.next())["version"]) for _ in range(2)] == [5, 4]
        await subscribed(late)
        assert {int((await late.next())["version"]) for _ in range(2)} == {4, 5}


async def test_a_topic_is_registered_from_its_first_subscriber_to_its_last(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        subscriptions = [event for event in rig.directory.events if "subscribed" in event[0]]
        async with rig.socket() as first:
            await subscribed(first)
            async with rig.socket("bob") as second:
                await subscribed(second)
            await until(lambda: len(rig.gateway.node) == 1)
            subscriptions = [event for event in rig.directory.events if "subscribed" in event[0]]
            assert subscriptions == [("subscribed", "default", TOPIC)]
        await until(lambda: ("unsubscribed", "default", TOPIC) in rig.directory.events)
        assert [event[0] for event in rig.directory.events].count("closed") == 2


async def test_a_subscriber_that_comes_back_to_a_topic_misses_nothing_and_gets_nothing_older(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client)
        await rig.deliver(update(10))
        assert await versions(client, 10) == [10]
        assert (await client.ask({"type": "unsubscribe", "id": 3, "topics": [TOPIC]}))["topics"] == [TOPIC]
        await rig.deliver(update(12))
        await subscribed(client)
        await rig.deliver(update(11))
        await rig.deliver(update(13))
        assert await versions(client, 13) == [12, 13]


async def test_an_unreadable_push_is_dropped_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as client:
        await subscribed(client, TOPIC, "messages/43")
        broken = Delivery(tenant="default", topic="messages/43", type="reaction_update", payload=b"\xff", version=1)
        unknown = Delivery(tenant="default", topic="messages/43", type="mystery", payload=b"", version=2)
        await rig.deliver(broken, unknown, update(3))
        assert await versions(client, 3) == [3]


async def fill_up(rig: Rig, client: Client, count: int = 4000) -> None:
    """Delivers large updates until the socket of the client is full, and some more."""
    deferred = metrics.total("deferred")
    text = "x" * 20_000
    for version in range(1, count):
        await rig.deliver(update(version, text=text))
        if metrics.total("deferred") > deferred + 5:
            await rig.deliver(update(count, text=text))
            return
    pytest.fail("the socket did not fill up")


def stop_reading(client: Client) -> None:
    """The client stops reading, and its kernel buffers almost nothing for it."""
    client.socket.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
    client.socket.transport.pause_reading()


async def test_a_slow_reader_gets_only_the_newest_updates_and_a_lag_notice(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, rig.socket() as slow, rig.socket("bob") as quick:
        await subscribed(slow)
        await subscribed(quick)
        slow.socket.transport.pause_reading()
        reading = asyncio.create_task(versions(quick, 4000))
        await fill_up(rig, slow)
        assert (await reading)[-1] == 4000
        slow.socket.transport.resume_reading()
        seen: list[int] = []
        merged = 0
        while not seen or seen[-1] != 4000:
            frame: dict[str, Any] = await slow.next()
            if frame["type"] == "lag":
                merged += frame["merged"]
            else:
                seen.append(int(frame["version"]))
        assert seen == sorted(set(seen))
        assert merged >= 5
        assert len(seen) + merged == len(reading.result())
        assert (await slow.ask({"type": "ping", "id": 5}))["type"] == "pong"


async def test_a_client_that_does_not_read_is_closed_with_4001(tmp_path: Path) -> None:
    config = Config(session=SessionLimits(slow_timeout=0.3), socket=SocketLimits(close_timeout=0.2))
    async with running(tmp_path, config=config) as rig, rig.socket() as stuck:
        await subscribed(stuck)
        stop_reading(stuck)
        before = metrics.closes[4001]
        await fill_up(rig, stuck)
        await until(lambda: metrics.closes[4001] == before + 1)
        stuck.socket.transport.resume_reading()


async def test_answers_that_are_not_read_close_with_4001(tmp_path: Path) -> None:
    limits = SessionLimits(frames_per_second=1e6, frames_burst=10**6)
    config = Config(session=limits, reply_buffer=10_000, socket=SocketLimits(close_timeout=0.2))
    async with running(tmp_path, config=config) as rig, rig.socket() as stuck:
        stop_reading(stuck)
        before = metrics.closes[4001]
        # Each is answered with all its names.
        names = [f"messages/{n:060}" for n in range(100)]
        asking = json.dumps({"type": "subscribe", "id": 1, "topics": names})

        async def write() -> None:
            while True:
                await stuck.socket.send(asking)

        writing = asyncio.create_task(write())
        try:
            await until(lambda: metrics.closes[4001] == before + 1)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            stuck.socket.transport.resume_reading()


async def test_a_drain_closes_each_connection_at_its_own_time_and_finishes_its_calls(tmp_path: Path) -> None:
    async with running(tmp_path, config=Config(reconnect_spread=8.0)) as rig, AsyncExitStack() as stack:
        rig.reactions.gate.clear()
        clients = [await stack.enter_async_context(rig.socket(f"u{n}")) for n in range(8)]
        call = {"type": "toggle_reaction", "id": 9, "target": TOPIC, "emoji": "👍"}
        await clients[0].socket.send(json.dumps(call))
        await until(lambda: rig.reactions.entered == 1)
        draining = asyncio.create_task(rig.gateway.drain(1.5))
        waits = []
        for client in clients:
            goaway = await client.next()
            assert goaway["type"] == "goaway"
            assert 0 < goaway["deadline_ms"] <= 1500
            waits.append(goaway["reconnect_after_ms"])
        assert len(set(waits)) > 4
        assert max(waits) <= 8000
        with pytest.raises(InvalidStatus) as caught:
            async with rig.socket("new"):
                pass
        assert caught.value.response.status_code == 503
        rig.reactions.gate.set()
        assert (await clients[0].next())["type"] == "ack"
        assert [await client.closed() for client in clients] == [4000] * 8
        await asyncio.wait_for(draining, 3)
        assert len(rig.gateway.node) == 0
        with pytest.raises(ConnectionClosed):
            await clients[0].next()


async def test_no_state_is_left_after_all_clients_have_disconnected(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for user in ("alice", "bob"):
            async with rig.socket(user) as client:
                await subscribed(client, *(f"messages/{n}" for n in range(20)))
        node = rig.gateway.node
        await until(lambda: not len(node))
        assert len(node.hub) == 0
        assert node.is_empty
        admission = node.admission
        assert [len(one) for one in (node.sessions.connected, admission.users, admission.addresses)] == [0, 0, 0]


async def test_clients_that_reconnect_at_the_same_time_are_accepted_at_a_limited_rate(tmp_path: Path) -> None:
    clock = ManualClock(time.time())
    config = Config(handshakes_per_second=2, handshakes_burst=3, handshakes_share=1)
    async with running(tmp_path, config=config, clock=clock) as rig, AsyncExitStack() as stack:
        for n in range(3):
            await stack.enter_async_context(rig.socket(f"u{n}"))
        with pytest.raises(InvalidStatus) as caught:
            async with rig.socket("late"):
                pass
        assert caught.value.response.status_code == 503
        assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 5
        clock.advance(0.5)
        await stack.enter_async_context(rig.socket("late"))
        assert len(rig.gateway.node) == 4


async def test_an_address_that_opens_too_fast_does_not_use_the_rate_of_others(tmp_path: Path) -> None:
    clock = ManualClock(time.time())
    config = Config(handshakes_per_second=10, handshakes_burst=5, handshakes_share=0.6)
    async with running(tmp_path, config=config, clock=clock) as rig, AsyncExitStack() as stack:
        for n in range(3):
            await stack.enter_async_context(rig.socket(f"u{n}"))
        with pytest.raises(InvalidStatus) as caught:
            async with rig.socket("greedy"):
                pass
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "1"
        await stack.enter_async_context(rig.socket("other", local_addr=("127.0.0.2", 0)))


async def test_closed_sessions_leave_nothing_for_the_garbage_collector(tmp_path: Path) -> None:
    types = (Connection, Session, Socket, Framing)

    def alive() -> int:
        return sum(type(each) in types for each in gc.get_objects())

    async with running(tmp_path) as rig:
        gc.collect()
        gc.disable()
        try:
            for number in range(200):
                async with rig.socket(f"u{number}", hello=number % 3 > 0) as client:
                    if number % 2:
                        client.socket.transport.abort()
            await until(lambda: not rig.gateway.listener.connections)
            assert alive() == 0
        finally:
            gc.enable()
