"""HTTP connections: the host of each request, bodies that do not come, limits of an address, clients that leave."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from gateway.config import Config
from gateway.limits import SocketLimits
from tests.wire.gatewayrig import Rig, running, until
from tests.wire.http.rest_api import THUMB

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_host_of_each_request_of_a_connection_is_checked(tmp_path: Path) -> None:
    config = Config(socket=SocketLimits(hosts=frozenset({"chat.example"})), metrics=False)
    async with running(tmp_path, config=config) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)

        async def ask(host: str, path: str) -> tuple[int, bytes]:
            writer.write(f"GET {path} HTTP/1.1\r\n{host}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return int(head.split()[1]), await reader.readexactly(length)

        assert (await ask("Host: chat.example", "/healthz"))[0] == 200
        assert (await ask("Host: CHAT.example:8080", "/healthz"))[0] == 200
        for wrong in ("Host: evil.example", "Host: chat.example.evil.example", "Host: a@chat.example", "Host:"):
            status, body = await ask(wrong, "/healthz")
            assert (status, b"BAD_HOST" in body) == (400, True), wrong
        assert (await ask("Host: chat.example", "/metrics"))[0] == 404, "it is on the status port"
        writer.close()


async def test_a_missing_body_closes_the_connection_and_a_truncated_one_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = SocketLimits(close_timeout=0.2)
    async with running(tmp_path, config=Config(body_timeout=0.2, socket=limits)) as rig:
        head = (
            "POST /api/v1/reactions:batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {rig.token()}\r\nContent-Length: 1000\r\n\r\n"
        ).encode()

        async def begin() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)
            writer.write(head + b"{")
            return reader, writer

        reader, writer = await begin()
        said = await asyncio.wait_for(reader.read(), 5)  # to the end of the connection
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"BODY_TOO_SLOW" in said
        writer.close()
        for _ in range(5):
            _, writer = await begin()
            writer.transport.abort()
        await until(lambda: not rig.gateway.listener.connections)
    assert "Traceback" not in capsys.readouterr().out


def slow_body(rig: Rig) -> bytes:
    return (
        "POST /api/v1/reactions:batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {rig.token()}\r\nContent-Length: 1000\r\n\r\n{{"
    ).encode()


async def test_connections_with_missing_bodies_are_evicted_for_others_of_the_address(tmp_path: Path) -> None:
    limits = SocketLimits(close_timeout=0.2, idle_per_address=3, wait_timeout=0)
    async with running(tmp_path, config=Config(body_timeout=60, socket=limits)) as rig:
        slow = [await asyncio.open_connection("127.0.0.1", URL(rig.http).port) for _ in range(3)]
        for _, writer in slow:
            writer.write(slow_body(rig))
        async with aiohttp.ClientSession() as session, session.get(f"{rig.http}/healthz") as answer:
            assert answer.status == 200
        said = await asyncio.wait_for(slow[0][0].read(), 5)  # the first to come is the first to go
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"BODY_TOO_SLOW" in said
        for _, writer in slow:
            writer.close()
        await until(lambda: not rig.gateway.listener.connections)


async def test_an_address_full_of_requests_that_are_served_refuses_the_next(tmp_path: Path) -> None:
    limits = SocketLimits(close_timeout=0.2, idle_per_address=1, wait_timeout=0)
    async with running(tmp_path, config=Config(socket=limits)) as rig, aiohttp.ClientSession() as session:
        rig.reactions.gate.clear()
        headers = {"Authorization": f"Bearer {rig.token()}"}
        served = asyncio.create_task(session.put(f"{rig.http}/api/messages/1/reactions/{THUMB}", headers=headers))
        await until(lambda: rig.reactions.entered == 1)
        async with session.get(f"{rig.http}/healthz") as answer:
            assert (answer.status, "TOO_MANY_IDLE" in await answer.text()) == (429, True)
        rig.reactions.gate.set()
        assert (await served).status == 200
        (await served).release()


async def test_hundreds_of_clients_that_disconnect_together_are_not_logged_and_do_not_block_the_loop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path, config=Config(body_timeout=60)) as rig:
        before_them, writers = len(asyncio.all_tasks()), []
        for _ in range(300):
            _, writer = await asyncio.open_connection("127.0.0.1", URL(rig.http).port)
            writer.write(slow_body(rig))
            writers.append(writer)
        await until(lambda: rig.gateway.listener.connections == 300)
        capsys.readouterr()
        loop, longest = asyncio.get_running_loop(), 0.0
        for writer in writers:
            writer.transport.abort()
        while rig.gateway.listener.connections or len(asyncio.all_tasks()) > before_them:
            before = time.thread_time()  # and not the clock: others use the machine, too
            turn = loop.create_future()
            loop.call_soon(turn.set_result, None)
            await turn
            longest = max(longest, time.thread_time() - before)
        said = capsys.readouterr()
        assert [line for line in (said.out + said.err).splitlines() if "[debug" not in line] == []
        assert longest < 0.5
