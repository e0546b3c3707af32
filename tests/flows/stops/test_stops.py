"""A stop ends within its grace, with any clients and any running work."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from tests.flows.clients import new_user
from tests.running import Stack
from tests.stops.underload import stopped_under_load

GRACE = 3.0
# What a busy machine takes beyond the grace: a process ends itself one second after it.
SPARE = 2.0


async def test_stops_under_twenty_writers_and_three_listeners_end_in_time(tmp_path: Path) -> None:
    rng = random.Random(5)
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        stop = await stopped_under_load(folder, GRACE, rng)
        assert stop.code == 0
        assert stop.seconds < GRACE + SPARE


@asynccontextmanager
async def unread_sockets(stack: Stack, number: int) -> AsyncIterator[None]:
    """Sockets whose clients read nothing after their welcome, and so answer no close."""
    async with AsyncExitStack() as opened:
        for _ in range(number):
            headers = {"Authorization": f"Bearer {stack.token(new_user('deaf'))}"}
            http = await opened.enter_async_context(aiohttp.ClientSession(headers=headers))
            socket = await http.ws_connect(stack.ws_url, protocols=("plaudit.v1.json",))
            await socket.send_str('{"type":"hello","id":1}')
            await socket.receive_str(timeout=10)
        yield


async def test_sockets_that_do_not_answer_a_close_delay_the_stop_by_the_grace_at_most(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", GRACE_SECONDS="1.5") as stack:
        async with unread_sockets(stack, 50):
            began = time.monotonic()
            assert await asyncio.to_thread(stack.stop) == 0
            assert time.monotonic() - began < 1.5 + SPARE


async def test_a_second_signal_ends_the_process_immediately(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", GRACE_SECONDS="60", GATEWAY__SOCKET__CLOSE_TIMEOUT="50") as stack:
        async with unread_sockets(stack, 1), aiohttp.ClientSession() as http, asyncio.timeout(20):
            os.kill(stack.pid, signal.SIGTERM)
            while True:
                async with http.get(f"{stack.http_url}/readyz") as response:
                    if response.status != 200:
                        break
            assert await asyncio.to_thread(stack.stop) == -signal.SIGTERM
