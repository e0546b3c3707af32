"""Further processes import the installed code alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.stopping import StopDeadline
from stack.mesh.plan import MeshNode, node_program
from stack.process.supervisor import Program
from stack.process.workers import worker_programs
from stack.settings.model import Settings
from tests.running import ROOT


def worker(settings: Settings) -> Program:
    """A further process of `plaudit up --workers 2`."""
    [found] = worker_programs(settings, "127.0.0.1:1", StopDeadline(1.0))
    return found


def mesh_node(settings: Settings) -> Program:
    """A process of `plaudit mesh`."""
    return node_program(settings, MeshNode("gateway-1", "gateway", "127.0.0.1:1", "127.0.0.1:2"), {})


@pytest.mark.parametrize("make", [worker, mesh_node], ids=["a worker", "a node of a mesh"])
@pytest.mark.parametrize("package", ["stack", "json"])
def test_a_process_imports_no_code_from_the_folder_it_starts_in(
    tmp_path: Path, make: Callable[[Settings], Program], package: str
) -> None:
    folder = tmp_path / "started here" / package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported from the working directory')\n")
    program = make(Settings.model_validate({"data": tmp_path / "data", "workers": 2}))
    command = [*program.command[: program.command.index("up")], "settings"]
    path = os.pathsep.join(str(ROOT / part) for part in ("", "gen", "client"))
    done = subprocess.run(
        command,
        cwd=folder.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
