"""PostgreSQL, the Debian package; it refuses to run as root, so root starts it as another user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import struct
import subprocess
from pathlib import Path
from typing import ClassVar

from engines.errors import CannotStart
from engines.get import program
from engines.server import Server, ask

VERSION = "15"
"""The oldest supported version; Debian 12 has it."""
_ANSWER_BYTES = 9
_AUTHENTICATED = b"R\x00\x00\x00\x08\x00\x00\x00\x00"


class Postgres(Server):
    """See `Server`. The user is `postgres`, without a password: it listens only on loopback."""

    name: ClassVar[str] = "postgresql"
    default_port: ClassVar[int] = 5490
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": it does not wait for clients to disconnect

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def user(self) -> str | None:
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    @classmethod
    def get(cls) -> Path:
        return _program("postgres")

    def configure(self) -> None:
        if (self.folder / "data" / "PG_VERSION").exists():
            return
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)  # an initdb that was interrupted
        command = [
            str(_program("initdb")),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
            )
        except PermissionError:
            raise CannotStart(
                f"postgresql: the user {self.user} cannot enter {self.folder}; give a folder it can with --data"
            ) from None
        if done.returncode != 0:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1]
            raise CannotStart(f"postgresql: cannot create its data folder: {reason}")

    def command(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_connections": "50",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.get()), "-D", str(self.folder / "data"), *options]

    def answers(self) -> bool:
        words = b"user\x00postgres\x00database\x00postgres\x00\x00"
        startup = struct.pack("!ii", len(words) + 8, 3 << 16) + words
        return ask(self.port, startup, _ANSWER_BYTES) == _AUTHENTICATED


def _program(name: str) -> Path:
    return program(name, "postgresql", f"/usr/lib/postgresql/*/bin/{name}")
