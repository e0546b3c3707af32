"""Stops `plaudit up` under load of writers by gRPC, REST and WebSocket and of subscribers; measures the time."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit_client import Client, PlauditError, connect
from tests.running import Stack

WRITERS = 20
SUBSCRIBERS = 3
TARGETS = tuple(f"messages/stop-{n}" for n in range(10))
# Between two changes of a writer.
_PAUSE_SECONDS = 0.01
_FAILURES = (aiohttp.ClientError, grpc.aio.AioRpcError, PlauditError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Stop:
    """The outcome of a stop. `seconds` from the signal to the end of the process."""

    seconds: float
    code: int
    changes: int
    """Answered before the signal."""


class Load:
    """Writers and subscribers; `changes` counts answered changes."""

    def __init__(self, stack: Stack) -> None:
        self.changes = 0
        self._stack = stack

    async def over_grpc(self, user: str) -> None:
        """Sends changes over its own channel."""
        metadata = (("authorization", f"Bearer {self._stack.token(user)}"),)
        async with grpc.aio.insecure_channel(self._stack.grpc_address) as channel:
            stub: Any = pb_grpc.ReactionServiceStub(channel)
            while True:
                with suppress(*_FAILURES):
                    request = pb.ToggleReactionRequest(target=random.choice(TARGETS), emoji="👍")
                    await stub.ToggleReaction(request, metadata=metadata, timeout=5)
                    self.changes += 1
                await asyncio.sleep(_PAUSE_SECONDS)

    async def over_rest(self, user: str) -> None:
        """Sends changes over a keep-alive connection."""
        headers = {"Authorization": f"Bearer {self._stack.token(user)}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            while True:
                with suppress(*_FAILURES):
                    url = f"{self._stack.http_url}/api/{random.choice(TARGETS)}/reactions/👍"
                    async with http.put(url) as response:
                        await response.read()
                        self.changes += response.status == 200
                await asyncio.sleep(_PAUSE_SECONDS)

    async def over_websocket(self, user: str) -> None:
        """Sends changes through a client, which reconnects."""
        while True:
            with suppress(*_FAILURES):
                async with connect(self._stack.ws_url, self._stack.token(user)) as client:
                    while True:
                        await client.toggle(random.choice(TARGETS), "👍")
                        self.changes += 1
                        await asyncio.sleep(_PAUSE_SECONDS)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def subscribe(self, user: str) -> None:
        """Subscribes to every target through a client, which reconnects."""
        while True:
            with suppress(*_FAILURES):
                async with connect(self._stack.ws_url, self._stack.token(user)) as client:
                    await self._receive_updates(client)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _receive_updates(self, client: Client) -> None:
        async with client.subscribe(*TARGETS) as updates:
            async for _ in updates:
                pass


@asynccontextmanager
async def loaded(stack: Stack) -> AsyncIterator[Load]:
    """Runs the load for the block."""
    load = Load(stack)
    writers = (load.over_grpc, load.over_rest, load.over_websocket)
    tasks = [asyncio.create_task(writers[n % len(writers)](f"writer-{n}")) for n in range(WRITERS)]
    tasks += [asyncio.create_task(load.subscribe(f"subscriber-{n}")) for n in range(SUBSCRIBERS)]
    try:
        yield load
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stopped_under_load(folder: Path, grace: float, rng: random.Random, core: int | None = None) -> Stop:
    """Starts a system, loads it, stops it. `core`: the core of the system alone.

    Raises `subprocess.TimeoutExpired` if it does not end.
    """
    stack = Stack(folder / "data", GRACE_SECONDS=f"{grace:g}", GATEWAY__RECONNECT_SPREAD="0.5")
    async with AsyncExitStack() as opened:
        opened.enter_context(stack)
        if core is not None:
            _pin(stack.pid, core)
        load = await opened.enter_async_context(loaded(stack))
        enough = rng.randrange(50, 300)
        async with asyncio.timeout(60):
            while load.changes < enough:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        began = time.monotonic()
        changes = load.changes
        code = await asyncio.to_thread(stack.stop)
        return Stop(time.monotonic() - began, code, changes)


def _pin(pid: int, core: int) -> None:
    """Pins every thread of a process to a core."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), {core})
