"""What is missing is got, or named with what to do."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engines import Missing
from engines import get as getting
from engines.kafka import VERSION
from stack.settings.model import load


@pytest.fixture(name="bare", autouse=True)
def fixture_bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without tools, for a user who may not install any; returns the folder of its programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("PLAUDIT_ENGINES", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return programs


def tool(folder: Path, name: str, script: str) -> None:
    """A program that does what the script says."""
    path = folder / name
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(Missing, match=r"^nosuch is missing: apt-get install nosuch-server$"):
        getting.program("nosuch", "nosuch-server")


def test_a_java_of_another_version_is_not_used(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    tool(bare, "java", """echo 'openjdk version "21.0.2" 2024-01-16' >&2""")
    assert getting.java_version(bare / "java") == 21
    tool(bare, "java", """echo 'openjdk version "17.0.15" 2025-04-15' >&2""")
    getting.find_java.cache_clear()
    assert getting.java() == bare / "java"
    getting.find_java.cache_clear()


def test_root_has_the_package_installed_and_the_lists_fetched_where_they_are_old(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    tool(
        bare,
        "apt-get",
        f"""echo "$@" >> {bare}/asked
        case "$1" in
            update) touch {bare}/fresh;;
            install) [ -e {bare}/fresh ] && printf '#!/bin/sh\\n' > {bare}/thing && chmod +x {bare}/thing;;
        esac""",
    )
    assert getting.program("thing", "thing-package") == bare / "thing"
    asked = [line.split()[0] for line in (bare / "asked").read_text().splitlines()]
    assert asked == ["install", "update", "install"]


def test_a_package_that_cannot_be_installed_is_reported_in_one_line(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    tool(bare, "apt-get", "echo 'Reading lists'; echo 'E: Unable to locate package thing' >&2; exit 100")
    with pytest.raises(Missing, match=r"thing is missing: .*E: Unable to locate package thing") as error:
        getting.program("thing", "thing")
    assert "\n" not in str(error.value)


def test_jars_are_fetched_once_and_a_failed_fetch_leaves_no_file(bare: Path) -> None:
    tool(bare, "mvn", "echo '[ERROR] Could not resolve host'; exit 1")
    with pytest.raises(Missing, match="Could not resolve host"):
        getting.jars("kafka", VERSION)
    tool(
        bare,
        "mvn",
        f"""for word in "$@"; do case "$word" in -DoutputDirectory=*) touch "${{word#*=}}/kafka.jar";; esac; done
        echo run >> {bare}/runs""",
    )
    for _ in range(2):
        assert [jar.name for jar in getting.jars("kafka", VERSION).iterdir()] == ["kafka.jar"]
    assert (bare / "runs").read_text().count("run") == 1


def test_a_missing_go_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getting, "GO_PATTERNS", ())
    with pytest.raises(Missing, match="toxiproxy is built with Go"):
        getting.go_program("toxiproxy", "example.org/server", "v1")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAUDIT_ENGINES", str(tmp_path / "file" / "cache"))
    with pytest.raises(Missing, match="PLAUDIT_ENGINES"):
        getting.jars("kafka", VERSION)


def test_the_folder_of_downloads_is_no_setting_that_plaudit_refuses(tmp_path: Path) -> None:
    assert os.environ["PLAUDIT_ENGINES"] == str(tmp_path / "cache")
    load()
