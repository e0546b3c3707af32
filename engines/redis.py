"""Redis, the package of Debian: hot state only, so nothing is saved."""

from __future__ import annotations

from typing import ClassVar

from engines.get import program
from engines.server import Server, ask, own_folder

VERSION = "7.0"
"""The oldest that is tried; Debian 12 has it."""
MAXMEMORY = "512mb"


class Redis(Server):
    """See `Server`."""

    name: ClassVar[str] = "redis"
    default_port: ClassVar[int] = 6390

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        program("redis-server", "redis-server")
        own_folder(self.folder)

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
        return [str(program("redis-server", "redis-server")), *options]

    def answers(self) -> bool:
        return ask(self.port, b"PING\r\n", 7) == b"+PONG\r\n"
