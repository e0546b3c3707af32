"""One WebSocket: writes encoded frames at the cost of one system call, and delivers checked messages."""

import asyncio
import logging
import socket as sockets
from collections.abc import Callable, Iterable
from typing import Protocol

from gateway.limits import SocketLimits
from gateway.websocket import rfc6455
from gateway.websocket.framing import Framing
from gateway.websocket.linger import linger

log = logging.getLogger(__name__)
Peer = tuple[str, int]
"""Address and port of the other end."""


def send_to_all(receivers: Iterable["Socket"], frame: bytes) -> list["Socket"]:
    """`Socket.send` to many; returns the sockets that have buffered data, which are not written to.

    The loop has `Socket.send` inlined: calls would cost a tenth more.
    """
    length = len(frame)
    busy: list[Socket] = []
    for socket in receivers:
        if socket.direct:
            try:
                sent = socket._write(frame)
            except BlockingIOError:
                socket._transport.write(frame)
            except OSError:
                socket.abort()
            else:
                if sent != length:
                    socket._transport.write(memoryview(frame)[sent:])
        elif socket.buffered:
            busy.append(socket)
        else:
            socket.send(frame)
    return busy


class SocketHandler(Protocol):
    """The application of a socket. It is called from the event loop, in the order of events on the wire."""

    def on_open(self, socket: "Socket") -> None:
        """The socket is open: the first call."""

    def on_message(self, is_text: bool, payload: bytes) -> None:
        """A complete message was received; text is valid UTF-8. None follows `Socket.close`."""

    def on_writable(self) -> None:
        """`Socket.buffered` is zero again after it was not."""

    def on_close(self, code: int, reason: str) -> None:
        """The WebSocket has closed: the last call, made exactly once. TCP may end a moment later.

        The code is that of the first close frame, of either side; 1005 if it had none, 1006 if there was no frame.
        """


class Socket:
    """One open connection. Methods never block; after `close` or the end of the connection they do nothing."""

    __slots__ = (
        "_closing",
        "_code",
        "_drop",
        "_finished",
        "_framing",
        "_handler",
        "_limits",
        "_on_closed",
        "_on_trusted",
        "_raw",
        "_reason",
        "_transport",
        "_write",
        "direct",
        "peer",
        "subprotocol",
        "trusted",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        handler: SocketHandler,
        limits: SocketLimits,
        peer: Peer,
        subprotocol: str | None,
        on_trusted: Callable[["Socket"], None],
        on_closed: Callable[["Socket"], None],
    ) -> None:
        self.peer = peer
        """Address and port at the other end of the TCP connection."""
        self.subprotocol = subprotocol
        self.trusted = False
        """Whether `raise_limit` was called."""
        self._transport = transport
        self._handler = handler
        self._limits = limits
        self._on_trusted = on_trusted
        self._on_closed = on_closed
        # The file descriptor of the transport, which only the transport closes. This is the cheapest way to write to it
        # from Python: os.write costs 4 % more, transport.write 14 %.
        own = transport.get_extra_info("socket")
        self._raw = sockets.socket(own.family, own.type, own.proto, fileno=own.fileno())
        self._raw.setblocking(False)
        self._raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, limits.receive_buffer)
        self._raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, limits.send_buffer)
        self._write = self._raw.send
        self.direct = True
        """Whether the socket is open and nothing is buffered: frames go directly to the kernel."""
        self._closing = False
        self._finished = False
        self._code, self._reason = rfc6455.ABNORMAL, ""
        self._drop: asyncio.TimerHandle | None = None
        self._framing = Framing(transport, self, handler.on_message, limits)

    def start(self, answer: bytes, rest: bytes) -> None:
        """Opens: writes the answer to the handshake, and reads `rest`, which arrived after the request."""
        receive = self._framing.attach()
        self.send(answer)
        try:
            self._handler.on_open(self)
        except Exception:
            log.exception("on_open failed")
            self.close(1011)
        receive(rest)

    def send(self, frame: bytes) -> None:
        """Writes an encoded frame (see `rfc6455.encode_frame`), or several joined: they cost one write.

        What the kernel does not accept is buffered, without a limit: see `buffered`.
        """
        if not self.direct:
            if not self._closing:
                self._transport.write(frame)
            return
        try:
            sent = self._write(frame)
        except BlockingIOError:
            self._transport.write(frame)
        except OSError:
            self.abort()
        else:
            if sent != len(frame):
                self._transport.write(memoryview(frame)[sent:])

    @property
    def buffered(self) -> int:
        """Bytes that the kernel has not accepted yet."""
        return 0 if self.direct else self._transport.get_write_buffer_size()

    def raise_limit(self, message: int | None = None) -> None:
        """Trusts the peer: accepts messages of up to `message` bytes (and at most `SocketLimits.message`)."""
        if self._closing:
            return
        self._framing.raise_limit(message or self._limits.message)
        if not self.trusted:
            self.trusted = True
            self._on_trusted(self)

    def pause_reading(self) -> None:
        """Reads no more from the network, so that TCP slows the peer down. What was read already is still delivered."""
        if not self._closing:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Ends `pause_reading`."""
        if not self._closing:
            self._transport.resume_reading()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Sends a close frame after what is buffered; drops the connection if the peer does not answer in time."""
        if self._closing:
            return
        self.resume_reading()
        self._send_close(code, reason)
        self._drop = asyncio.get_running_loop().call_later(self._limits.close_timeout, self._transport.abort)

    def abort(self) -> None:
        """Drops the connection and what is buffered."""
        self._shut()
        self._transport.abort()

    def fail(self, code: int, reason: str) -> None:
        """See `framing.FrameHandler`. Nothing more is read."""
        self._send_close(code, reason)
        self._finish()

    def peer_closed(self, code: int, reason: str) -> None:
        """See `framing.FrameHandler`. A first close frame is answered with its own code."""
        self._send_close(code, reason)
        self._finish()

    def write_paused(self) -> None:
        """See `framing.FrameHandler`."""
        self.direct = False

    def write_resumed(self) -> None:
        """See `framing.FrameHandler`."""
        if not self._closing:
            self.direct = True
            self._handler.on_writable()

    def transport_lost(self) -> None:
        """See `framing.FrameHandler`."""
        self._shut()
        self._notify_closed()
        self._raw.detach()
        self._framing.release()
        # The handler references the socket: without this, only the garbage collector would free both.
        del self._handler
        self._on_closed(self)

    def _send_close(self, code: int, reason: str) -> None:
        if self._closing:
            return
        self._code, self._reason = code, reason
        self.send(rfc6455.encode_close(code, reason))
        self._shut()

    def _shut(self) -> None:
        self.direct = False
        self._closing = True
        self._framing.mute()

    def _finish(self) -> None:
        if not self._finished:
            self._notify_closed()
            linger(self._transport, self._limits.close_timeout, self.transport_lost)

    def _notify_closed(self) -> None:
        if self._finished:
            return
        self._finished = True
        if self._drop is not None:
            self._drop.cancel()
        try:
            self._handler.on_close(self._code, self._reason)
        except Exception:
            log.exception("on_close failed")
