"""The load driver of thousands of WebSocket clients (bench/driver, C): built on first use, then told what to do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from bench.processes import BIN, DRIVER_CPU, ROOT, BenchError, Process, Skipped, running

SOURCES = ROOT / "bench" / "driver"
# Above this share of a core the driver measures itself.
DRIVER_BOUND = 0.9


def built() -> Path:
    """The driver's program; compiled where it is missing or older than its source."""
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
    """A driver whose connections are all open, greeted and subscribed; further `options` as wsload names them."""
    with NamedTemporaryFile("w", suffix=".tokens") as file:
        file.write("\n".join(tokens))
        file.flush()
        arguments = [str(built()), "--port", str(port), "--connections", str(connections), "--protocol", protocol]
        if tokens:
            arguments += ["--tokens", file.name]
        with running(name, [*arguments, *options], cpu=DRIVER_CPU) as process:
            process.answer(timeout)
            yield process


def call(driver: Process, seconds: float, rate: float = 0.0, in_flight: int = 1) -> dict[str, Any]:
    """Toggles reactions for some seconds; raises BenchError where an answer was lost, doubled or refused."""
    report = driver.ask(f"call {seconds} {rate} {in_flight}", timeout=seconds + 30.0)
    faults = {key: report[key] for key in ("errors", "lost", "doubled", "versions_back", "closed", "disagree")}
    if any(faults.values()):
        raise BenchError(f"toggles by frame: {faults}, first: {report['first_error']!r}")
    return report


def bound(report: dict[str, Any]) -> bool:
    """Whether the driver was too busy for its figures to be the server's."""
    return float(report["cpu_share"]) > DRIVER_BOUND
