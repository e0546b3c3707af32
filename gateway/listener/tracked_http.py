"""A connection that carries HTTP: whether it waits for its client, and how it gives up its place."""

import asyncio
from typing import cast

from aiohttp import web

from gateway.http.head import Refuse, refusal
from gateway.listener.listener import Listener


class CountedHttp(asyncio.Protocol):
    """The protocol of an HTTP connection, and word to the listener when it waits for its client and when it ends."""

    __slots__ = ("_inner", "_is_in_body", "_listener", "_transport", "address")

    def __init__(self, inner: asyncio.Protocol, listener: Listener, address: str) -> None:
        self.address = address
        self._inner = inner
        self._listener = listener
        self._is_in_body = False

    def begins(self) -> None:
        """The head of a request is complete."""
        self._is_in_body = True

    def has_come(self) -> None:
        """The request is complete."""
        self._is_in_body = False
        self._listener.works(self)

    def answers(self) -> None:
        """The answer begins."""
        self._is_in_body = False
        self._listener.waits(self)

    def drop(self) -> None:
        """See `waiting_connections.Waiting`."""
        if self._is_in_body:
            self._transport.write(refusal(Refuse(408, "BODY_TOO_SLOW", "the body did not come in time")))
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._listener.waits(self)
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
        self._listener.works(self)
        self._listener.left(self.address)


async def note_answer(request: web.Request, _: web.StreamResponse) -> None:
    """A signal of the application: an answer begins."""
    connection = request.transport.get_protocol() if request.transport is not None else None
    if isinstance(connection, CountedHttp):
        connection.answers()
