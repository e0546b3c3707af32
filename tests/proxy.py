"""A TCP proxy between a client and a server of a test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class TcpProxy:
    """Forwards connections to a server on this machine; can delay answers, lose them, and break connections."""

    def __init__(self, port: int) -> None:
        """`port` of the server."""
        self.port = 0
        """The port of the proxy itself."""
        self.server_port = port
        """Where new connections are forwarded to."""
        self.open = 0
        """How many connections are open."""
        self.most = 0
        """How many were open at a time."""
        self.answers = asyncio.Event()
        self.answers.set()
        self.cut_after_request = False
        self.delay = 0.0
        """Seconds by which answers are delayed."""
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards one connection."""
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
            self._writers |= {writer, far_writer}
            back = asyncio.create_task(self._forward(far_reader, writer, answers=True))
            await self._forward(reader, far_writer, answers=False)
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            self._writers -= {writer, far_writer}
            far_writer.close()
        except OSError:
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if answers:
                    if self.cut_after_request:
                        break
                    await self.answers.wait()
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        """Breaks every connection."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def tcp_proxy(port: int) -> AsyncIterator[TcpProxy]:
    """A proxy to a port, for the block."""
    proxy = TcpProxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.answers.set()
        proxy.cut()
        while proxy.open:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await server.wait_closed()
