"""The systemd unit: systemd accepts it, it leaves time to stop, and takes from the process what that does not need."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stack.settings.model import load
from tests.running import ROOT

UNIT = ROOT / "deploy" / "systemd" / "plaudit.service"
TEXT = UNIT.read_text("utf-8")


def value(name: str) -> str:
    """Of the one line that sets it."""
    [found] = re.findall(rf"^{name}=(.*)$", TEXT, re.MULTILINE)
    return str(found)


@pytest.fixture(name="unit")
def fixture_unit(tmp_path: Path) -> str:
    """The unit, with a program that is there."""
    copy = tmp_path / UNIT.name
    copy.write_text(TEXT.replace(value("ExecStart").split()[0], "/bin/true"), "utf-8")
    return str(copy)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Asks systemd, which need not run for that."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on this machine: apt-get install systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_understands_every_line(unit: str) -> None:
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_has_a_low_security_exposure(unit: str) -> None:
    done = analyze("security", "--offline=true", "--threshold=20", unit)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_settings_are_accepted_and_it_has_time_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    for pair in value("Environment").split():
        monkeypatch.setenv(*pair.split("=", 1))
    settings = load()
    assert settings.data == Path("/var/lib") / value("StateDirectory")
    assert int(value("TimeoutStopSec")) > settings.grace_seconds
    assert value("Type") == "notify"
