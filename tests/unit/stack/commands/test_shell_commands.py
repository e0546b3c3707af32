"""Version and completion: what a shell asks of the command itself."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.running import ROOT

PLAUDIT = [sys.executable, "-m", "stack.cli"]


def run(*command: str, **variables: str) -> str:
    """What a command prints."""
    kept = {name: value for name, value in os.environ.items() if "PLAUDIT_" not in name}
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "gen", "client"))
    environment = kept | {"PYTHONPATH": path} | variables
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_version_names_revision_and_python() -> None:
    said = run(*PLAUDIT, "--version")
    assert said.startswith(f"plaudit {version('plaudit')} (")
    assert said.endswith(f"Python {platform.python_version()})\n")
    git = shutil.which("git")
    if git is not None and (ROOT / ".git").exists():
        assert run(git, "rev-parse", "--short=12", "HEAD").strip() in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_it_can_read(shell: str) -> None:
    script = run(*PLAUDIT, "completion", shell)
    assert "_PLAUDIT_COMPLETE" in script
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=script, text=True, timeout=20, check=True)


def test_bash_completes_commands_and_options() -> None:
    asked = {"_PLAUDIT_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    assert run(*PLAUDIT, COMP_WORDS="plaudit sess", **asked).split() == ["sessions"]
    asked["COMP_CWORD"] = "2"
    assert "--tenant" in run(*PLAUDIT, COMP_WORDS="plaudit sessions --t", **asked).split()
