"""A connection until the head of its first request is complete: then it becomes a WebSocket or HTTP."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast

import structlog

from gateway.http.head import HEAD_TOO_LARGE, HandshakeError, Head, Refuse, check_beginning, parse_head, refusal
from gateway.limits import SocketLimits
from gateway.listener.listener import Listener
from gateway.listener.tracked_http import TrackedHttp
from gateway.websocket.handshake import Accept, Handshake, check_upgrade, switching_protocols
from gateway.websocket.linger import linger
from gateway.websocket.socket import Peer, Socket

log = structlog.get_logger()

Acceptor = Callable[[Handshake], Accept | Refuse]
"""Decides about a handshake; does not block."""
HttpFactory = Callable[[], asyncio.Protocol]
"""Makes the protocol of an HTTP connection."""

_END = b"\r\n\r\n"


class HeadProtocol(asyncio.Protocol):
    """Reads the head of the first request. See `listener.PendingConnection`."""

    __slots__ = (
        "_accept",
        "_data",
        "_has_line",
        "_http",
        "_limits",
        "_listener",
        "_timer",
        "_transport",
        "peer",
    )

    def __init__(self, listener: Listener, limits: SocketLimits, accept: Acceptor, http: HttpFactory | None) -> None:
        self.peer: Peer = ("", 0)
        self._listener = listener
        self._limits = limits
        self._accept = accept
        self._http = http
        self._data = bytearray()
        self._has_line = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = (transport.get_extra_info("peername") or self.peer)[:2]
        refuse = self._listener.admit(self)
        if refuse is not None:
            self._answer(refuse, partial(self._listener.remove_pending, self))
            return
        self._timer = asyncio.get_running_loop().call_later(self._limits.head_timeout, self._time_out)

    def upgrade(self, transport: asyncio.Transport, head: bytes) -> None:
        """Opens a WebSocket on a connection that has carried HTTP requests, with the head of the last one."""
        self._transport = transport
        self.peer = (transport.get_extra_info("peername") or self.peer)[:2]
        self._dispatch(head, b"")

    def data_received(self, data: bytes) -> None:
        seen = max(0, len(self._data) - len(_END) + 1)
        self._data += data
        end = self._data.find(_END, seen)
        if max(end, len(self._data) if end < 0 else 0) > self._limits.head_bytes:
            self._refuse(Refuse(431, "HEAD_TOO_LARGE", HEAD_TOO_LARGE))
        elif end >= 0:
            self._dispatch(bytes(self._data[:end]), bytes(self._data[end + len(_END) :]))
        elif not self._has_line:
            try:
                self._has_line = check_beginning(self._data)
            except HandshakeError as error:
                self._refuse(error.answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_pending()
        self._listener.connection_closed(self.peer[0])

    @property
    def address(self) -> str:
        """See `listener.PendingConnection`."""
        return self.peer[0]

    def drop(self) -> None:
        """See `listener.PendingConnection`."""
        self._transport.abort()

    def _time_out(self) -> None:
        self._refuse(Refuse(408, "HEAD_TOO_SLOW", "the request head did not come in time"))

    def _stop_pending(self) -> None:
        self._listener.remove_pending(self)
        if self._timer is not None:
            self._timer.cancel()

    def _dispatch(self, raw: bytes, rest: bytes) -> None:
        try:
            head = parse_head(raw, self._limits)
            if self._limits.path is None or head.path == self._limits.path:
                self._open_socket(head, rest)
            elif self._http is None:
                self._refuse(Refuse(404, "NOT_FOUND", "there is nothing here"))
            else:
                self._stop_pending()
                protocol = TrackedHttp(self._http(), self._listener, self.peer[0])
                protocol.connection_made(self._transport)
                self._transport.set_protocol(protocol)
                protocol.data_received(raw + _END + rest)
        except HandshakeError as error:
            self._refuse(error.answer)

    def _open_socket(self, head: Head, rest: bytes) -> None:
        handshake = check_upgrade(head, self.peer, self._limits)
        try:
            decision = self._accept(handshake)
            if isinstance(decision, Refuse):
                self._refuse(decision)
                return
            if decision.subprotocol is not None and decision.subprotocol not in handshake.subprotocols:
                raise ValueError(f"{decision.subprotocol} was not offered")
            handler = decision.handler_factory()
        except Exception as error:
            log.error("accept failed", exc_info=error)
            self._refuse(Refuse(500, "INTERNAL", "the handshake failed"))
            return
        self._stop_pending()
        socket = Socket(
            self._transport,
            handler,
            self._limits,
            self.peer,
            decision.subprotocol,
            self._listener.socket_trusted,
            self._listener.socket_closed,
        )
        self._listener.socket_opened(socket)
        socket.start(switching_protocols(head.headers, decision.subprotocol), rest)

    def _refuse(self, refuse: Refuse) -> None:
        log.info("request refused", status=refuse.status, reason=refuse.reason, peer=self.peer[0])
        if self._timer is not None:
            self._timer.cancel()
        self._answer(refuse, partial(self.connection_lost, None))

    def _answer(self, refuse: Refuse, on_lost: Callable[[], None]) -> None:
        self._transport.write(refusal(refuse))
        linger(self._transport, self._limits.close_timeout, on_lost)
