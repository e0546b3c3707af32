"""A server: its folder, ports and process; start, readiness, stop."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from engines.errors import CannotStart
from engines.process import Identity, identity_of, runs, send, wait_gone

HOST = "127.0.0.1"
_POLL_SECONDS = 0.05
_FREE = (20_000, 32_000)
"""Linux uses ports from 32,768 on for outgoing connections."""
_given: set[int] = set()
_claims: deque[int] = deque()
_CLAIMS = 200
_TRIES = 10_000
_STATE = "server.json"


class Server(ABC):
    """A server that listens on loopback and writes only to `folder`."""

    name: ClassVar[str]
    default_port: ClassVar[int]
    ready_seconds: ClassVar[float] = 180  # a busy machine is slow
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_seconds: ClassVar[float] = 30
    host: str = HOST
    """The loopback address on which it listens."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder.absolute()
        self.port = port or self.default_port
        self.tied = False
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports on which it listens."""
        return (self.port,)

    @property
    def user(self) -> str | None:
        """The user it must run as, if not the current one."""
        return None

    @property
    def log(self) -> Path:
        """The file of its output."""
        return self.folder / f"{self.name}.log"

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL for clients."""

    @classmethod
    @abstractmethod
    def get(cls) -> Path:
        """Installs missing programs; returns their path. Raises Missing."""

    def configure(self) -> None:  # noqa: B027  not every server needs it
        """Writes the configuration and, before the first start, the data folder. Raises CannotStart."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it answers a request of its own protocol. May raise OSError."""

    def prepare(self) -> None:
        """Prepares folder and configuration. Raises CannotRun."""
        self.get()
        try:
            own_folder(self.folder, self.user)
        except OSError as error:
            raise CannotStart(f"{self.name}: cannot use the folder {self.folder}: {error.strerror}") from None
        self.configure()

    def start(self, *, tied: bool | None = None) -> None:
        """Prepares, spawns and waits until it serves; `tied` as in `spawn`, None: as before."""
        if tied is not None:
            self.tied = tied
        self.prepare()
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Starts the process. A tied one is killed when this process ends."""
        if other := self.running():
            raise CannotStart(f"{self.name}: the data in {self.folder} is in use by process {other.pid}")
        for port in self.ports:
            self._check_free(port)
        # Linux ties a process to the thread that started it: started in another thread, it would end with that thread.
        tied = self.tied and threading.current_thread() is threading.main_thread()
        setpriv = shutil.which("setpriv") if tied else None
        command = [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *self.command()]
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
            )
        identity = identity_of(self._child.pid)
        if identity is not None:
            self._save_state(identity)

    def wait_ready(self) -> None:
        """Returns when it serves; raises CannotStart."""
        end = time.monotonic() + self.ready_seconds
        while True:
            if self._child is not None and self._child.poll() is not None:
                code = self._child.returncode
                self._delete_state()
                raise CannotStart(f"{self.name} ended with {code}: {self._last_log_line()} (log: {self.log})")
            with contextlib.suppress(OSError):
                if self.answers():
                    return
            if time.monotonic() > end:
                self.kill()
                waited = f"within {self.ready_seconds:.0f} s"
                raise CannotStart(f"{self.name} did not answer on port {self.port} {waited} (log: {self.log})")
            time.sleep(_POLL_SECONDS)

    def running(self) -> Identity | None:
        """Its process, also if another program started it; None if it does not run or its pid is reused."""
        try:
            kept = json.loads((self.folder / _STATE).read_text("utf-8"))
            identity = Identity(**kept["process"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return identity if runs(identity) else None

    def stop(self) -> bool:
        """Stops it cleanly, or with SIGKILL if it does not end; returns False if it did not run."""
        identity = self.running()
        if identity is None or not send(identity, self.stop_signal):
            self._delete_state()
            return False
        if not wait_gone(identity, self.stop_seconds):
            send(identity, signal.SIGKILL)
            wait_gone(identity, self.stop_seconds)
        self._delete_state()
        return True

    def kill(self) -> None:
        """Sends SIGKILL."""
        if identity := self.running():
            send(identity, signal.SIGKILL)
            wait_gone(identity, self.stop_seconds)
        self._delete_state()

    def pause(self) -> None:
        """Sends SIGSTOP: connections stay open without answers."""
        if identity := self.running():
            send(identity, signal.SIGSTOP)

    def resume(self) -> None:
        """Sends SIGCONT."""
        if identity := self.running():
            send(identity, signal.SIGCONT)

    def facts(self) -> dict[str, Any]:
        """Its state and addresses."""
        identity = self.running()
        left = (self.folder / _STATE).exists()
        return {
            "name": self.name,
            "state": "up" if identity else "ended without being stopped" if left else "down",
            "pid": identity.pid if identity else None,
            "url": self.url,
            "ports": list(self.ports),
            "log": str(self.log),
        }

    def _check_free(self, port: int) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
            try:
                probe.bind((self.host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise CannotStart(f"{self.name}: cannot listen on port {port}: {error.strerror}") from None
                raise CannotStart(
                    f"{self.name}: port {port} is taken by another program; choose with --port {self.name}=NUMBER"
                ) from None

    def _save_state(self, identity: Identity) -> None:
        kept = {"name": self.name, "process": asdict(identity), "settings": self.settings()}
        fresh = self.folder / f"{_STATE}.new"
        fresh.write_text(json.dumps(kept), "utf-8")
        fresh.rename(self.folder / _STATE)

    def settings(self) -> dict[str, Any]:
        """The constructor arguments except the folder."""
        return {"port": self.port}

    def _delete_state(self) -> None:
        (self.folder / _STATE).unlink(missing_ok=True)
        if self._child is not None:
            self._child.wait()
            self._child = None

    def _last_log_line(self) -> str:
        lines = [line.strip() for line in self.log.read_text("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


def settings_of(folder: Path) -> dict[str, Any] | None:
    """The settings of the server that runs, or ran, in this folder."""
    try:
        kept = json.loads((folder / _STATE).read_text("utf-8"))
        return dict(kept["settings"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def free_port(between: tuple[int, int] = _FREE) -> int:
    """A free port outside the ephemeral range: it is still free seconds later.

    No other process gets it from this function before this process ends or has asked for 200 further ports. Raises
    OSError where none is found.
    """
    for _ in range(_TRIES):
        port = random.randrange(*between)
        if port in _given:
            continue
        with contextlib.suppress(OSError):
            _claim(port)
            with socket.socket() as probe:
                probe.bind((HOST, port))
            _given.add(port)
            return port
    raise OSError(errno.EADDRINUSE, f"no port from {between[0]} to {between[1]} is free")


def _claim(port: int) -> None:
    """Reserves a port among the processes of this machine; raises OSError where another one has it. Linux only."""
    if sys.platform != "linux":
        return
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0plaudit-port-{port}")  # a name without a file, which ends with the process
    except OSError:
        claim.close()
        raise
    _claims.append(claim.detach())  # only the descriptor, which ends with the process
    if len(_claims) > _CLAIMS:
        os.close(_claims.popleft())


def ask(port: int, request: bytes, length: int, seconds: float = 1, host: str = HOST) -> bytes:
    """Sends bytes to a server and reads the first `length` bytes of its answer; raises OSError."""
    with socket.create_connection((host, port), timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        while len(answer) < length and (more := connection.recv(length - len(answer))):
            answer += more
        return answer


def own_folder(folder: Path, user: str | None = None) -> None:
    """Creates a folder that only the current or the given user can read."""
    folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(folder, user)
    os.chmod(folder, 0o700)
