"""Builds and runs the load driver of thousands of WebSocket clients (bench/driver, C)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from bench.processes import BIN, DRIVER_CPU, ROOT, BenchError, Process, Skipped, running

SOURCES = ROOT / "bench" / "driver"
# Above this share of a core the driver is the bottleneck.
DRIVER_BOUND = 0.9


def built() -> Path:
    """The driver's program; compiled if it is missing or older than its source."""
    program = BIN / "wsload"
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    if program.exists() and program.stat().st_mtime >= newest:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise Skipped("no C compiler (cc) for the WebSocket driver")
    BIN.mkdir(exist_ok=True)
    sources = sorted(str(path) for path in SOURCES.glob("*.c"))
    done = subprocess.run(
        [compiler, "-std=gnu11", "-O2", "-o", str(program), *sources], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Skipped(f"the WebSocket driver does not compile here: {done.stderr.strip()[-500:]}")
    return program


@contextmanager
def connected(
    port: int,
    connections: int,
    *,
    name: str = "driver",
    protocol: str = "json",
    tokens: Sequence[str] = (),
    options: Sequence[str] = (),
    timeout: float = 120.0,
) -> Iterator[Process]:
    """Runs a driver with all connections open and subscribed; `options` are options of wsload."""
    with NamedTemporaryFile("w", suffix=".tokens") as file:
        file.write("\n".join(tokens))
        file.flush()
        arguments = [str(built()), "--port", str(port), "--connections", str(connections), "--protocol", protocol]
        if tokens:
            arguments += ["--tokens", file.name]
        with running(name, [*arguments, *options], cpu=DRIVER_CPU) as process:
            process.read_answer(timeout)
            yield process


def call(
    driver: Process, seconds: float, rate: float = 0.0, in_flight: int = 1, *, alone: bool = True
) -> dict[str, Any]:
    """Toggles reactions for some seconds; raises BenchError if an answer is lost, repeated or an error.

    `alone`: the answers are true, and must say on, off, on, … with growing versions.
    """
    report = driver.request(f"call {seconds} {rate} {in_flight}", timeout=seconds + 30.0)
    faults = ["errors", "lost", "doubled", "closed"] + (["versions_back", "disagree"] if alone else [])
    found = {name: report[name] for name in faults if report[name]}
    if found or not report["acks"]:
        raise BenchError(f"{report['acks']} toggles by frame, but {found}, first: {report['first_error']!r}")
    return report


def bound(report: Mapping[str, Any]) -> list[str]:
    """A note if the driver was the bottleneck."""
    share = float(report["cpu_share"])
    return [f"driver-bound: it used {share:.0%} of its core"] if share > DRIVER_BOUND else []
