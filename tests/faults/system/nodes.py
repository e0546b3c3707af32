"""One process of the system under test: start, stop, kill, pause and resume."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from engines.server import free_port
from tests.running import ROOT

START_SECONDS = 90.0
STOP_SECONDS = 20.0


class NodeProcess:
    """A `plaudit up` with some services. `mutants`: names of planted bugs, see `tests.faults.mutants`."""

    def __init__(self, name: str, services: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.services = services
        self.mutants = ""
        self.grpc = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.settings = dict(settings)
        self.exits: list[int] = []
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def ws_url(self) -> str:
        """The URL of WebSockets at this gateway."""
        return f"ws://{self.http}/ws/connect"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_tail(self) -> str:
        """The end of its log."""
        return self._log.read_text("utf-8", "replace")[-2_000:] if self._log.exists() else ""

    def launch(self) -> None:
        """Starts it and returns at once."""
        own = {"SERVICES": self.services, "GRPC": self.grpc, "HTTP": self.http, **self.settings}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PLAUDIT_")}
        path = os.pathsep.join(str(ROOT / each) for each in ("", "gen", "client"))
        module = ["tests.faults.mutants", self.mutants] if self.mutants else ["stack.cli"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *module, "up", "--json"],
                env=kept | {f"PLAUDIT_{name}": value for name, value in own.items()} | {"PYTHONPATH": path},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def wait_ready(self) -> None:
        """Waits until it serves; raises RuntimeError if it does not."""
        assert self._process is not None
        assert self._process.stdout is not None
        found, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if found else b""
        if not line:
            how = "too slow" if not found else f"ended with {self._process.wait()}"
            raise RuntimeError(f"{self.name} did not start: {how}\n{self.log_tail}")
        json.loads(line)

    def start(self) -> None:
        """Starts it and waits until it serves."""
        self.launch()
        self.wait_ready()

    def kill(self) -> None:
        """Sends SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self.wait()

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Waits until it ends; returns the exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        code = self._process.wait(seconds)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        self.exits.append(code)
        return code

    def stop(self) -> tuple[int, float]:
        """Sends SIGTERM; returns exit code and seconds. Kills a process that does not end."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            return self.wait(), time.monotonic() - began
        except subprocess.TimeoutExpired:
            self.kill()
            return -9, time.monotonic() - began

    def pause(self) -> None:
        """Sends SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Sends SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)
        self._paused = False

    def memory_bytes(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def metric(self, sample: str) -> float:
        """The value of a metric of a gateway, by name and labels; 0 if it is missing."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode("utf-8").splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample)), 0.0)

    def shut_down(self) -> None:
        """Ends it in any state."""
        if not self.alive:
            if self._process is not None:
                self.wait()
            return
        if self._paused:
            self.resume()
        self.kill()
