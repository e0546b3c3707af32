"""One process of the system under test: started, stopped, killed, frozen and thawed by its pid."""

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

from tests.running import ROOT, free_port

START_SECONDS = 90.0
STOP_SECONDS = 20.0


class Node:
    """A `plaudit up` with some services. `spoil` names what is to be broken in it: see `tests.faults.buggy`."""

    def __init__(self, name: str, services: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.services = services
        self.spoil = ""
        self.grpc = f"127.0.0.1:{free_port()}"
        self.http = f"127.0.0.1:{free_port()}"
        self.settings = dict(settings)
        self.exits: list[int] = []
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False

    @property
    def ws_url(self) -> str:
        """Of the gateway's sockets."""
        return f"ws://{self.http}/ws/connect"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text("utf-8", "replace")[-2_000:] if self._log.exists() else ""

    def launch(self) -> None:
        """Starts it and returns at once."""
        own = {"SERVICES": self.services, "GRPC": self.grpc, "HTTP": self.http, **self.settings}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PLAUDIT_")}
        path = os.pathsep.join(str(ROOT / each) for each in ("", "gen", "client"))
        module = ["tests.faults.buggy", self.spoil] if self.spoil else ["stack.cli"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *module, "up", "--json"],
                env=kept | {f"PLAUDIT_{name}": value for name, value in own.items()} | {"PYTHONPATH": path},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def ready(self) -> None:
        """Waits until it serves; raises RuntimeError where it does not."""
        assert self._process is not None
        assert self._process.stdout is not None
        found, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if found else b""
        if not line:
            how = "too slow" if not found else f"ended with {self._process.wait()}"
            raise RuntimeError(f"{self.name} did not start: {how}\n{self.said}")
        json.loads(line)

    def start(self) -> None:
        """Starts it and waits until it serves."""
        self.launch()
        self.ready()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self.wait()

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Waits for its end; the exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        code = self._process.wait(seconds)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        self.exits.append(code)
        return code

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code and the seconds it took. Kills what does not end."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            return self.wait(), time.monotonic() - began
        except subprocess.TimeoutExpired:
            self.kill()
            return -9, time.monotonic() - began

    def freeze(self) -> None:
        """SIGSTOP: it stands still and notices nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)
        self._frozen = False

    def resident(self) -> int:
        """Bytes of memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def metric(self, sample: str) -> float:
        """A sample of what a gateway tells of itself, by name and labels; 0 where it has nothing to tell."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=10) as answer:
            lines = answer.read().decode("utf-8").splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample)), 0.0)

    def end(self) -> None:
        """Ends it whatever its state."""
        if not self.alive:
            if self._process is not None:
                self.wait()
            return
        if self._frozen:
            self.thaw()
        self.kill()
