"""Redis, the Debian package; without persistence, because it has only derived data."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from engines.get import program
from engines.server import Server, ask

VERSION = "7.0"
"""The oldest supported version; Debian 12 has it."""
MAXMEMORY = "512mb"


class Redis(Server):
    """See `Server`."""

    name: ClassVar[str] = "redis"
    default_port: ClassVar[int] = 6390

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @classmethod
    def get(cls) -> Path:
        return program("redis-server", "redis-server")

    def command(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "maxmemory": MAXMEMORY,
            "maxmemory-policy": "noeviction",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [str(self.get()), *options]

    def answers(self) -> bool:
        return ask(self.port, b"PING\r\n", 7) == b"+PONG\r\n"
