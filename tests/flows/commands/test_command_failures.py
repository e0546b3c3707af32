"""Every command that talks to a system, where that cannot be: one line, exit code 1, at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.auth.keys import open_keys
from tests.running import ROOT, Stack

TALKING = {
    "react": ("react", "messages/1", "👍"),
    "counts": ("counts", "messages/1"),
    "tail": ("tail", "messages/1"),
    "sessions": ("sessions", "alice"),
    "check": ("check",),
    "erase person": ("erase", "person", "alice", "--yes"),
    "erase target": ("erase", "target", "messages/1", "--yes"),
}
AT_ONCE_SECONDS = 20.0
"""With the start of the interpreter on a busy machine; attempts of the client alone take longer."""


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that failed."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("plaudit: ")
    return line


@pytest.fixture(name="keyed")
def fixture_keyed(tmp_path: Path) -> Stack:
    """A stack that does not run, with keys of its own."""
    stack = Stack(tmp_path / "data")
    open_keys(stack.data / "keys")
    return stack


@pytest.mark.parametrize("name", TALKING)
def test_a_server_that_does_not_listen_is_reported_immediately(keyed: Stack, name: str) -> None:
    began = time.monotonic()
    line = said(keyed.run(*TALKING[name], "--json"))
    assert time.monotonic() - began < AT_ONCE_SECONDS
    address, setting = (keyed.http, "PLAUDIT_HTTP") if name == "tail" else (keyed.grpc_address, "PLAUDIT_GRPC")
    assert f"nothing answers at {address}" in line
    assert line.endswith(f"start it with `plaudit up`, or set {setting}")


@pytest.mark.parametrize("name", TALKING)
def test_an_unknown_host_is_reported(keyed: Stack, name: str) -> None:
    keyed.http = keyed.grpc_address = "no-such-host.invalid:1"
    assert "nothing answers at no-such-host.invalid:1" in said(keyed.run(*TALKING[name]))


@pytest.mark.parametrize("name", TALKING)
def test_a_port_of_another_protocol_is_reported(shared_stack: Stack, tmp_path: Path, name: str) -> None:
    other = Stack(tmp_path / "data")
    shutil.copytree(shared_stack.data / "keys", other.data / "keys")
    other.http, other.grpc_address = shared_stack.grpc_address, shared_stack.http
    said(other.run(*TALKING[name]))


@pytest.mark.parametrize("name", TALKING)
def test_tokens_of_other_keys_are_refused(shared_stack: Stack, keyed: Stack, name: str) -> None:
    keyed.http, keyed.grpc_address = shared_stack.http, shared_stack.grpc_address
    assert said(keyed.run(*TALKING[name])).startswith("plaudit: UNAUTHENTICATED ")


@pytest.mark.parametrize("name", [*TALKING, "token"])
def test_settings_and_certificates_that_cannot_be_used_are_named(keyed: Stack, tmp_path: Path, name: str) -> None:
    arguments = TALKING.get(name, ("token", "mint", "alice"))
    keyed.settings = {"GRPC_": "x"}
    assert "PLAUDIT_GRPC_" in said(keyed.run(*arguments))
    if name not in ("tail", "token"):
        missing = str(tmp_path / "no.pem")
        keyed.settings = {f"TLS__{kind}": missing for kind in ("CA", "CERT", "KEY")}
        assert missing in said(keyed.run(*arguments))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("--help",),
        ("plan",),
        ("plan", "--json"),
        ("completion", "zsh"),
        ("token", "mint", "alice", "--json"),
        ("certs", "certificates"),
        ("envoy", "render", "--gateways", "127.0.0.1:1", "--service", "a.B=127.0.0.1:2", "--http", "127.0.0.1:3"),
    ],
    ids=" ".join,
)
def test_a_terminal_without_unicode_stops_no_command(
    keyed: Stack, monkeypatch: pytest.MonkeyPatch, encoding: str, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    words = [str(keyed.data / one) if one == "certificates" else one for one in arguments]
    command = [sys.executable, "-m", "stack.cli", *words]
    done = subprocess.run(
        command, env=keyed.environment, cwd=ROOT, capture_output=True, encoding=encoding, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_an_envoy_configuration_is_rendered_as_json(keyed: Stack, tmp_path: Path) -> None:
    file = tmp_path / "envoy.yaml"
    asked = ("envoy", "render", "--gateways", "127.0.0.1:1", "--service", "a.B=127.0.0.1:2", "--http", "127.0.0.1:3")
    assert keyed.run(*asked, "--json").stdout.startswith('{"configuration": "')
    assert keyed.run(*asked, "--json", "-o", str(file)).stdout == f'{{"file": "{file}"}}\n'
    assert file.exists()
