"""One listening port for WebSocket and HTTP: reads the head of each connection's first request, and passes it on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

import structlog
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.http.connection import HttpConnection
from gateway.http.head import (
    HEAD_TOO_LARGE,
    HandshakeError,
    Head,
    Refuse,
    check_beginning,
    is_internal,
    parse_head,
    refusal,
)
from gateway.limits import SocketLimits
from gateway.listener.listener import Listener
from gateway.listener.tracked_http import CountedHttp, note_answer
from gateway.websocket.handshake import Accept, Handshake, check_upgrade, switching_protocols
from gateway.websocket.linger import linger
from gateway.websocket.socket import Peer, Socket

log = structlog.get_logger()

Acceptor = Callable[[Handshake], Accept | Refuse]
"""Decides who may open a WebSocket, at once."""

HttpFactory = Callable[[], asyncio.Protocol]

_END = b"\r\n\r\n"
_LEAST_WAIT = 0.01


@asynccontextmanager
async def listening(
    host: str,
    port: int,
    *,
    accept: Acceptor,
    app: web.Application | None = None,
    limits: SocketLimits | None = None,
    reuse_port: bool = False,
    patience: Callable[[], float] | None = None,
) -> AsyncIterator[Listener]:
    """Serves WebSockets by `accept` and everything else by `app` (404 without one) until the block ends.

    Then it stops to accept, closes every WebSocket with 1001 and ends HTTP. That takes at most as many seconds as
    `patience` says then (`limits.close_timeout` without it); what is still open is dropped. An exception from `accept`
    is answered with 500. Raises OSError if the port is taken.
    """
    limits = limits or SocketLimits()
    patience = patience or (lambda: limits.close_timeout)
    listener = Listener(limits)
    async with AsyncExitStack() as stack:
        http: HttpFactory | None = None
        if app is not None:
            app.on_response_prepare.append(note_answer)
            if limits.path is not None:
                app.router.add_route("*", limits.path, partial(_upgrade, listener, limits, accept))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=limits.close_timeout)
            await runner.setup()
            server = cast("web.Server", runner.server)
            stack.push_async_callback(runner.cleanup)
            stack.push_async_callback(_end_requests, server, patience)
            http = _http_factory(server, limits)
        stack.push_async_callback(_close, listener, patience)
        await listener.listen(partial(_Door, listener, limits, accept, http), host, port, reuse_port)
        yield listener


async def _close(listener: Listener, patience: Callable[[], float]) -> None:
    await listener.close(patience())


async def _end_requests(server: web.Server, patience: Callable[[], float]) -> None:
    """Waits for the requests that run, then cancels them; `cleanup` finds nothing left to wait for."""
    server.pre_shutdown()
    # aiohttp waits twice so long: for the answer, then for the handler that it has cancelled; and for ever if it is 0.
    await server.shutdown(max(patience() / 2, _LEAST_WAIT))


def _http_factory(server: web.Server, limits: SocketLimits) -> HttpFactory:
    make_request = server.request_factory

    # Here and not in the door, which sees only the first request of a connection.
    def without_internal_headers(message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:
        connection = protocol.transport.get_protocol() if protocol.transport is not None else None
        if isinstance(connection, CountedHttp):
            connection.begins()
            payload.on_eof(connection.has_come)
        if any(is_internal(name) for name in message.headers):
            kept = CIMultiDict((name, value) for name, value in message.headers.items() if not is_internal(name))
            raw = tuple((name, value) for name, value in message.raw_headers if not is_internal(name.decode("latin-1")))
            message = message._replace(headers=CIMultiDictProxy(kept), raw_headers=raw)
        return make_request(message, payload, protocol, *rest)

    server.request_factory = without_internal_headers
    return partial(
        HttpConnection,
        server,
        loop=asyncio.get_running_loop(),
        access_log=None,  # type: ignore[arg-type]  # as AppRunner takes it
        auto_decompress=False,
        keepalive_timeout=30,
        # How long the rest of a body is read and dropped before the connection is closed.
        lingering_time=limits.close_timeout,
        max_line_size=limits.head_bytes,
        max_headers=limits.head_fields,
    )


async def _upgrade(listener: Listener, limits: SocketLimits, accept: Acceptor, request: web.Request) -> web.Response:
    """Opens a WebSocket on a connection that has carried requests before, as clients and proxies do that reuse them."""
    lines = [f"{request.method} {request.raw_path} HTTP/{request.version.major}.{request.version.minor}".encode()]
    lines += [name + b": " + value for name, value in request.raw_headers]
    door = _Door(listener, limits, accept, None)
    assert request.transport is not None
    listener.works(cast(CountedHttp, request.transport.get_protocol()))
    door.take(request.transport, b"\r\n".join(lines))
    # To those who served the connection until now it is gone, and so nothing is left for them to close.
    request.protocol.transport = None
    request.protocol.connection_lost(None)
    return web.Response()


class _Door(asyncio.Protocol):
    """A connection until the head of its first request is complete."""

    __slots__ = ("_accept", "_begun", "_data", "_http", "_limits", "_listener", "_timer", "_transport", "peer")

    def __init__(self, listener: Listener, limits: SocketLimits, accept: Acceptor, http: HttpFactory | None) -> None:
        self.peer: Peer = ("", 0)
        self._listener = listener
        self._limits = limits
        self._accept = accept
        self._http = http
        self._data = bytearray()
        self._begun = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = (transport.get_extra_info("peername") or self.peer)[:2]
        refuse = self._listener.enter(self)
        if refuse is not None:
            self._answer(refuse, partial(self._listener.passed, self))
            return
        self._timer = asyncio.get_running_loop().call_later(self._limits.head_timeout, self._late)

    def take(self, transport: asyncio.Transport, head: bytes) -> None:
        """Goes on with a connection that was let in long ago, and a head."""
        self._transport = transport
        self.peer = (transport.get_extra_info("peername") or self.peer)[:2]
        self._pass_on(head, b"")

    def data_received(self, data: bytes) -> None:
        seen = max(0, len(self._data) - len(_END) + 1)
        self._data += data
        end = self._data.find(_END, seen)
        if max(end, len(self._data) if end < 0 else 0) > self._limits.head_bytes:
            self._refuse(Refuse(431, "HEAD_TOO_LARGE", HEAD_TOO_LARGE))
        elif end >= 0:
            self._pass_on(bytes(self._data[:end]), bytes(self._data[end + len(_END) :]))
        elif not self._begun:
            try:
                self._begun = check_beginning(self._data)
            except HandshakeError as error:
                self._refuse(error.answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pass()
        self._listener.left(self.peer[0])

    @property
    def address(self) -> str:
        """See `listener.Newcomer`."""
        return self.peer[0]

    def drop(self) -> None:
        """See `listener.Newcomer`."""
        self._transport.abort()

    def _late(self) -> None:
        self._refuse(Refuse(408, "HEAD_TOO_SLOW", "the request head did not come in time"))

    def _pass(self) -> None:
        self._listener.passed(self)
        if self._timer is not None:
            self._timer.cancel()

    def _pass_on(self, raw: bytes, rest: bytes) -> None:
        try:
            head = parse_head(raw, self._limits)
            if self._limits.path is None or head.path == self._limits.path:
                self._open_socket(head, rest)
            elif self._http is None:
                self._refuse(Refuse(404, "NOT_FOUND", "there is nothing here"))
            else:
                self._pass()
                protocol = CountedHttp(self._http(), self._listener, self.peer[0])
                protocol.connection_made(self._transport)
                self._transport.set_protocol(protocol)
                protocol.data_received(raw + _END + rest)
        except HandshakeError as error:
            self._refuse(error.answer)

    def _open_socket(self, head: Head, rest: bytes) -> None:
        handshake = check_upgrade(head, self.peer, self._limits)
        try:
            verdict = self._accept(handshake)
            if isinstance(verdict, Refuse):
                self._refuse(verdict)
                return
            if verdict.subprotocol is not None and verdict.subprotocol not in handshake.subprotocols:
                raise ValueError(f"{verdict.subprotocol} was not offered")
            handler = verdict.handler_factory()
        except Exception as error:
            log.error("accept failed", exc_info=error)
            self._refuse(Refuse(500, "INTERNAL", "the handshake failed"))
            return
        self._pass()
        socket = Socket(
            self._transport,
            handler,
            self._limits,
            self.peer,
            verdict.subprotocol,
            self._listener.trusted,
            self._listener.gone,
        )
        self._listener.opened(socket)
        socket.start(switching_protocols(head.headers, verdict.subprotocol), rest)

    def _refuse(self, refuse: Refuse) -> None:
        log.info("request refused", status=refuse.status, reason=refuse.reason, peer=self.peer[0])
        if self._timer is not None:
            self._timer.cancel()
        self._answer(refuse, partial(self.connection_lost, None))

    def _answer(self, refuse: Refuse, on_lost: Callable[[], None]) -> None:
        self._transport.write(refusal(refuse))
        linger(self._transport, self._limits.close_timeout, on_lost)
