"""A socket whose token cannot be verified before a key of its issuer is fetched."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from gateway import metrics
from gateway.contracts.close_codes import CloseCode
from gateway.websocket.socket import Socket, SocketHandler
from kit.auth.jose import UnknownKey
from kit.errors import Unavailable

log = structlog.get_logger()
# A client sends hello, and little else, before it gets an answer.
_MAX_BUFFERED = 8


class PendingLogin:
    """Buffers the messages of the client meanwhile, then hands the socket over. See `socket.SocketHandler`."""

    def __init__(
        self,
        unknown: UnknownKey,
        make_handler: Callable[[], SocketHandler],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """`make_handler` makes the handler after the fetch; `spawn` runs a task in the background."""
        self._unknown = unknown
        self._make_handler = make_handler
        self._spawn = spawn
        self._buffered: list[tuple[bool, bytes]] = []
        self._handler: SocketHandler | None = None
        self._closed = False

    def on_open(self, socket: Socket) -> None:
        """See `socket.SocketHandler`."""
        self._spawn(self._wait(socket))

    def on_message(self, is_text: bool, payload: bytes) -> None:
        """See `socket.SocketHandler`."""
        if self._handler is not None:
            self._handler.on_message(is_text, payload)
        elif len(self._buffered) < _MAX_BUFFERED:
            self._buffered.append((is_text, payload))

    def on_writable(self) -> None:
        """See `socket.SocketHandler`."""
        if self._handler is not None:
            self._handler.on_writable()

    def on_close(self, code: int, reason: str) -> None:
        """See `socket.SocketHandler`."""
        self._closed = True
        if self._handler is not None:
            self._handler.on_close(code, reason)

    async def _wait(self, socket: Socket) -> None:
        try:
            await self._unknown.fetch()
            if self._closed:
                return
            self._handler = self._make_handler()
        except Unavailable:
            # The token may be good: the client connects again.
            self._close(socket, "UNAVAILABLE")
            return
        except Exception:
            log.exception("login failed")
            self._close(socket, "INTERNAL")
            return
        self._handler.on_open(socket)
        buffered, self._buffered = self._buffered, []
        for is_text, payload in buffered:
            if not self._closed:
                self._handler.on_message(is_text, payload)

    def _close(self, socket: Socket, reason: str) -> None:
        if not self._closed:
            metrics.closes[CloseCode.INTERNAL] += 1
            socket.close(CloseCode.INTERNAL, reason)
