"""What all commands share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import run

import pytest

from stack.commands.common import decode_arguments
from tests.running import ROOT


def test_arguments_are_utf8_in_every_locale() -> None:
    # As a locale that knows ASCII alone leaves them.
    given = ["messages/42", "👍".encode().decode("ascii", "surrogateescape")]
    if sys.getfilesystemencoding() != "utf-8":
        pytest.fail("the tests run in UTF-8")
    assert decode_arguments(given) == ["messages/42", "👍"]
    with pytest.raises(UnicodeDecodeError):
        decode_arguments([b"\xff".decode("ascii", "surrogateescape")])


def test_a_command_in_a_locale_without_emoji_accepts_one(tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PLAUDIT_DATA": str(tmp_path)}
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "gen", "client"))
    command: list[str | bytes] = [sys.executable, "-m", "stack.cli", "react", b"messages/42", "👍".encode()]
    done = run(command, env={**os.environ, **plain, "PYTHONPATH": path}, cwd=ROOT, capture_output=True, check=False)
    # There is no system and no key: the emoji is not what it fails at.
    assert done.returncode == 1
    assert b"Unicode" not in done.stderr
    assert done.stderr.startswith(b"plaudit: ")
