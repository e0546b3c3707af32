"""An HTTP connection that reports to the listener when it waits for its client, and when it ends."""

import asyncio
from typing import cast

from aiohttp import web

from gateway.http.head import Refuse, refusal
from gateway.listener.listener import Listener


class TrackedHttp(asyncio.Protocol):
    """Wraps the protocol of an HTTP connection. See `waiting_connections.EvictableConnection`."""

    __slots__ = ("_inner", "_is_in_body", "_listener", "_transport", "address")

    def __init__(self, inner: asyncio.Protocol, listener: Listener, address: str) -> None:
        self.address = address
        self._inner = inner
        self._listener = listener
        self._is_in_body = False

    def head_received(self) -> None:
        """The head of a request is complete."""
        self._is_in_body = True

    def request_received(self) -> None:
        """A request is complete."""
        self._is_in_body = False
        self._listener.mark_served(self)

    def response_started(self) -> None:
        """The answer to a request begins."""
        self._is_in_body = False
        self._listener.mark_waiting(self)

    def drop(self) -> None:
        """See `waiting_connections.EvictableConnection`."""
        if self._is_in_body:
            self._transport.write(refusal(Refuse(408, "BODY_TOO_SLOW", "the body did not come in time")))
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._listener.mark_waiting(self)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)
        self._listener.mark_served(self)
        self._listener.connection_closed(self.address)


async def mark_response_started(request: web.Request, _: web.StreamResponse) -> None:
    """A signal handler of the application: the answer to a request begins."""
    connection = request.transport.get_protocol() if request.transport is not None else None
    if isinstance(connection, TrackedHttp):
        connection.response_started()
