"""A socket on the wire: limits before trust, floods, and full buffers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from socket import SO_RCVBUF, SOL_SOCKET

import pytest
import uvloop

from gateway.limits import Rate, SocketLimits
from gateway.websocket.rfc6455 import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame
from tests.wire.sockets.raw_sockets import client_frame, wired


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


async def test_trust_in_the_middle_of_a_frame_loses_no_bytes() -> None:
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


async def test_a_flood_of_fragments_of_any_size_is_closed_with_4503() -> None:
    async with wired(SocketLimits(fragments=Rate(per_second=0.001, burst=3))) as wire:
        wire.writer.write(client_frame(TEXT, b"a", final=False) + client_frame(CONTINUATION, b"b"))
        assert await wire.handler.messages.get() == b"ab"
        wire.writer.write(client_frame(TEXT, b"", final=False) + client_frame(CONTINUATION, b"", final=False) * 3)
        assert await wire.read_close() == 4503
        assert await wire.handler.closed.get() == (4503, "too many fragments")


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


SCENARIOS: list[Callable[[], Awaitable[None]]] = [
    test_an_untrusted_peer_is_refused_by_the_declared_length,
    test_trust_raises_the_limit,
    test_trust_in_the_middle_of_a_frame_loses_no_bytes,
    test_a_flood_of_pings_is_closed_with_4503,
    test_a_full_socket_buffers_in_order_and_reports_when_it_is_writable,
    test_a_close_is_sent_after_what_is_buffered,
    test_a_peer_that_never_reads_is_dropped_with_its_buffer,
    test_a_paused_socket_lets_tcp_slow_the_peer_down,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__.removeprefix("test_"))
def test_the_same_under_uvloop(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario()

    uvloop.run(run())
