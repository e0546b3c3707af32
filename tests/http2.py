"""A small HTTP/2 client that chooses its own settings and frames (RFC 9113), for what gRPC libraries do not do."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _header(name: str, value: str) -> bytes:
    """A literal header that is not indexed (RFC 7541, 6.2.2); both texts are shorter than 127 bytes."""
    texts = (name.encode(), value.encode())
    return b"\0" + b"".join(bytes([len(text)]) + text for text in texts)


class Http2Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._next_stream = 1
        self._headers: dict[int, asyncio.Event] = {}

    def call(self, path: str, message: bytes = b"") -> int:
        """Begins a gRPC call with one request message; returns the id of its stream."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self._headers[stream] = asyncio.Event()
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test")]
        named = [*pseudo, ("content-type", "application/grpc"), ("te", "trailers")]
        headers = b"".join(_header(name, value) for name, value in named)
        body = b"\0" + struct.pack(">I", len(message)) + message
        self._writer.write(_frame(_HEADERS, _END_HEADERS, stream, headers) + _frame(_DATA, _END_STREAM, stream, body))
        return stream

    async def has_headers(self, stream: int) -> None:
        """Returns when headers of the response have come."""
        await self._headers[stream].wait()

    def begin(self, window: int) -> None:
        """Sends the preface; each stream may send `window` bytes of data to this client."""
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, window)
        self._writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings))

    async def read(self) -> None:
        """Reads frames and acknowledges settings and pings, until the server closes the connection."""
        try:
            while True:
                head = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
                if kind == _HEADERS:
                    self._headers[stream].set()
                elif kind in (_SETTINGS, _PING) and not flags & _ACK:
                    self._writer.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass


@asynccontextmanager
async def http2_client(address: str, *, window: int = 65_535) -> AsyncIterator[Http2Client]:
    """A connection to `host:port`; `window` as in `Http2Client.begin`."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    client = Http2Client(reader, writer)
    client.begin(window)
    reading = asyncio.create_task(client.read())
    try:
        yield client
    finally:
        reading.cancel()
        writer.close()
