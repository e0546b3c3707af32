"""A Redis server of a test's own, to be paused, killed and restarted."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

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
            with socket.create_connection(("127.0.0.1", self.port), timeout=_TIMEOUT) as connection:
                connection.sendall(" ".join(parts).encode() + b"\r\n")
                return connection.recv(4096)
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
