"""Frames of one connection, by picows: the only module that imports it.

picows finds frames, unmasks them and checks opcodes, masks and lengths; the rest of the protocol is in `rfc6455`.
picows writes nothing itself: its close frames are intercepted here.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # its stub forgets it

from gateway.limits import Rate, SocketLimits
from gateway.websocket import rfc6455
from gateway.websocket.rfc6455 import DeclaredLengths, Messages, ProtocolError

log = logging.getLogger(__name__)

# picows reads a handshake first. It gets this one: that of the client has been answered already, and a long head would
# enlarge the read buffer for the lifetime of the connection.
_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: -\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
# The read buffer doubles when a chunk nearly fills it, and never shrinks.
_CHUNK = 1024


class FrameHandler(Protocol):
    """The owner of a framing: a socket."""

    def send(self, frame: bytes) -> None:
        """Writes an encoded frame."""

    def write_paused(self) -> None:
        """The transport buffers: a write that bypasses it would reorder bytes."""

    def write_resumed(self) -> None:
        """The transport's buffer is empty again."""

    def fail(self, code: int, reason: str) -> None:
        """The peer has violated the protocol, or a handler has failed (1011)."""

    def peer_closed(self, code: int, reason: str) -> None:
        """A close frame was received."""

    def transport_lost(self) -> None:
        """The transport has closed. Its file descriptor is still open."""


class Framing(WSListener):
    """The listener and the transport that picows uses. Of what picows writes, only close frames are used."""

    __slots__ = (
        "_fragments_due",
        "_guard",
        "_handler",
        "_limits",
        "_loop",
        "_messages",
        "_on_message",
        "_pings_due",
        "_transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        handler: FrameHandler,
        on_message: Callable[[bool, bytes], None],
        limits: SocketLimits,
    ) -> None:
        self._transport = transport
        self._handler: FrameHandler | None = handler
        self._on_message = on_message
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._pings_due = self._fragments_due = 0.0
        self._messages = Messages(min(limits.first_message, limits.message))
        self._guard: _LengthGuard | None = None

    def attach(self) -> Callable[[bytes], None]:
        """Receives the input of the transport; returns the function for what was read from it before."""
        core = WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=lambda request: self,
            logger=_LOGGER,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,
            enable_auto_ping=False,
            auto_ping_idle_timeout=None,
            auto_ping_reply_timeout=None,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,
            max_frame_size=self._limits.message,
            extra_headers=None,
            read_buffer_init_size=self._limits.read_buffer,
        )
        core.connection_made(self)
        _feed(core, _REQUEST)
        # 1 KiB per connection that is not needed.
        core.transport.request.headers = core.transport.response.headers = None
        self._transport.set_write_buffer_limits(high=0)
        if self._messages.limit == self._limits.message:
            self._transport.set_protocol(core)
            return lambda data: _feed(core, data)
        self._guard = _LengthGuard(self, core, self._messages.limit)
        self._transport.set_protocol(self._guard)
        return self._guard.data_received

    def raise_limit(self, message: int) -> None:
        """Accepts larger messages from now on."""
        self._messages.limit = min(message, self._limits.message)
        if self._guard is not None:
            self._guard.open = True
            self._transport.set_protocol(self._guard.core)
            self._guard = None

    def mute(self) -> None:
        """Drops further messages."""
        self._on_message = _ignore

    def release(self) -> None:
        """Drops the reference to the handler, so that it is freed immediately and not by the garbage collector."""
        self._handler = self._guard = None
        self.mute()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """See `WSListener`."""
        opcode: int = frame.msg_type  # type: ignore[assignment]  # an IntEnum, whatever the stub says
        reserved = frame.rsv1 or frame.rsv2 or frame.rsv3
        try:
            if opcode >= rfc6455.CLOSE:
                self._receive_control(opcode, reserved, frame.get_payload_as_bytes())
                return
            message = self._messages.receive(opcode, frame.fin, reserved, frame.get_payload_as_bytes())
            if message is None:
                self._fragments_due = self._spend(self._limits.fragments, self._fragments_due, "fragments")
        except ProtocolError as error:
            if self._handler is not None:
                self._handler.fail(error.code, error.reason)
            return
        if message is not None:
            self._on_message(self._messages.is_text, message)

    def _receive_control(self, opcode: int, reserved: int, payload: bytes) -> None:
        if reserved:
            raise ProtocolError(1002, "reserved bits are set")
        if self._handler is None:
            return
        if opcode == rfc6455.CLOSE:
            self._handler.peer_closed(*rfc6455.parse_close(payload))
            return
        self._pings_due = self._spend(self._limits.pings, self._pings_due, "pings")
        if opcode == rfc6455.PING:
            self._handler.send(rfc6455.encode_frame(rfc6455.PONG, payload))

    def _spend(self, rate: Rate, due: float, what: str) -> float:
        next_due = rate.spend(due, self._loop.time())
        if next_due is None:
            raise ProtocolError(4503, f"too many {what}")
        return next_due

    def pause_writing(self) -> None:
        """See `WSListener`."""
        if self._handler is not None:
            self._handler.write_paused()

    def resume_writing(self) -> None:
        """See `WSListener`."""
        if self._handler is not None:
            self._handler.write_resumed()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """See `WSListener`."""
        if self._handler is not None:
            self._handler.transport_lost()

    def get_extra_info(self, name: str) -> Any:
        """See `asyncio.Transport`."""
        return self._transport.get_extra_info(name)

    def get_write_buffer_size(self) -> int:
        """Never zero, so that picows writes through `write` and not to the file descriptor."""
        return 1

    def write(self, data: bytes) -> None:
        """Reads the code of picows' close frame; ignores its answer to `_REQUEST`."""
        if data[0] == 0x80 | rfc6455.CLOSE:
            payload = data[2:] if data[1] < 126 else data[4:]
            self.reject(int.from_bytes(payload[:2], "big"), payload[2:].decode())

    def reject(self, code: int, reason: str) -> None:
        """Fails the connection after the messages before the fault were delivered.

        picows parses one frame ahead: it reports the bad frame before it delivers the good one before it.
        """
        if self._handler is not None:
            self._loop.call_soon(self._handler.fail, code, reason)

    def close(self) -> None:
        """Does nothing: picows closes 10 ms after its report, and `reject` has closed already."""


class _LengthGuard(asyncio.Protocol):
    """Checks lengths before picows does, until the peer is trusted: the limit of picows cannot change, this one is
    lower."""

    __slots__ = ("_framing", "_lengths", "core", "open")

    def __init__(self, framing: Framing, core: Any, limit: int) -> None:
        self._framing = framing
        self._lengths = DeclaredLengths(limit)
        self.core = core
        self.open = False

    def data_received(self, data: bytes) -> None:
        end = self._lengths.oversized(data)
        _feed(self.core, data[:end])
        if end is None:
            return
        if self.open:
            _feed(self.core, data[end:])
        else:
            self._framing.reject(1009, "the message is too large")

    def pause_writing(self) -> None:
        self._framing.pause_writing()

    def resume_writing(self) -> None:
        self._framing.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.core.connection_lost(exc)


class _HandlerErrorLogger:
    """The logger for picows: logs errors of handlers, and not those of peers."""

    def isEnabledFor(self, level: int) -> bool:
        return False

    def _nothing(self, *args: object) -> None: ...

    debug = info = warning = error = log = _nothing

    def exception(self, message: str, *args: object) -> None:
        log.exception(message, *args)


_LOGGER = _HandlerErrorLogger()


def _ignore(is_text: bool, payload: bytes) -> None: ...


def _feed(core: Any, data: bytes) -> None:
    rest = memoryview(data)
    while rest and not core.transport.is_close_frame_sent:
        buffer = core.get_buffer(-1)
        size = min(len(rest), len(buffer), _CHUNK)
        buffer[:size] = rest[:size]
        core.buffer_updated(size)
        rest = rest[size:]
