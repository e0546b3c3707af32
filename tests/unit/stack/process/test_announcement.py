"""What a start prints: a token only for a demo or at a terminal, and several lines for a terminal only."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from stack.process.runner import print_banner, printed_facts
from stack.settings.model import Settings

FACTS: dict[str, Any] = {
    "grpc": "127.0.0.1:50051",
    "page": "http://127.0.0.1:8080/",
    "socket": "ws://x",
    "token": "eyJ",
}


def set_terminal(monkeypatch: pytest.MonkeyPatch, stdout: bool, stderr: bool) -> None:
    """Whether each stream is a terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: stdout, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: stderr, raising=False)


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(("stdout", "stderr"), [(False, False), (True, False), (False, True)])
def test_a_token_is_printed_only_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stdout: bool, stderr: bool, is_json: bool
) -> None:
    set_terminal(monkeypatch, stdout, stderr)
    assert "token" not in printed_facts(FACTS, Settings.model_validate({}), is_json=is_json)
    assert printed_facts(FACTS, Settings.model_validate({"demo": True}), is_json=is_json) == FACTS


def test_a_terminal_gets_a_token_and_json_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    set_terminal(monkeypatch, True, True)
    assert printed_facts(FACTS, Settings.model_validate({}), is_json=False) == FACTS
    assert "token" not in printed_facts(FACTS, Settings.model_validate({}), is_json=True)


def test_the_banner_is_one_line_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_terminal(monkeypatch, True, False)
    print_banner({name: FACTS[name] for name in ("grpc", "page", "socket")})
    line = "Plaudit is running: page http://127.0.0.1:8080/, gRPC 127.0.0.1:50051\n"
    assert capsys.readouterr().out == line
    set_terminal(monkeypatch, True, True)
    print_banner(FACTS)
    lines = capsys.readouterr().out.splitlines()
    assert "  eyJ" in lines
    assert "  Ctrl-C stops it." in lines
