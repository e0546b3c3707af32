"""How a socket closes: by the peer, by us, by an abort, and with its listener."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from gateway.limits import SocketLimits
from gateway.listener.listening import listening
from gateway.websocket.handshake import Accept
from gateway.websocket.rfc6455 import CLOSE, TEXT, encode_frame
from gateway.websocket.socket import Socket
from tests.wire.sockets.raw_sockets import REQUEST, Recorder, client_frame, wired


def close_frame(code: int) -> bytes:
    return client_frame(CLOSE, code.to_bytes(2, "big"))


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


async def test_no_frame_is_sent_after_the_end() -> None:
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
    test_a_close_waits_for_that_of_the_peer,
    test_a_peer_that_does_not_answer_a_close_is_dropped,
    test_a_peer_that_vanishes_is_reported_as_1006,
    test_no_frame_is_sent_after_the_end,
    test_the_end_of_the_listener_closes_every_socket_with_1001,
    test_the_end_of_the_listener_ends_connections_without_a_request,
    test_a_listener_that_stops_accepting_keeps_its_sockets,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__.removeprefix("test_"))
def test_the_same_under_uvloop(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario()

    uvloop.run(run())
