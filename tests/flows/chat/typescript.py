"""The TypeScript client in Node: built once, and driven by a test over its standard input and output."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.running import ROOT

PACKAGE = ROOT / "clients" / "ts"
BUNDLE = ROOT / "web" / "js" / "vendor" / "plaudit-client.js"
_INSTALL_SECONDS = 200


def require_node() -> None:
    """Skips where Node is missing; under CI that is a failure."""
    if shutil.which("node") and shutil.which("npm"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("Node and npm are not installed, and CI has all tests run")
    pytest.skip("Node and npm are not installed: the TypeScript client is not tested")


def require_packages() -> None:
    """Installs what the client is built and tested with, where it is not there yet."""
    require_node()
    if (PACKAGE / "node_modules" / "vitest").exists():
        return
    run(["npm", "ci", "--no-audit", "--no-fund"], PACKAGE)


def run(command: list[str], folder: Path, variables: dict[str, str] | None = None) -> str:
    """What the command writes; it fails where that does."""
    environment = os.environ | (variables or {})
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


class NodeProgram:
    """A program in Node that answers each line of JSON with one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, command: str, **fields: Any) -> Any:
        """Runs a command of the program; returns its result."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **fields}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the program has ended"}')
        assert "error" not in answer, answer["error"]
        return answer["result"]


@contextmanager
def node_program(script: Path, *arguments: str) -> Iterator[NodeProgram]:
    """The program, until the block ends."""
    command = ["node", "--experimental-websocket", "--no-warnings", str(script), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield NodeProgram(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
