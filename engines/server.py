"""One server of its own: its folder, its ports, its process; started, waited for and stopped."""

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
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from engines.errors import CannotStart
from engines.process import Identity, identity_of, runs, send, wait_gone

HOST = "127.0.0.1"
_POLL_SECONDS = 0.05
_FREE = (20_000, 32_000)
"""Linux gives outgoing connections ports from 32,768 on."""
_given: set[int] = set()
_STATE = "server.json"


class Server(ABC):
    """A server that listens on loopback and keeps everything it writes in `folder`."""

    name: ClassVar[str]
    default_port: ClassVar[int]
    ready_seconds: ClassVar[float] = 180  # a machine that does much else is slow, not broken
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_seconds: ClassVar[float] = 30
    host: str = HOST
    """The address of loopback it listens on."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder.absolute()
        self.port = port or self.default_port
        self.tied = False
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports it listens on."""
        return (self.port,)

    @property
    def user(self) -> str | None:
        """The user it must run as, where that is not ours."""
        return None

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / f"{self.name}.log"

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    @classmethod
    @abstractmethod
    def get(cls) -> Path:
        """Gets the programs, where they are not here yet; returns where they are. Raises Missing."""

    def configure(self) -> None:  # noqa: B027  a server may need none
        """Writes the configuration and, before the first start, the data folder. Raises CannotStart."""

    @abstractmethod
    def command(self) -> list[str]:
        """What is run."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves: asks it something in its own protocol. May raise OSError."""

    def prepare(self) -> None:
        """Everything before the process. Raises CannotRun."""
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
        """Starts the process. A tied one ends with ours, however that ends."""
        if other := self.running():
            raise CannotStart(f"{self.name}: the data in {self.folder} is in use by process {other.pid}")
        for port in self.ports:
            self._check_free(port)
        # Linux ties a process to the thread that started it: one that is started elsewhere would end with its thread.
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
            self._remember(identity)

    def wait_ready(self) -> None:
        """Returns when it serves; raises CannotStart."""
        end = time.monotonic() + self.ready_seconds
        while True:
            if self._child is not None and self._child.poll() is not None:
                code = self._child.returncode
                self._forget()
                raise CannotStart(f"{self.name} ended with {code}: {self._last_words()} (log: {self.log})")
            with contextlib.suppress(OSError):
                if self.answers():
                    return
            if time.monotonic() > end:
                self.kill()
                waited = f"within {self.ready_seconds:.0f} s"
                raise CannotStart(f"{self.name} did not answer on port {self.port} {waited} (log: {self.log})")
            time.sleep(_POLL_SECONDS)

    def running(self) -> Identity | None:
        """Its process, whoever started it; None where it does not run. A pid that is another's by now is not it."""
        try:
            kept = json.loads((self.folder / _STATE).read_text("utf-8"))
            identity = Identity(**kept["process"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return identity if runs(identity) else None

    def stop(self) -> bool:
        """Stops it cleanly, with SIGKILL where it does not end; False where it did not run."""
        identity = self.running()
        if identity is None or not send(identity, self.stop_signal):
            self._forget()
            return False
        if not wait_gone(identity, self.stop_seconds):
            send(identity, signal.SIGKILL)
            wait_gone(identity, self.stop_seconds)
        self._forget()
        return True

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        if identity := self.running():
            send(identity, signal.SIGKILL)
            wait_gone(identity, self.stop_seconds)
        self._forget()

    def pause(self) -> None:
        """Stops its clock: connections stay, nothing is answered."""
        if identity := self.running():
            send(identity, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        if identity := self.running():
            send(identity, signal.SIGCONT)

    def facts(self) -> dict[str, Any]:
        """What is known of it, for people and programs."""
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
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what only lingers is not in the way
            try:
                probe.bind((self.host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise CannotStart(f"{self.name}: cannot listen on port {port}: {error.strerror}") from None
                raise CannotStart(
                    f"{self.name}: port {port} is taken by another program; choose with --port {self.name}=NUMBER"
                ) from None

    def _remember(self, identity: Identity) -> None:
        kept = {"name": self.name, "process": asdict(identity), "settings": self.settings()}
        fresh = self.folder / f"{_STATE}.new"
        fresh.write_text(json.dumps(kept), "utf-8")
        fresh.rename(self.folder / _STATE)

    def settings(self) -> dict[str, Any]:
        """The arguments, besides the folder, that make this server again."""
        return {"port": self.port}

    def _forget(self) -> None:
        (self.folder / _STATE).unlink(missing_ok=True)
        if self._child is not None:
            self._child.wait()
            self._child = None

    def _last_words(self) -> str:
        lines = [line.strip() for line in self.log.read_text("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


def settings_of(folder: Path) -> dict[str, Any] | None:
    """The settings a server of this folder runs, or ran, with."""
    try:
        kept = json.loads((folder / _STATE).read_text("utf-8"))
        return dict(kept["settings"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def free_port() -> int:
    """A port nobody listens on, and that no outgoing connection is given: a server may take it seconds later."""
    while True:
        port = random.randrange(*_FREE)
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            _given.add(port)
            return port


def ask(port: int, question: bytes, length: int, seconds: float = 1, host: str = HOST) -> bytes:
    """Sends bytes to a server and reads the first `length` of its answer; raises OSError."""
    with socket.create_connection((host, port), timeout=seconds) as connection:
        connection.sendall(question)
        answer = b""
        while len(answer) < length and (more := connection.recv(length - len(answer))):
            answer += more
        return answer


def own_folder(folder: Path, user: str | None = None) -> None:
    """Makes a folder that only we, or that user, can read."""
    folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(folder, user)
    os.chmod(folder, 0o700)
