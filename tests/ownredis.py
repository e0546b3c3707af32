"""A Redis server of a test's own, to be paused, killed and restarted, and a wire to it that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from engines import Missing
from engines.redis import Redis as RedisServer
from engines.server import free_port
from tests.engines import unavailable

_TIMEOUT = 10.0


class OwnRedis:
    """A server without a memory on disk: a restart loses everything."""

    def __init__(self, *options: str, ready: bytes = b"+PONG") -> None:
        """`ready`: how it answers a PING once it serves."""
        self.port = free_port()
        self._options = options
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, with a namespace."""
        return f"redis://127.0.0.1:{self.port}/0?prefix=t:"

    def start(self) -> None:
        """Returns once it answers."""
        try:
            program = RedisServer.get()
        except Missing as error:
            unavailable(str(error))
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *self._options]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        give_up = time.monotonic() + _TIMEOUT
        while not self.send("PING").startswith(self._ready):
            assert time.monotonic() < give_up, "redis-server does not answer"
            assert self._process.poll() is None, "redis-server has ended"

    def send(self, *parts: str) -> bytes:
        """One command on a connection of its own, and the first bytes of the answer; b"" without an answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=_TIMEOUT) as wire:
                wire.sendall(" ".join(parts).encode() + b"\r\n")
                return wire.recv(4096)
        except OSError:
            time.sleep(0.005)  # it is starting
            return b""

    def pause(self) -> None:
        """It is paused and its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """It is gone at once, with all it kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_TIMEOUT)
            self._process = None

    def restart(self) -> None:
        """Another run, which knows nothing."""
        self.kill()
        self.start()


@contextmanager
def own_redis(*options: str, ready: bytes = b"+PONG") -> Iterator[OwnRedis]:
    """A server for the block."""
    server = OwnRedis(*options, ready=ready)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Wire:
    """A way to a server that can be long, lose answers, or break."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.open = 0
        """How many connections there are now."""
        self.most = 0
        """How many there were at a time."""
        self.answers = asyncio.Event()
        self.answers.set()
        self.cut_after_request = False
        self.delay = 0.0
        """Seconds by which answers are later."""
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one connection."""
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            self._writers |= {writer, far_writer}
            back = asyncio.create_task(self._carry(far_reader, writer, answers=True))
            await self._carry(reader, far_writer, answers=False)
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            self._writers -= {writer, far_writer}
            far_writer.close()
        except OSError:
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
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
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """A wire for the block."""
    wire = Wire(port)
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.answers.set()
        wire.cut()
        while wire.open:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await server.wait_closed()
