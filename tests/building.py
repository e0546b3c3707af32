"""Builds the packages of this repository, and makes environments that have them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

from tests.running import ROOT

PROJECTS = {"plaudit-proto": ROOT / "gen", "plaudit-client": ROOT / "client", "plaudit": ROOT}
_SERVER = ("kit", "stack", "gateway", "session_registry", "web", "engines")
_FILES = ("pyproject.toml", "README.md", "LICENSE")


def server_sources() -> list[Path]:
    """The folders of the packages of the server."""
    return [ROOT / name for name in _SERVER] + sorted(ROOT.glob("*_svc"))


def build(names: Iterable[str], scratch: Path) -> dict[str, Path]:
    """The wheels of these projects, each made from its sdist, as `make packages` makes them.

    They are built from a copy under `scratch`, since building leaves files in the source.
    """
    made: dict[str, Path] = {}
    for name in names:
        source, out = scratch / "source" / name, scratch / "dist" / name
        folders = server_sources() if PROJECTS[name] == ROOT else _folders(PROJECTS[name])
        for folder in folders:
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "run")
            shutil.copytree(folder, source / folder.name, ignore=ignored)
        for file in _FILES:
            shutil.copy(PROJECTS[name] / file, source)
        _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)])
        [made[name]] = out.glob("*.whl")
        assert len(list(out.glob("*.tar.gz"))) == 1
    return made


def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def environment_with(wheels: Iterable[Path], home: Path) -> Path:
    """The folder of programs of a new environment that has the wheels, and their dependencies from ours."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    _run([*install, "--disable-pip-version-check", *map(str, wheels)])
    # Only a path: our own editable installs are not found by it, since files like this one are not read in there.
    (site_packages(python) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin"


def site_packages(python: Path) -> Path:
    """Where that interpreter has its packages."""
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([str(python), "-c", script], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our variables without those by which the source tree is found, and `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLAUDIT_", "PYTHON"))}
    return kept | dict(more or {})


def _folders(project: Path) -> list[Path]:
    return [path for path in project.iterdir() if path.is_dir() and not path.name.endswith((".egg-info", "__"))]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
