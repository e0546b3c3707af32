"""Which Plaudit this is: its version and, where it is known, the revision of its source."""

from __future__ import annotations

import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prometheus_client import Gauge, disable_created_metrics

BUILD_INFO = Gauge("plaudit_build_info", "Always 1; its labels say what runs here.", ("version", "revision", "python"))
_ROOT = Path(__file__).resolve().parents[2]
# Written when an image is built, where there is no history of the source.
_STAMP = Path(__file__).with_name("revision.txt")
_SECONDS = 2.0


@cache
def plaudit_version() -> str:
    """Such as `0.1.0`; empty where this is not installed."""
    try:
        return version("plaudit")
    except PackageNotFoundError:
        return ""


@cache
def revision() -> str:
    """Such as `cd8be8d0a2f1`, with `+` where the source has been changed since; empty where it is not known."""
    if _STAMP.exists():
        return _STAMP.read_text("utf-8").strip()
    git = shutil.which("git")
    # A copy installed into the project of somebody else is not of that project's revision.
    if git is None or not (_ROOT / ".git").exists() or not (_ROOT / "pyproject.toml").exists():
        return ""
    command = [git, "-C", str(_ROOT), "describe", "--always", "--exclude", "*", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def label_metrics() -> None:
    """From now on the metrics say which build this is, and not when each series began, which doubles most of them."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    BUILD_INFO.labels(plaudit_version(), revision(), platform.python_version()).set(1)
