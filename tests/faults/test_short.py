"""A few faults and a few planted bugs in every test run; `make faults` has them all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.running import ROOT


def run(only: str) -> subprocess.CompletedProcess[str]:
    """The runner as a process of its own, because it has an event loop of its own."""
    path = os.pathsep.join(str(ROOT / each) for each in ("", "gen", "client"))
    return subprocess.run(
        [sys.executable, "-m", "tests.faults", "--only", only],
        env=os.environ | {"PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.mark.timeout(300)
def test_killed_processes_and_lost_sockets_under_load_violate_no_invariant() -> None:
    done = run("quick")
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]


@pytest.mark.timeout(300)
def test_planted_bugs_are_detected() -> None:
    done = run("bug:op-id-not-stored,bug:switch-as-two,bug:resume-swallows-a-push")
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]


def test_an_unknown_fault_is_refused() -> None:
    done = run("F99")
    assert (done.returncode, done.stderr) == (2, "there is no fault called F99\n")
