"""A connection before its handshake: requests that come first or slowly, limits, and the decision of `accept`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.echo import Echo
from gateway.http.head import Refuse
from gateway.limits import SocketLimits
from gateway.listener.head_protocol import Acceptor
from gateway.listener.listening import listening
from gateway.websocket.handshake import Accept, Handshake
from tests.wire.sockets.handshakes import Port, open_port, plain, read_answer, request


async def test_every_http_request_reaches_the_application_without_internal_headers() -> None:
    async with open_port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        for _ in range(2):
            writer.write(plain("/healthz", "plaudit-user: u1", "X-Plaudit-Tenant: t", "Accept: */*"))
            answer = await read_answer(reader)
            assert (answer.status, json.loads(answer.body)) == (200, ["host", "accept"])
        writer.close()


async def test_http_requests_may_be_pipelined_after_the_first() -> None:
    async with open_port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(plain() + plain())
        assert [(await read_answer(reader)).status for _ in range(2)] == [200, 200]
        writer.close()


async def test_a_head_may_arrive_byte_by_byte() -> None:
    async with open_port() as port:
        for data, status in ((request(), 101), (plain(), 200)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            for at in range(len(data)):
                writer.write(data[at : at + 1])
                await asyncio.sleep(0)
            assert (await read_answer(reader)).status == status
            writer.close()


async def test_frames_may_arrive_with_the_request() -> None:
    async with open_port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(request() + b"\x81\x82\x00\x00\x00\x00hi")
        assert (await read_answer(reader)).status == 101
        assert await reader.readexactly(4) == b"\x81\x02hi"
        writer.close()


@pytest.mark.parametrize("before", [1, 3])
async def test_a_connection_that_has_carried_requests_becomes_a_socket(before: int) -> None:
    async with open_port() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        for _ in range(before):
            writer.write(plain())
            assert (await read_answer(reader)).status == 200
        writer.write(request())
        assert (await read_answer(reader)).status == 101
        for _ in range(3):
            writer.write(b"\x81\x82\x00\x00\x00\x00hi")
            assert await reader.readexactly(4) == b"\x81\x02hi"
        writer.close()


async def test_slow_headers_get_408_and_a_close() -> None:
    async with open_port(SocketLimits(head_timeout=0.05)) as port:
        answer = await port.ask(b"GET /ws/connect HTTP/1.1\r\nHost: a\r\n")
    assert (answer.status, answer.reason) == (408, "HEAD_TOO_SLOW")


async def test_silence_gets_408_and_a_close() -> None:
    async with open_port(SocketLimits(head_timeout=0.05)) as port:
        assert (await port.ask(b"")).status == 408


async def test_the_idle_connections_of_an_address_are_limited() -> None:
    async with open_port(SocketLimits(idle_per_address=2)) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port.number) for _ in range(2)]
        answer = await port.ask(request())
        assert (answer.status, answer.reason, answer.headers["retry-after"]) == (429, "TOO_MANY_IDLE", "1")
        for reader, writer in idle:
            writer.write(request())
            assert (await read_answer(reader)).status == 101  # Echo trusts its peer: no longer idle
        assert (await port.ask(request())).status == 101
        for _, writer in idle:
            writer.close()


async def test_a_full_server_refuses_with_503() -> None:
    async with open_port(SocketLimits(connections=1)) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port.number)
        answer = await port.ask(request())
        assert (answer.status, answer.reason) == (503, "NO_ROOM")
        writer.close()


def fail(handshake: Handshake) -> Accept:
    raise RuntimeError("broken")


def choose_another(handshake: Handshake) -> Accept:
    return Accept("not-offered", Echo)


def refuse_unauthenticated(handshake: Handshake) -> Refuse:
    return Refuse(401, "UNAUTHENTICATED", "the token is not valid", {"WWW-Authenticate": "Bearer"})


VERDICTS: list[tuple[Callable[[Handshake], Any], int, str]] = [
    (fail, 500, "INTERNAL"),
    (choose_another, 500, "INTERNAL"),
    (refuse_unauthenticated, 401, "UNAUTHENTICATED"),
]


@pytest.mark.parametrize(("accept", "status", "reason"), VERDICTS)
async def test_the_decision_of_accept_is_the_answer(accept: Acceptor, status: int, reason: str) -> None:
    async with open_port(accept=accept) as port:
        answer = await port.ask(request())
    assert (answer.status, answer.reason) == (status, reason)
    assert set(json.loads(answer.body)) == {"code", "message", "status", "details"}


async def test_without_an_application_other_paths_are_404() -> None:
    async with listening("127.0.0.1", 0, accept=fail) as listener:
        assert (await Port(listener.port).ask(plain())).status == 404
