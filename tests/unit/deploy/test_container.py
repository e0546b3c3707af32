"""The image recipe: what it copies is there, what it sets is accepted, and it does not run as root."""

from __future__ import annotations

import re

import pytest

from stack.settings.model import load
from tests.running import ROOT

TEXT = (ROOT / "deploy" / "Containerfile").read_text("utf-8").replace("\\\n", " ")


def lines(instruction: str) -> list[str]:
    """The arguments of each such instruction."""
    return re.findall(rf"^{instruction}\s+(.+)$", TEXT, re.MULTILINE)


def test_it_runs_the_command_as_a_user_with_a_number() -> None:
    assert lines("ENTRYPOINT") == ['["plaudit"]']
    assert lines("USER") == ["10001:10001"]


def test_its_settings_are_accepted_and_its_ports_exposed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in re.findall(r"(PLAUDIT_\w+)=(\S+)", TEXT):
        monkeypatch.setenv(name, value)
    settings = load()
    ports = {address.rpartition(":")[2] for address in (settings.http, settings.grpc, settings.status)}
    assert set(lines("EXPOSE")[0].split()) == ports
    assert lines("VOLUME") == [str(settings.data)]


def test_the_build_context_has_exactly_the_files_of_the_wheel() -> None:
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line[1:] for line in ignore if line.startswith("!")}
    assert ignore[1] == "*"
    assert all((ROOT / name).exists() for name in kept)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench", "engines", "deploy"}
    assert packages | {"gen", "client", "web", "pyproject.toml", "README.md", "LICENSE"} == kept
