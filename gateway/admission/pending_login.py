"""A socket whose token waits for a key of its issuer to be fetched."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from gateway.sessions.session import CloseCode
from gateway.websocket.socket import Socket, SocketHandler
from kit.jose import UnknownKey

log = structlog.get_logger()
# A client sends hello before it hears anything, and little else.
_EARLY_MESSAGES = 8


class PendingLogin:
    """Keeps what the client sends meanwhile, then hands the socket over. See `socket.SocketHandler`."""

    def __init__(
        self,
        unknown: UnknownKey,
        decide: Callable[[], SocketHandler],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """`decide` makes the handler when the attempt has ended; `spawn` runs something beside everything else."""
        self._unknown = unknown
        self._decide = decide
        self._spawn = spawn
        self._early: list[tuple[bool, bytes]] = []
        self._handler: SocketHandler | None = None
        self._closed = False

    def on_open(self, socket: Socket) -> None:
        """See `socket.SocketHandler`."""
        self._spawn(self._wait(socket))

    def on_message(self, is_text: bool, payload: bytes) -> None:
        """See `socket.SocketHandler`."""
        if self._handler is not None:
            self._handler.on_message(is_text, payload)
        elif len(self._early) < _EARLY_MESSAGES:
            self._early.append((is_text, payload))

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
            self._handler = self._decide()
        except Exception:
            log.exception("login failed")
            socket.close(CloseCode.BAD_TOKEN, "INVALID_TOKEN")
            return
        self._handler.on_open(socket)
        early, self._early = self._early, []
        for is_text, payload in early:
            if not self._closed:
                self._handler.on_message(is_text, payload)
