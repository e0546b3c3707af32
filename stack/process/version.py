"""The version of Plaudit and the revision of its source."""

from __future__ import annotations

import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prometheus_client import Gauge, disable_created_metrics

BUILD_INFO = Gauge(
    "plaudit_build_info", "Always 1; its labels are the build of this process.", ("version", "revision", "python")
)
_ROOT = Path(__file__).resolve().parents[2]
# Written when an image is built, which has no git history.
_STAMP = Path(__file__).with_name("revision.txt")
_SECONDS = 2.0


@cache
def plaudit_version() -> str:
    """Such as `0.1.0`; empty if the package is not installed."""
    try:
        return version("plaudit")
    except PackageNotFoundError:
        return ""


@cache
def revision() -> str:
    """Such as `cd8be8d0a2f1`, with `+` if the source has uncommitted changes; empty if unknown."""
    if _STAMP.exists():
        return _STAMP.read_text("utf-8").strip()
    git = shutil.which("git")
    # A copy installed within another git repository does not have the revision of that repository.
    if git is None or not (_ROOT / ".git").exists() or not (_ROOT / "pyproject.toml").exists():
        return ""
    command = [git, "-C", str(_ROOT), "describe", "--always", "--exclude", "*", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def export_build_info() -> None:
    """Exports the build as a metric, and drops the `_created` series, which double the number of series."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    BUILD_INFO.labels(plaudit_version(), revision(), platform.python_version()).set(1)
