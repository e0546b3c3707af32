"""Builds and runs the load driver of thousands of unary callers (bench/grpcload, Go), and reads its report."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from bench.processes import BIN, DRIVER_CPU, ROOT, BenchError, Skipped

SOURCES = ROOT / "bench" / "grpcload"


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one run. `results`: by code or code/REASON, `count` and the `p50` and `p99` in ms."""

    seconds: float
    results: dict[str, dict[str, Any]]

    def count(self, outcome: str) -> int:
        """The number of calls with that outcome."""
        return int(self.results.get(outcome, {}).get("count", 0))


def run(
    address: str, method: str, request: Message, token: str, *, callers: int, connections: int, seconds: float
) -> Report:
    """Runs a closed loop of callers, each for its own user, with a deadline of one second per call."""
    options = {
        "address": address,
        "method": method,
        "request": base64.b64encode(request.SerializeToString()).decode(),
        "token": token,
        "callers": callers,
        "connections": connections,
        "seconds": seconds,
    }
    pin = ["taskset", "-c", str(DRIVER_CPU)] if shutil.which("taskset") else []
    done = subprocess.run(
        [*pin, _built(), *(f"-{name}={value}" for name, value in options.items())],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"grpcload: {done.stderr.strip()[-500:]}")
    return Report(**json.loads(done.stdout))


def _built() -> str:
    program = BIN / "grpcload"
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    if program.exists() and program.stat().st_mtime >= newest:
        return str(program)
    go = shutil.which("go")
    if go is None:
        raise Skipped("Go, which builds the driver of unary callers, is not installed")
    BIN.mkdir(exist_ok=True)
    done = subprocess.run(
        [go, "build", "-o", str(program), "."],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Skipped(f"the driver of unary callers cannot be built here: {done.stderr.strip()[-300:]}")
    return str(program)
