"""Further processes of one `plaudit up`: gateways that share the port of the first."""

from __future__ import annotations

import asyncio
import os
import signal
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
    # A new interpreter, not a fork: gRPC does not survive one.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stack.cli", "up", "--json"),
        env=os.environ | _environment(settings, registry),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches the first process, which then stops the others
    )
    try:
        assert process.stdout is not None
        if await process.stdout.readline():
            serving.set()
        code = await process.wait()
        log.error("worker ended", code=code)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(settings.grace_seconds + 5):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _environment(settings: Settings, registry: str) -> dict[str, str]:
    return {
        "PLAUDIT_ROOMS": "gateway",
        "PLAUDIT_WORKERS": "1",
        "PLAUDIT_HTTP": settings.http,
        "PLAUDIT_GRPC": f"{settings.grpc.rpartition(':')[0]}:0",
        "PLAUDIT_REGISTRY": registry,
        "PLAUDIT_DATA": str(settings.data),
        "PLAUDIT_DEMO": str(settings.demo).lower(),
        "PLAUDIT_SHARED_PORT": "true",
    }
