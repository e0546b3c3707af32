"""A client that is connected to a local server, and leaves nothing running."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from plaudit_client import Client, Options, connect
from tests.unit.client.scripted_server import Script, scripted_server

FAST = Options(backoff_floor=0.01, backoff_ceiling=0.05, dial_timeout=1)


@asynccontextmanager
async def connected(*scripts: Script) -> AsyncIterator[Client]:
    async with (
        scripted_server(*scripts) as server,
        asyncio.timeout(20),
        connect(server.url, "a-token", device="d", options=FAST) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
async def nothing_is_left_running() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left
    gc.collect()  # "was never awaited" and unclosed transports are warnings, hence errors
