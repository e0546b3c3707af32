"""Limits of a socket, and when a gateway closes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from gateway.config import Config, SessionLimits
from tests.wire.gatewayrig import JSON, Rig, running, until
from tests.wire.sockets.shared_rig import TOGGLE, connected, fixture_rig

__all__ = ["fixture_rig"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_topic_of_another_user_is_forbidden(rig: Rig) -> None:
    async with rig.socket("alice") as client:
        error = await client.ask({"type": "subscribe", "id": 2, "topics": ["users/bob"]})
        assert (error["code"], error["reason"]) == ("PERMISSION_DENIED", "FORBIDDEN_TOPIC")
        assert (await client.ask({"type": "subscribe", "id": 3, "topics": ["users/alice"]}))["type"] == "subscribed"


async def test_calls_and_topics_and_connections_are_bounded(tmp_path: Path) -> None:
    limits = SessionLimits(calls_in_flight=1, topics=2)
    async with running(tmp_path, config=Config(session=limits, connections_per_user=1)) as rig:
        async with rig.socket() as client:
            rig.reactions.gate.clear()
            await client.socket.send(json.dumps(TOGGLE))
            await until(lambda: rig.reactions.entered == 1)
            error = await client.ask({**TOGGLE, "id": 8})
            assert (error["id"], error["code"], error["reason"]) == (8, "RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
            rig.reactions.gate.set()
            assert (await client.next())["id"] == 7
            topics = [f"messages/{n}" for n in range(3)]
            error = await client.ask({"type": "subscribe", "id": 9, "topics": topics})
            assert (error["code"], error["reason"]) == ("RESOURCE_EXHAUSTED", "TOO_MANY_TOPICS")
            async with rig.socket(hello=False) as second:
                assert await second.closed() == 4503
        await until(lambda: not len(rig.gateway.node))
        async with rig.socket():
            pass


async def test_the_sockets_of_an_address_are_limited(tmp_path: Path) -> None:
    async with running(tmp_path, config=Config(connections_per_address=1)) as rig, rig.socket():
        with pytest.raises(InvalidStatus) as caught:
            await connected(rig, JSON, f"bearer.{rig.token('bob')}")
        assert caught.value.response.status_code == 429
        assert int(caught.value.response.headers["Retry-After"]) > 0


async def test_a_flood_is_first_refused_and_then_closed_with_4503(tmp_path: Path) -> None:
    limits = SessionLimits(frames_per_second=10, frames_burst=10, refusals_burst=20)
    async with running(tmp_path, config=Config(session=limits)) as rig, rig.socket() as client:
        for _ in range(100):
            await client.socket.send('{"type":"ping","id":4}')
        answers = [await client.next() for _ in range(15)]
        assert [answer["type"] for answer in answers[:9]] == ["pong"] * 9
        assert (answers[-1]["id"], answers[-1]["reason"]) == (4, "RATE_LIMITED")
        assert 0 < answers[-1]["retry_after_ms"] <= 1000
        assert await client.closed() == 4503


async def test_a_client_that_never_sends_hello_is_closed_with_4502(tmp_path: Path) -> None:
    config = Config(session=SessionLimits(hello_timeout=0.2))
    async with running(tmp_path, config=config) as rig, rig.socket(hello=False) as client:
        assert await client.closed() == 4502


async def test_a_silent_client_is_closed_with_4002(tmp_path: Path) -> None:
    config = Config(session=SessionLimits(silence=0.2))
    async with running(tmp_path, config=config) as rig, rig.socket() as client:
        assert await client.closed() == 4002


async def test_an_open_socket_ends_when_its_token_expires(rig: Rig) -> None:
    headers = {"Authorization": f"Bearer {rig.token(ttl=2)}"}
    async with rig.socket(headers=headers) as client:
        assert await client.closed() == 4500


async def test_a_session_that_is_logged_out_is_closed_with_4505(rig: Rig) -> None:
    async with rig.socket(hello=False) as client:
        welcome = await client.hello()
        rig.directory.log_out(["someone-else", welcome["session"]])
        assert await client.closed() == 4505


async def test_a_fenced_session_is_closed_with_4504(rig: Rig) -> None:
    async with rig.socket(hello=False) as client:
        welcome = await client.hello()
        rig.directory.fence(["someone-else", welcome["session"]])
        assert await client.closed() == 4504
