"""The shell variables with which commands reach a mesh."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from stack.envoy.model import Model
from stack.mesh.exports import shell_variables, write_shell_file
from stack.settings.model import PREFIX, Settings, load


def test_a_shell_reads_the_settings_file_and_commands_accept_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    model = Model(gateways=("127.0.0.1:1",), services={}, keys={}, internal="127.0.0.1:2")
    path = write_shell_file(
        folder, shell_variables(Settings.model_validate({"data": folder}), model, None, {"TOKEN": "a.b.c"})
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    script = '. "$1" && env'
    printed = subprocess.run(["sh", "-c", script, "sh", str(path)], capture_output=True, text=True, check=True).stdout
    variables = dict(line.partition("=")[::2] for line in printed.splitlines())
    for name, value in variables.items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, value)
    settings = load()
    assert (settings.data, settings.grpc, settings.http) == (folder, "127.0.0.1:2", "127.0.0.1:1")
    assert variables["TOKEN"] == "a.b.c"


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "env.sh").write_text("export OLD=1")
    assert write_shell_file(tmp_path, {"NEW": "2"}).read_text() == "export NEW=2\n"
