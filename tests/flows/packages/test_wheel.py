"""The plain wheels have everything: what is installed from them runs without the source tree."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
import zipfile
from pathlib import Path

import pytest

from engines.server import free_port
from tests.building import clean_environment, environment_with, server_sources
from tests.running import ROOT

# What runs is written in these; everything else in the folders of the packages is data that belongs to it.
_CODE = {".py", ".pyi", ".pyc", ".md"}


@pytest.fixture(name="installed", scope="module")
def fixture_installed(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has all packages, and their dependencies from ours."""
    return environment_with(packages.values(), tmp_path_factory.mktemp("installed") / "venv")


def test_every_data_file_is_in_the_wheel(packages: dict[str, Path]) -> None:
    wanted = set()
    for folder in server_sources():
        if folder.name != "engines":  # there only what running needs
            files = [path for path in folder.rglob("*") if path.is_file() and ".egg-info" not in str(path)]
            wanted |= {path.relative_to(ROOT).as_posix() for path in files if path.suffix not in _CODE}
    assert {"reaction_svc/data/emoji.txt", "web/index.html"} <= wanted
    assert {Path(name).suffix for name in wanted} >= {".sql", ".cql", ".lua"}
    with zipfile.ZipFile(packages["plaudit"]) as archive:
        assert wanted - set(archive.namelist()) == set()


def test_the_command_exists(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "plaudit"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Start Plaudit" in done.stdout


def test_an_installed_package_finds_its_schemas_and_scripts(installed: Path, tmp_path: Path) -> None:
    script = """if True:
        import stack.cli, sys
        from stack.storage.schemas import schemas
        assert "site-packages" in stack.cli.__file__, stack.cli.__file__
        for schema in schemas():
            assert list(schema.folder.glob("*.cql")), schema
    """
    done = subprocess.run(
        [str(installed / "python"), "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_an_installed_package_serves_the_page_and_a_reaction(installed: Path, tmp_path: Path) -> None:
    http = f"127.0.0.1:{free_port()}"
    own = {"PLAUDIT_DATA": str(tmp_path / "data"), "PLAUDIT_HTTP": http, "PLAUDIT_GRPC": "127.0.0.1:0"}
    command = [str(installed / "plaudit"), "up", "--demo", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=clean_environment(own), stdout=subprocess.PIPE, text=True
    ) as process:
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
