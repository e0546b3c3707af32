"""A plain wheel has everything: what is installed from it runs without the source tree."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.running import ROOT, free_port

# What runs is written in these; everything else in the folders of the packages is data that belongs to it.
_CODE = {".py", ".pyi", ".pyc", ".md"}
_PACKAGES = ("kit", "stack", "gateway", "session_registry", "web", "client")


def sources() -> list[Path]:
    """The folders of the packages."""
    return [ROOT / name for name in _PACKAGES] + sorted(ROOT.glob("*_svc"))


@pytest.fixture(name="wheel", scope="module")
def fixture_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, since building leaves things lying around."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in [*sources(), ROOT / "gen"]:
        shutil.copytree(folder, copy / folder.name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), "."]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    [wheel] = out.glob("plaudit-*.whl")
    return wheel


@pytest.fixture(name="installed", scope="module")
def fixture_installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel, and its dependencies from ours."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, "--disable-pip-version-check", str(wheel)], check=True)
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    # Only a path: our own editable install is not found by it, since files like this one are not read in there.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin"


def environment() -> dict[str, str]:
    """Ours, without the ways by which the source tree is found."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PLAUDIT_", "PYTHON"))}


def test_every_data_file_is_in_the_wheel(wheel: Path) -> None:
    wanted = {"plaudit.protoset"}
    for folder in sources():
        base = folder if folder.name == "client" else ROOT
        files = [path for path in folder.rglob("*") if path.is_file() and ".egg-info" not in str(path)]
        wanted |= {path.relative_to(base).as_posix() for path in files if path.suffix not in _CODE}
    assert {"reaction_svc/data/emoji.txt", "web/index.html"} <= wanted
    assert {Path(name).suffix for name in wanted} >= {".sql", ".cql", ".lua", ".protoset"}
    with zipfile.ZipFile(wheel) as archive:
        assert wanted - set(archive.namelist()) == set()


def test_the_command_is_there(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "plaudit"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Start Plaudit" in done.stdout


def test_what_is_installed_finds_its_schemas_and_scripts(installed: Path, tmp_path: Path) -> None:
    script = """if True:
        import stack.cli, sys
        from stack.schemas import schemas
        assert "site-packages" in stack.cli.__file__, stack.cli.__file__
        for schema in schemas():
            assert list(schema.folder.glob("*.cql")), schema
    """
    done = subprocess.run(
        [str(installed / "python"), "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_is_installed_serves_the_page_and_takes_a_reaction(installed: Path, tmp_path: Path) -> None:
    http = f"127.0.0.1:{free_port()}"
    own = {"PLAUDIT_DATA": str(tmp_path / "data"), "PLAUDIT_HTTP": http, "PLAUDIT_GRPC": "127.0.0.1:0"}
    command = [str(installed / "plaudit"), "up", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment() | own, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            with urllib.request.urlopen(f"http://{http}/", timeout=10) as page:
                assert b"<!doctype html>" in page.read(200).lower()
            request = urllib.request.Request(
                f"http://{http}/api/messages/42/reactions/%F0%9F%91%8D",
                method="PUT",
                headers={"Authorization": f"Bearer {facts['token']}"},
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                [counted] = json.load(answer)["reactions"]
            assert counted["emoji"] == "👍"
            assert counted["count"] == "1"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
