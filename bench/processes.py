"""Processes under test: start on a core, CPU seconds and memory, stop."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / "bench" / "bin"
SERVER_CPU, DRIVER_CPU = (0, 1) if (os.cpu_count() or 1) > 1 else (0, 0)


class BenchError(Exception):
    """The benchmark failed, or a measured result is not correct."""


class Skipped(Exception):
    """A line that cannot be measured on this machine; the message is the reason."""


class Process:
    """A child process that writes lines of JSON to stdout and reads commands from stdin."""

    def __init__(
        self, name: str, arguments: Sequence[str], cpu: int | None, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._lines = b""
        self._stderr = (BIN / f"{name}.log").open("w+b")
        self._child = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
        )
        # At once, so that its threads inherit the core; code between fork and exec conflicts with threads of gRPC.
        os.sched_setaffinity(self._child.pid, range(os.cpu_count() or 1) if cpu is None else {cpu})

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def cpu_seconds(self) -> float:
        """CPU time of all its threads, user and system, in nanoseconds if the kernel has them."""
        ran = []
        for task in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread may have ended
                ran.append(task.read_text().split()[0])
        if ran:
            return sum(map(int, ran)) / 1e9
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Resident memory."""
        return resident_bytes(self.pid)

    def send(self, command: str) -> None:
        """Sends one line."""
        assert self._child.stdin is not None
        self._child.stdin.write(command.encode() + b"\n")
        self._child.stdin.flush()

    def read_answer(self, timeout: float = 60.0) -> dict[str, Any]:
        """Reads the next line of JSON and skips other lines. Raises BenchError after `timeout` seconds."""
        assert self._child.stdout is not None
        descriptor, deadline = self._child.stdout.fileno(), time.monotonic() + timeout
        while True:
            line, found, rest = self._lines.partition(b"\n")
            if found:
                self._lines = rest
                if line.startswith(b"{"):
                    answer: dict[str, Any] = json.loads(line)
                    return answer
                continue
            if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BenchError(f"{self.name} said nothing for {timeout:.0f} s{self._last_log_line()}")
            chunk = os.read(descriptor, 65536)
            if not chunk:
                raise BenchError(f"{self.name} ended{self._last_log_line()}")
            self._lines += chunk

    def request(self, command: str, timeout: float = 60.0) -> dict[str, Any]:
        """Sends a command; returns its answer."""
        self.send(command)
        return self.read_answer(timeout)

    def terminate(self) -> None:
        """Sends SIGTERM, and does not wait."""
        self._child.send_signal(signal.SIGTERM)

    def stop(self, grace: float = 10.0) -> None:
        """Stops it: closes its stdin and sends SIGTERM, then SIGKILL after `grace` seconds."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(grace)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._child.stdout.close()
        self._stderr.close()

    def _last_log_line(self) -> str:
        self._stderr.flush()
        words = Path(self._stderr.name).read_text("utf-8", "replace").strip()
        return f":\n{words[-2000:]}" if words else ""


@contextmanager
def running(
    name: str, arguments: Sequence[str], *, cpu: int | None = SERVER_CPU, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Runs a process for the block on one core; None: on all cores, as its children."""
    BIN.mkdir(exist_ok=True)
    process = Process(name, arguments, cpu, env)
    try:
        yield process
    finally:
        process.stop()


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def python(*arguments: str) -> list[str]:
    """The command line of a module or file under this interpreter."""
    return [sys.executable, *arguments]


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 30.0, pause: float = 0.02) -> None:
    """Returns once the condition holds; raises BenchError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {timeout:.0f} s")
        time.sleep(pause)


@dataclass
class Meter:
    """The resources used within a `metered` block; complete when it ends."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)  # CPU seconds of each process, by name
    others: float = 0.0  # cores used by unrelated processes meanwhile

    @property
    def notes(self) -> list[str]:
        """Notes for the reader of the figures."""
        return ["busy machine: others used over 0.2 of its cores"] if self.others > 0.2 else []


@contextmanager
def metered(*processes: Process) -> Iterator[Meter]:
    """Measures the CPU seconds of each process within the block."""
    meter = Meter()
    before = [process.cpu_seconds() for process in processes]
    own, all_ = _own_seconds(), _all_seconds()
    began = time.monotonic()
    yield meter
    meter.seconds = time.monotonic() - began
    own, all_ = _own_seconds() - own, _all_seconds() - all_
    for process, ran in zip(processes, before, strict=True):
        meter.cpu[process.name] = process.cpu_seconds() - ran
    meter.others = max(0.0, all_ - own - sum(meter.cpu.values())) / meter.seconds


def _own_seconds() -> float:
    """CPU seconds of this process and of its ended children."""
    return sum(os.times()[:4])


def _all_seconds() -> float:
    """CPU seconds of all processes of the machine, with time stolen by its host; 0 if unknown."""
    try:
        user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    except OSError:
        return 0.0
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
