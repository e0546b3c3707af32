"""What processes are called."""

from __future__ import annotations

import subprocess
import sys

from stack.process.title import process_title
from stack.settings.model import Settings
from tests.running import ROOT


def test_a_process_is_named_by_its_setting_or_its_services() -> None:
    assert process_title(Settings.model_validate({})) == "plaudit: all"
    assert (
        process_title(Settings.model_validate({"services": "reaction_svc,counter_svc"}))
        == "plaudit: reaction_svc, counter_svc"
    )
    assert process_title(Settings.model_validate({"services": "gateway", "name": "gateway 2"})) == "plaudit: gateway 2"


def test_the_operating_system_shows_the_title() -> None:
    script = """
from pathlib import Path
from stack.process.title import set_process_title
set_process_title("plaudit: session_registry 1")
print(Path("/proc/self/cmdline").read_text().strip("\\0"), Path("/proc/self/comm").read_text().strip(), sep="|")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "plaudit: session_registry 1|session_registr\n"
