"""ghz, the public gRPC load generator: builds a pinned version with Go, runs it, reads its report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.processes import BIN, DRIVER_CPU, ROOT, BenchError, Skipped

VERSION = "v0.121.0"  # pinned: `@latest` is from 2021
TOGGLE = "plaudit.reaction.v1.ReactionService.ToggleReaction"


def program() -> Path:
    """ghz, built into bench/bin on first use."""
    path = BIN / "ghz"
    if path.exists():
        return path
    go = shutil.which("go")
    if go is None:
        raise Skipped("ghz is not there and Go, which builds it, is not installed")
    BIN.mkdir(exist_ok=True)
    done = subprocess.run(
        [go, "install", f"github.com/bojand/ghz/cmd/ghz@{VERSION}"],
        env={**os.environ, "GOBIN": str(BIN)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Skipped(f"ghz cannot be built here: {done.stderr.strip()[-300:]}")
    return path


def command(address: str, *options: str, pinned: bool = True) -> list[str]:
    """The command line of a run against `host:port`; `options` are those of ghz. Without TLS, unless they have a CA."""
    pin = ["taskset", "-c", str(DRIVER_CPU)] if pinned and shutil.which("taskset") else []
    plain = [] if any(option.startswith("--cacert") for option in options) else ["--insecure"]
    return [*pin, str(program()), *plain, "--duration-stop=wait", *options, address]


def run(address: str, options: Sequence[str], timeout: float = 120.0, *, pinned: bool = True) -> dict[str, Any]:
    """Runs ghz; returns its JSON report, with `cpu_share`: the share of a core that ghz used."""
    before = os.times()
    done = subprocess.run(
        command(address, "--format=json", *options, pinned=pinned),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"ghz: {(done.stderr or done.stdout).strip()[-500:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    report["cpu_share"] = spent / (after.elapsed - before.elapsed)
    return report
