"""Health, readiness and metrics over HTTP, on a port that is not for clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kit.engine_url import CannotUse


@asynccontextmanager
async def serve_status(listen: str, is_ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Serves `/healthz`, `/readyz` and `/metrics` for the block; nothing if `listen` is empty. Raises CannotUse."""
    if not listen:
        yield
        return

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        if is_ready():
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "not ready"}, status=503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        host, _, port = listen.rpartition(":")
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise CannotUse(f"setting PLAUDIT_STATUS: cannot listen on {listen}: {error.strerror}") from None
        yield
    finally:
        await runner.cleanup()
