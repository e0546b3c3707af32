"""The client on real sockets, against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import time

import pytest

from engines.server import free_port
from plaudit_client import PlauditError, connect
from tests.unit.client.connected import FAST, connected, nothing_is_left_running
from tests.unit.client.scripted_server import Peer, refusing, scripted_server

__all__ = ["nothing_is_left_running"]


async def answer_everything(peer: Peer) -> None:
    await peer.welcome()
    version = 0
    while True:
        version += 1
        await peer.ack(await peer.receive(), version=version)


async def test_the_token_is_sent_in_a_header_and_never_in_the_url() -> None:
    async with scripted_server(answer_everything) as server, connect(server.url, "a-token"):
        [request] = server.requests
    assert request.headers["Authorization"] == "Bearer a-token"
    assert "a-token" not in str(request.url)


async def test_a_token_callable_is_called_before_every_socket() -> None:
    async def drop(peer: Peer) -> None:
        await peer.welcome()
        peer.drop()

    tokens = iter(["one", "two", "three"])
    async with scripted_server(drop, answer_everything) as server:
        async with connect(server.url, lambda: next(tokens), options=FAST) as client:
            await client.toggle("messages/42", "👍")
        assert [request.headers["Authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]


async def test_a_token_callable_without_a_token_ends_the_client() -> None:
    def token() -> str:
        raise RuntimeError("the vault is closed")

    async with scripted_server(answer_everything) as server:
        with pytest.raises(PlauditError, match="CLIENT_FAILED"):
            async with connect(server.url, token):
                pass


@pytest.mark.parametrize("garbage", ["{", '{"type":"ack","id":null}', "[" * 50_000])
async def test_an_invalid_message_closes_the_socket_and_fails_no_call(garbage: str) -> None:
    async def talk_garbage(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive()
        await peer.send_text(garbage)
        assert await peer.stay() == 1007

    async with connected(talk_garbage, answer_everything) as client:
        assert (await client.toggle("messages/42", "👍")).version == 1


async def test_a_binary_message_closes_the_socket_and_fails_no_call() -> None:
    async def talk_bytes(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive()
        await peer.send_bytes(b"\x08\x01")
        assert await peer.stay() == 1003

    async with connected(talk_bytes, answer_everything) as client:
        assert (await client.toggle("messages/42", "👍")).version == 1


async def test_goaway_moves_the_session_at_the_time_it_names_without_losing_a_call() -> None:
    times: list[float] = []

    async def leave(peer: Peer) -> None:
        await peer.welcome()
        await peer.send("goaway", reconnect_after_ms=150, deadline_ms=5000)
        times.append(time.monotonic())
        await peer.receive()
        assert await peer.stay() == 4000

    async def arrive(peer: Peer) -> None:
        times.append(time.monotonic())
        await answer_everything(peer)

    async with connected(leave, arrive) as client:
        assert (await client.toggle("messages/42", "👍")).version == 1
    assert 0.14 <= times[1] - times[0] < 2


@pytest.mark.parametrize(("code", "reason"), [(4500, "BAD_TOKEN"), (4504, "REPLACED"), (4777, "CLOSED_4777")])
async def test_a_terminal_close_ends_calls_readers_and_the_client(code: int, reason: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("subscribe")
        await peer.receive("toggle_reaction")
        await peer.close(code)

    async with scripted_server(script) as server:
        async with connect(server.url, "t", options=FAST) as client:
            updates = client.subscribe("messages/42")
            for work in (client.toggle("messages/42", "👍"), anext(updates), client.toggle("messages/42", "👍")):
                with pytest.raises(PlauditError, match=reason):
                    await asyncio.wait_for(work, 5)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "reason"), [(401, "BAD_TOKEN"), (403, "FORBIDDEN"), (400, "BAD_HANDSHAKE")])
async def test_a_refused_handshake_fails_immediately(status: int, reason: str) -> None:
    async with scripted_server(refusing(status)) as server:
        with pytest.raises(PlauditError, match=reason):
            async with connect(server.url, "t"):
                pass
        assert len(server.requests) == 1


async def test_a_busy_server_is_called_again() -> None:
    async with connected(refusing(503), refusing(429), answer_everything) as client:
        assert client.session == "s1"


async def test_a_server_that_does_not_listen_is_reported_after_the_timeout() -> None:
    port = free_port()
    with pytest.raises(PlauditError) as refused:
        async with connect(f"ws://127.0.0.1:{port}", "t", timeout=0.2, options=FAST):
            pass
    assert str(refused.value) == (
        f"UNAVAILABLE NOT_CONNECTED: no session in 0.2 s: 127.0.0.1:{port}: connection refused"
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "127.0.0.1:8080", "ws://"])
async def test_a_url_that_is_no_websocket_is_refused(url: str) -> None:
    with pytest.raises(PlauditError, match="INVALID_URL"):
        async with connect(url, "t"):
            pass


async def test_a_call_to_a_silent_server_is_made_at_another_one() -> None:
    async def deaf(peer: Peer) -> None:
        hello = await peer.receive("hello")
        await peer.send("welcome", id=hello["id"], session="s", user="alice", heartbeat_seconds=0.05)
        await peer.stay()

    async with connected(deaf, answer_everything) as client:
        assert (await client.toggle("messages/42", "👍")).version == 1


async def test_closing_ends_calls_and_readers_within_a_second_even_if_the_server_hangs() -> None:
    async def hang(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("subscribe")
        await peer.receive("toggle_reaction")
        hanging.set()
        await over.wait()

    hanging, over = asyncio.Event(), asyncio.Event()
    async with scripted_server(hang) as server:
        async with connect(server.url, "t") as client:
            updates = client.subscribe("messages/42")
            call = asyncio.create_task(client.toggle("messages/42", "👍"))
            await asyncio.wait_for(hanging.wait(), 5)
            began = time.monotonic()
        with pytest.raises(PlauditError, match="CLOSED"):
            await call
        assert [update async for update in updates] == []
        assert time.monotonic() - began < 3
        over.set()


async def test_an_error_inside_the_block_is_passed_on_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with connected(answer_everything):
            raise ZeroDivisionError
