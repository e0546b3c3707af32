"""The check of the page's bundle finds what is stale, without Node."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clients import bundle


@pytest.fixture(name="source")
def fixture_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, in a folder without packages."""
    source = tmp_path / "ts"
    shutil.copytree(bundle.SOURCE / "src", source / "src", ignore=shutil.ignore_patterns("gen"))
    for name in bundle.INPUTS:
        shutil.copy(bundle.SOURCE / name, source)
    monkeypatch.setattr(bundle, "SOURCE", source)
    return source


def test_the_committed_bundle_is_that_of_the_sources(source: Path) -> None:
    assert bundle.find_problem(bundle.BUNDLE.read_text("utf-8")) == ""


@pytest.mark.parametrize("name", ["src/client.ts", "src/messages/new_file.ts", "package-lock.json"])
def test_a_changed_source_is_found(source: Path, name: str) -> None:
    path = source / name
    path.write_text((path.read_text("utf-8") if path.exists() else "") + "\n// changed\n", "utf-8")
    assert "not built from these sources" in bundle.find_problem(bundle.BUNDLE.read_text("utf-8"))


def test_the_stubs_are_no_part_of_the_bundle(source: Path) -> None:
    (source / "src" / "proto" / "index.ts").write_text("// changed\n")
    assert bundle.find_problem(bundle.BUNDLE.read_text("utf-8")) == ""


def test_a_bundle_changed_by_hand_is_found(source: Path) -> None:
    text = bundle.BUNDLE.read_text("utf-8")
    assert "changed by hand" in bundle.find_problem(text.replace("10_000", "1").replace("1e4", "1"))
