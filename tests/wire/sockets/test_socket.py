"""A socket on the wire: limits before trust, floods, full buffers, and every way it closes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import SO_RCVBUF, SOL_SOCKET

import pytest
import uvloop

from gateway.limits import Rate, SocketLimits
from gateway.listener.listener import Listener
from gateway.listener.listening import listening
from gateway.websocket.handshake import Accept
from gateway.websocket.rfc6455 import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame
from gateway.websocket.socket import Socket

REQUEST = (
    b"GET /ws/connect HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def client_frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    server = encode_frame(opcode, payload)
    server = server if final else bytes((server[0] & 0x7F,)) + server[1:]
    head = len(server) - len(payload)
    return bytes((server[0], server[1] | 0x80)) + server[2:head] + bytes(4) + payload


def close_frame(code: int) -> bytes:
    return client_frame(CLOSE, code.to_bytes(2, "big"))


@dataclass
class Recorder:
    """A handler that records events."""

    messages: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    writable: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Queue[tuple[int, str]] = field(default_factory=asyncio.Queue)
    react: Callable[[Socket, bytes], None] = lambda socket, payload: None
    socket: Socket = field(init=False)

    def on_open(self, socket: Socket) -> None:
        self.socket = socket

    def on_message(self, is_text: bool, payload: bytes) -> None:
        self.messages.put_nowait(payload)
        self.react(self.socket, payload)

    def on_writable(self) -> None:
        self.writable.set()

    def on_close(self, code: int, reason: str) -> None:
        self.closed.put_nowait((code, reason))


@dataclass
class Wire:
    """The client's side, the handler on the server's side, and the listener."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    handler: Recorder
    listener: Listener

    async def read(self) -> tuple[int, bytes] | None:
        head = await self.reader.read(1)
        if not head:
            return None
        size = (await self.reader.readexactly(1))[0]
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        return head[0] & 0x0F, await self.reader.readexactly(size)

    async def read_close(self) -> int:
        """The code of the next frame, which is a close frame, and the last."""
        frame = await self.read()
        assert frame is not None
        assert frame[0] == CLOSE
        assert await self.reader.read() == b""
        return int.from_bytes(frame[1][:2], "big")


@asynccontextmanager
async def wired(
    limits: SocketLimits | None = None, react: Callable[[Socket, bytes], None] = lambda socket, payload: None
) -> AsyncIterator[Wire]:
    handler = Recorder(react=react)
    limits = limits or SocketLimits(first_message=100, message=1000, close_timeout=5)
    async with (
        asyncio.timeout(10),
        listening("127.0.0.1", 0, accept=lambda handshake: Accept(None, lambda: handler), limits=limits) as listener,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        yield Wire(reader, writer, handler, listener)
        writer.close()


async def test_an_untrusted_peer_is_refused_by_the_declared_length() -> None:
    async with wired() as wire:
        wire.writer.write(client_frame(TEXT, b"x" * 100) + client_frame(TEXT, b"x" * 101)[:8])
        assert await wire.read_close() == 1009
        assert wire.handler.messages.get_nowait() == b"x" * 100
        assert await wire.handler.closed.get() == (1009, "the message is too large")


async def test_an_untrusted_peer_cannot_exceed_the_limit_with_fragments() -> None:
    async with wired() as wire:
        part = client_frame(TEXT, b"x" * 60)
        wire.writer.write(bytes((TEXT,)) + part[1:] + b"\x80" + part[1:])
        assert await wire.read_close() == 1009
        assert wire.handler.messages.empty()


async def test_trust_raises_the_limit() -> None:
    async with wired(react=lambda socket, payload: socket.raise_limit()) as wire:
        wire.writer.write(client_frame(TEXT, b"hello") + client_frame(TEXT, b"x" * 1000))
        assert await wire.handler.messages.get() == b"hello"
        assert await wire.handler.messages.get() == b"x" * 1000
        wire.writer.write(client_frame(TEXT, b"x" * 1001)[:8])
        assert await wire.read_close() == 1009


async def test_trust_in_the_middle_of_a_frame_loses_nothing() -> None:
    async with wired() as wire:
        frame = client_frame(BINARY, bytes(range(90)))
        wire.writer.write(client_frame(TEXT, b"first") + frame[:40])
        assert await wire.handler.messages.get() == b"first"
        wire.handler.socket.raise_limit()
        wire.writer.write(frame[40:] + client_frame(BINARY, b"x" * 900))
        assert await wire.handler.messages.get() == bytes(range(90))
        assert await wire.handler.messages.get() == b"x" * 900


async def test_trust_may_be_limited() -> None:
    async with wired() as wire:
        wire.handler.socket.raise_limit(500)
        wire.writer.write(client_frame(TEXT, b"x" * 501))
        assert await wire.read_close() == 1009


async def test_a_flood_of_pings_is_closed_with_4503() -> None:
    async with wired(SocketLimits(pings=Rate(per_second=0.001, burst=3))) as wire:
        wire.writer.write(client_frame(PING, b"p") * 3 + client_frame(PONG))
        assert [await wire.read() for _ in range(3)] == [(PONG, b"p")] * 3
        assert await wire.read_close() == 4503
        assert await wire.handler.closed.get() == (4503, "too many pings")


async def test_a_flood_of_fragments_is_closed_with_4503_however_little_they_hold() -> None:
    async with wired(SocketLimits(fragments=Rate(per_second=0.001, burst=3))) as wire:
        wire.writer.write(client_frame(TEXT, b"a", final=False) + client_frame(CONTINUATION, b"b"))
        assert await wire.handler.messages.get() == b"ab"
        wire.writer.write(client_frame(TEXT, b"", final=False) + client_frame(CONTINUATION, b"", final=False) * 3)
        assert await wire.read_close() == 4503
        assert await wire.handler.closed.get() == (4503, "too many fragments")


async def test_the_peers_close_is_answered_and_reported_once() -> None:
    async with wired() as wire:
        wire.writer.write(close_frame(4000))
        assert await wire.read_close() == 4000
        assert await wire.handler.closed.get() == (4000, "")
    assert wire.handler.closed.empty()
    assert (wire.listener.sockets, wire.listener.connections) == (0, 0)


async def test_a_close_waits_for_that_of_the_peer() -> None:
    async with wired() as wire:
        wire.handler.socket.close(4001, "slow")
        assert await wire.read() == (CLOSE, (4001).to_bytes(2, "big") + b"slow")
        wire.writer.write(client_frame(TEXT, b"late") + close_frame(4001))
        assert await wire.reader.read() == b""
        assert await wire.handler.closed.get() == (4001, "slow")
        assert wire.handler.messages.empty()


async def test_a_peer_that_does_not_answer_a_close_is_dropped() -> None:
    async with wired(SocketLimits(close_timeout=0.05)) as wire:
        wire.handler.socket.close(4000)
        assert await wire.handler.closed.get() == (4000, "")


async def test_a_peer_that_vanishes_is_reported_as_1006() -> None:
    async with wired() as wire:
        wire.writer.transport.abort()
        assert await wire.handler.closed.get() == (1006, "")


async def test_an_abort_is_reported_as_1006() -> None:
    async with wired() as wire:
        wire.handler.socket.abort()
        assert await wire.handler.closed.get() == (1006, "")


async def test_nothing_is_sent_after_the_end() -> None:
    async with wired() as wire:
        wire.writer.transport.abort()
        await wire.handler.closed.get()
        socket = wire.handler.socket
        socket.send(encode_frame(TEXT, b"x"))
        socket.close(1000)
        socket.raise_limit()
        socket.pause_reading()
        socket.resume_reading()
        socket.abort()
        assert socket.buffered == 0
    assert wire.handler.closed.empty()


async def test_a_full_socket_buffers_in_order_and_reports_when_it_is_writable() -> None:
    async with wired() as wire:
        socket, sent = wire.handler.socket, 0
        while socket.buffered < 100_000:
            socket.send(encode_frame(BINARY, sent.to_bytes(4, "big") * 2000))
            sent += 1
        assert not wire.handler.writable.is_set()
        for number in range(sent):
            assert await wire.read() == (BINARY, number.to_bytes(4, "big") * 2000)
        await wire.handler.writable.wait()
        assert socket.buffered == 0
        socket.send(encode_frame(TEXT, b"at once"))
        assert socket.buffered == 0
        assert await wire.read() == (TEXT, b"at once")


async def test_a_close_is_sent_after_what_is_buffered() -> None:
    async with wired() as wire:
        socket, sent = wire.handler.socket, 0
        while not socket.buffered:
            socket.send(encode_frame(BINARY, bytes(50_000)))
            sent += 1
        socket.close(4001)
        assert [await wire.read() for _ in range(sent)] == [(BINARY, bytes(50_000))] * sent
        frame = await wire.read()
        assert frame is not None
        assert frame[0] == CLOSE


async def test_a_peer_that_never_reads_is_dropped_with_its_buffer() -> None:
    async with wired(SocketLimits(close_timeout=0.05)) as wire:
        while not wire.handler.socket.buffered:
            wire.handler.socket.send(encode_frame(BINARY, bytes(50_000)))
        wire.handler.socket.close(4001, "slow consumer")
        assert await wire.handler.closed.get() == (4001, "slow consumer")


async def test_the_kernel_buffers_little_for_a_peer_that_does_not_read() -> None:
    async with wired() as wire:
        peer = wire.writer.get_extra_info("socket")
        peer.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = 0
        while not wire.handler.socket.buffered:
            wire.handler.socket.send(encode_frame(BINARY, bytes(1_000)))
            sent += 1
            await asyncio.sleep(0)
        assert sent < 600
        wire.handler.socket.abort()


async def test_a_paused_socket_lets_tcp_slow_the_peer_down() -> None:
    async with wired(SocketLimits(first_message=65536)) as wire:
        wire.handler.socket.pause_reading()
        await asyncio.sleep(0)
        wire.writer.transport.set_write_buffer_limits(high=0)
        for _ in range(200):
            wire.writer.write(client_frame(BINARY, bytes(50_000)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.writer.drain(), 0.05)
        assert wire.handler.messages.empty()
        wire.handler.socket.resume_reading()
        for _ in range(200):
            assert await wire.handler.messages.get() == bytes(50_000)


async def test_a_failing_handler_closes_its_own_socket_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    def fail(socket: Socket, payload: bytes) -> None:
        raise RuntimeError("broken handler")

    async with wired(react=fail) as wire:
        wire.writer.write(client_frame(TEXT, b"x"))
        assert await wire.read_close() == 1011
    assert "broken handler" in caplog.text


async def test_the_end_of_the_listener_closes_every_socket_with_1001() -> None:
    handlers: list[Recorder] = []

    def make() -> Recorder:
        handlers.append(Recorder())
        return handlers[-1]

    limits = SocketLimits(close_timeout=0.05)
    async with listening("127.0.0.1", 0, accept=lambda handshake: Accept(None, make), limits=limits) as listener:
        clients = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(5)]
        for reader, writer in clients:
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
        assert listener.sockets == 5
    assert [handler.closed.get_nowait()[0] for handler in handlers] == [1001] * 5
    for reader, writer in clients:
        assert (await reader.read())[2:4] == (1001).to_bytes(2, "big")
        writer.close()
    assert (listener.sockets, listener.connections) == (0, 0)


async def test_the_end_of_the_listener_ends_connections_without_a_request() -> None:
    async with listening("127.0.0.1", 0, accept=lambda handshake: Accept(None, Recorder)) as listener:
        silent = await asyncio.open_connection("127.0.0.1", listener.port)
        refused = await asyncio.open_connection("127.0.0.1", listener.port)
        refused[1].write(b"nonsense\r\n\r\n")
        assert (await refused[0].readline()).startswith(b"HTTP/1.1 400 ")
    assert listener.connections == 0
    for _, writer in (silent, refused):
        writer.close()


async def test_a_listener_that_stops_accepting_keeps_its_sockets() -> None:
    async with wired(react=lambda socket, payload: socket.send(encode_frame(TEXT, payload))) as wire:
        wire.listener.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", wire.listener.port)
        wire.writer.write(client_frame(TEXT, b"still here"))
        assert await wire.read() == (TEXT, b"still here")


SCENARIOS: list[Callable[[], Awaitable[None]]] = [
    test_an_untrusted_peer_is_refused_by_the_declared_length,
    test_trust_raises_the_limit,
    test_trust_in_the_middle_of_a_frame_loses_nothing,
    test_a_flood_of_pings_is_closed_with_4503,
    test_a_close_waits_for_that_of_the_peer,
    test_a_peer_that_does_not_answer_a_close_is_dropped,
    test_a_peer_that_vanishes_is_reported_as_1006,
    test_nothing_is_sent_after_the_end,
    test_a_full_socket_buffers_in_order_and_reports_when_it_is_writable,
    test_a_close_is_sent_after_what_is_buffered,
    test_a_peer_that_never_reads_is_dropped_with_its_buffer,
    test_a_paused_socket_lets_tcp_slow_the_peer_down,
    test_the_end_of_the_listener_closes_every_socket_with_1001,
    test_the_end_of_the_listener_ends_connections_without_a_request,
    test_a_listener_that_stops_accepting_keeps_its_sockets,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__.removeprefix("test_"))
def test_the_same_under_uvloop(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario()

    uvloop.run(run())
