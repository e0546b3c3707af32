"""Starts `plaudit up` as a user would, and ends it gently or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from engines.server import free_port
from kit.auth.keys import open_keys
from kit.auth.tokens import Minter

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 20


class Stack:
    """A running `plaudit up`. `settings` are further settings, by the names of their variables without the prefix."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.http = f"127.0.0.1:{free_port()}"
        self.grpc_address = f"127.0.0.1:{free_port()}"
        self.settings = settings
        self._process: subprocess.Popen[str] | None = None

    @property
    def http_url(self) -> str:
        """Of the page and REST."""
        return f"http://{self.http}"

    @property
    def ws_url(self) -> str:
        """Of the gateway's sockets."""
        return f"ws://{self.http}/ws/connect"

    @property
    def port(self) -> int:
        """Of HTTP and WebSockets."""
        return int(self.http.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """For commands that talk to this stack."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PLAUDIT_")}
        own = {"DATA": str(self.data), "HTTP": self.http, "GRPC": self.grpc_address, **self.settings}
        path = os.pathsep.join(str(ROOT / folder) for folder in ("", "gen", "client"))
        return kept | {f"PLAUDIT_{name}": value for name, value in own.items()} | {"PYTHONPATH": path}

    def start(self) -> None:
        """Returns when it serves."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stack.cli", "up", "--json"],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()  # printed when it serves, or closed when it could not
        if not line:
            raise RuntimeError(f"plaudit up ended with {self._end()}; what it said stands above")
        json.loads(line)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._end()

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def restart(self) -> None:
        """Starts again on the same data and ports."""
        self.start()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a `plaudit` command against this stack."""
        command = [sys.executable, "-m", "stack.cli", *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )

    def token(self, user: str, tenant: str = "default", *scopes: str) -> str:
        """A user's token."""
        return self._minter().mint_user(user, tenant, scopes=scopes)

    def service_token(
        self, name: str = "tests", scopes: tuple[str, ...] = ("act-as", "tenants", "audit", "sessions")
    ) -> str:
        """A service's token, with which it may act for users."""
        return self._minter().mint_service(name, scopes)

    def node_token(self, method: str) -> str:
        """The token of a process of the system, for calls of `/package.Service/Method`."""
        return self._minter().mint_node("tests", method)

    def _minter(self) -> Minter:
        return open_keys(self.data / "keys").minter()

    def _end(self) -> int:
        assert self._process is not None
        try:
            return self._process.wait(STOP_SECONDS)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()
