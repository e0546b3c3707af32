"""A gateway's socket and its peer, which sends and reads raw frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.limits import SocketLimits
from gateway.listener.listener import Listener
from gateway.listener.listening import listening
from gateway.websocket.handshake import Accept
from gateway.websocket.rfc6455 import CLOSE, encode_frame
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
class SocketPair:
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
) -> AsyncIterator[SocketPair]:
    handler = Recorder(react=react)
    limits = limits or SocketLimits(first_message=100, message=1000, close_timeout=5)
    async with (
        asyncio.timeout(10),
        listening("127.0.0.1", 0, accept=lambda handshake: Accept(None, lambda: handler), limits=limits) as listener,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        yield SocketPair(reader, writer, handler, listener)
        writer.close()
