"""The sockets of a node: slow readers, drains, limits of new connections, and what remains after a close."""

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
from tests.wire.gatewayrig import Client, Rig, running, until
from tests.wire.sessions.topic_pushes import TOPIC, subscribed, update, versions


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


async def test_no_state_remains_after_all_clients_have_disconnected(tmp_path: Path) -> None:
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


async def test_closed_sessions_leave_no_reference_cycles(tmp_path: Path) -> None:
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
