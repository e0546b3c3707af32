"""Further processes of one `plaudit up`: gateways that share the port of the first."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from kit.tasks import background, keep_running
from stack.config import Settings

log = structlog.get_logger()


@asynccontextmanager
async def workers(settings: Settings, registry: str) -> AsyncIterator[None]:
    """Keeps `settings.workers - 1` gateway processes attached to `registry` running; stops them with the block.

    The block begins when all of them serve.
    """
    serving = [asyncio.Event() for _ in range(settings.workers - 1)]
    loops = [partial(_worker, settings, registry, event) for event in serving]
    async with background(*[keep_running("worker", loop, floor=0.2, ceiling=5.0) for loop in loops]):
        for event in serving:
            await event.wait()
        yield


async def _worker(settings: Settings, registry: str, serving: asyncio.Event) -> None:
    # Not the event loop's way of starting processes: it forks, and what gRPC does in a fork crashes the child now and
    # then before it becomes another program. The standard library's way runs nothing else in between.
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", "stack.cli", "up", "--json"],
        env=os.environ | _environment(settings, registry),
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches the first process, which then stops the others
    )
    assert process.stdout is not None
    try:
        if await asyncio.to_thread(process.stdout.readline):
            serving.set()
        log.error("worker ended", code=await asyncio.to_thread(process.wait))
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(_ended, process, settings.grace_seconds + 5)


def _ended(process: subprocess.Popen[bytes], patience: float) -> None:
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _environment(settings: Settings, registry: str) -> dict[str, str]:
    return {
        "PLAUDIT_ROOMS": "gateway",
        "PLAUDIT_WORKERS": "1",
        "PLAUDIT_HTTP": settings.http,
        "PLAUDIT_GRPC": f"{settings.grpc.rpartition(':')[0]}:0",
        "PLAUDIT_STATUS": "",
        "PLAUDIT_REGISTRY": registry,
        "PLAUDIT_DATA": str(settings.data),
        "PLAUDIT_DEMO": str(settings.demo).lower(),
        "PLAUDIT_SHARED_PORT": "true",
    }
