"""Runs code blocks of a document one after another, as a reader does."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import ghz
from bench.processes import Skipped
from engines.server import free_port
from tests.documents import Block
from tests.running import ROOT, Stack

_BLOCK_SECONDS = 60
_PROGRAMS = Path(sys.executable).parent
_COMMANDS = {"python": [sys.executable, "-"], "js": ["node", "--input-type=module", "-"]}
_TREE = ("bench", "client", "deploy", "docs", "engines", "gen", "proto", "web")
"""The parts of the source tree that a reader has and does not write; `examples` is copied."""
_BUILT = ("node_modules", "gen", "dist", "target", "__pycache__")


class Reader:
    """A reader with a fresh checkout in `folder`. Variables and the working directory of an `sh` block stay for later
    blocks.

    A block may need `server` (a running Plaudit), `mesh` (one with Envoy in front, without other engines) and programs,
    by name. In its text the addresses at which Plaudit listens by default stand for those of the one that runs. `tree`:
    paths of the source tree that are there."""

    def __init__(
        self, folder: Path, stack: Callable[[], Stack], leaving: ExitStack, *, tree: Iterable[str] = _TREE
    ) -> None:
        self.folder = folder
        self._stack = stack
        self._leaving = leaving
        self._mesh: dict[str, str] | None = None
        folder.mkdir()
        for name in tree:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns(*_BUILT))
        (folder / ".venv").mkdir()
        (folder / ".venv" / "bin").symlink_to(_PROGRAMS)
        (folder / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLAUDIT_", "PYTHON"))}
        self._variables = kept | {
            "PATH": os.pathsep.join([str(_PROGRAMS), kept.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("", "gen", "client")),
            "CURL_HOME": str(folder),
            "PWD": str(folder),
        }

    def run(
        self,
        block: Block,
        *,
        needs: Iterable[str] = (),
        replaced: Mapping[str, str] | None = None,
        seconds: float = _BLOCK_SECONDS,
    ) -> str:
        """Runs the block; returns what it writes. Skips where a program is missing.

        `needs` are added to its own; `replaced` is text of the block and its replacement. If the block fails, an
        AssertionError has its output.
        """
        replacements = dict(replaced or {})
        for need in (*block.needs, *needs):
            replacements |= self._have(need)
        text = block.text
        for documented, actual in replacements.items():
            text = text.replace(documented, actual)
        variables = self.folder / ".variables"
        if block.language == "sh":
            command, text = ["sh", "-ea"], f"{text}\nexport -p > {shlex.quote(str(variables))}\n"
        else:
            command = _COMMANDS[block.language]
        done = subprocess.run(
            command,
            input=text,
            cwd=self._variables["PWD"],
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{block.place} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        assert "Error distribution" not in done.stdout, f"{block.place}:\n{done.stdout}"  # ghz, which ends with 0
        if block.language == "sh":
            self._variables = dict(_exported(variables.read_text("utf-8")))
        return done.stdout

    def _have(self, need: str) -> dict[str, str]:
        """Sees to it that the need is there; returns what replaces what in the block."""
        if need == "server":
            stack = self._stack()
            self._variables |= {n: value for n, value in stack.environment.items() if n.startswith("PLAUDIT_")}
            return {"127.0.0.1:8080": stack.http, "127.0.0.1:50051": stack.grpc_address}
        if need == "mesh":
            self._mesh = self._mesh or self._leaving.enter_context(_mesh(self.folder))
            return self._mesh
        if need == "ghz":
            try:
                folder = ghz.program().parent
            except Skipped as error:
                pytest.skip(str(error))
            self._variables["PATH"] += os.pathsep + str(folder)
        elif shutil.which(need, path=self._variables["PATH"]) is None:
            pytest.skip(f"the program {need} is not installed")
        return {}


@contextmanager
def _mesh(folder: Path) -> Iterator[dict[str, str]]:
    """`plaudit mesh` with its data in `data/mesh`; its addresses by those it has by default."""
    https, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    options = ["--no-engines", "--json", "--data", "data/mesh", "--https", https, "--http", http]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PLAUDIT_")}
    variables["PYTHONPATH"] = os.pathsep.join(str(ROOT / name) for name in ("", "gen", "client"))
    command = [sys.executable, "-m", "stack.cli", "mesh", *options]
    with subprocess.Popen(command, env=variables, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            facts: dict[str, Any] = json.loads(process.stdout.readline())
            assert facts["page"] == f"https://{https}/"
            yield {"127.0.0.1:8443": https, "127.0.0.1:8080": http}
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _exported(script: str) -> Iterator[tuple[str, str]]:
    """The variables that `export -p` has written."""
    words = iter(shlex.split(script))
    for word in words:
        if word == "export":
            name, is_set, value = next(words).partition("=")
            if is_set:
                yield name, value
