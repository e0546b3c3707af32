"""One listening port for WebSocket and HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.http.connection import HttpConnection
from gateway.http.head import (
    is_internal,
)
from gateway.limits import SocketLimits
from gateway.listener.head_protocol import Acceptor, HeadProtocol, HttpFactory
from gateway.listener.listener import Listener
from gateway.listener.tracked_http import TrackedHttp, mark_response_started

_MIN_WAIT = 0.01


@asynccontextmanager
async def listening(
    host: str,
    port: int,
    *,
    accept: Acceptor,
    app: web.Application | None = None,
    limits: SocketLimits | None = None,
    reuse_port: bool = False,
    grace_seconds: Callable[[], float] | None = None,
) -> AsyncIterator[Listener]:
    """Serves WebSockets by `accept` and everything else by `app` (404 without one) until the block ends.

    Then it stops accepting, closes every WebSocket with 1001 and ends HTTP, within the seconds that `grace_seconds`
    returns at that time (`limits.close_timeout` without it); connections still open after that are dropped. An
    exception from `accept` is answered with 500. Raises OSError if the port is in use."""
    limits = limits or SocketLimits()
    grace_seconds = grace_seconds or (lambda: limits.close_timeout)
    listener = Listener(limits)
    async with AsyncExitStack() as stack:
        http: HttpFactory | None = None
        if app is not None:
            app.on_response_prepare.append(mark_response_started)
            if limits.path is not None:
                app.router.add_route("*", limits.path, partial(_upgrade, listener, limits, accept))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=limits.close_timeout)
            await runner.setup()
            server = cast("web.Server", runner.server)
            stack.push_async_callback(runner.cleanup)
            stack.push_async_callback(_end_requests, server, grace_seconds)
            http = _http_factory(server, limits)
        stack.push_async_callback(_close, listener, grace_seconds)
        await listener.listen(partial(HeadProtocol, listener, limits, accept, http), host, port, reuse_port)
        yield listener


async def _close(listener: Listener, grace_seconds: Callable[[], float]) -> None:
    await listener.close(grace_seconds())


async def _end_requests(server: web.Server, grace_seconds: Callable[[], float]) -> None:
    """Waits for the running requests, then cancels them, so that `cleanup` has nothing to wait for."""
    server.pre_shutdown()
    # aiohttp waits for the answer, then as long again for the cancelled handler; 0 would mean without a limit.
    await server.shutdown(max(grace_seconds() / 2, _MIN_WAIT))


def _http_factory(server: web.Server, limits: SocketLimits) -> HttpFactory:
    make_request = server.request_factory

    # Here and not in HeadProtocol, which sees only the first request of a connection.
    def without_internal_headers(message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:
        connection = protocol.transport.get_protocol() if protocol.transport is not None else None
        if isinstance(connection, TrackedHttp):
            connection.head_received()
            payload.on_eof(connection.request_received)
        if any(is_internal(name) for name in message.headers):
            public = CIMultiDict((name, value) for name, value in message.headers.items() if not is_internal(name))
            raw = tuple((name, value) for name, value in message.raw_headers if not is_internal(name.decode("latin-1")))
            message = message._replace(headers=CIMultiDictProxy(public), raw_headers=raw)
        return make_request(message, payload, protocol, *rest)

    server.request_factory = without_internal_headers
    return partial(
        HttpConnection,
        server,
        loop=asyncio.get_running_loop(),
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=30,
        # How long the rest of a body is read and dropped before the connection is closed.
        lingering_time=limits.close_timeout,
        max_line_size=limits.head_bytes,
        max_headers=limits.head_fields,
    )


async def _upgrade(listener: Listener, limits: SocketLimits, accept: Acceptor, request: web.Request) -> web.Response:
    """Opens a WebSocket on a connection that has carried requests before: clients and proxies reuse connections."""
    lines = [f"{request.method} {request.raw_path} HTTP/{request.version.major}.{request.version.minor}".encode()]
    lines += [name + b": " + value for name, value in request.raw_headers]
    pending = HeadProtocol(listener, limits, accept, None)
    assert request.transport is not None
    listener.mark_served(cast(TrackedHttp, request.transport.get_protocol()))
    pending.upgrade(request.transport, b"\r\n".join(lines))
    # For aiohttp the connection is lost, so that it does not close it.
    request.protocol.transport = None
    request.protocol.connection_lost(None)
    return web.Response()
