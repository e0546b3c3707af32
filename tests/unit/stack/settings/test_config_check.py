"""`plaudit config check` lists all errors of a file, also those that only a start would find."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stack.cli import app

ISSUER = '[[identity.issuers]]\nissuer = "https://id.example"\naudience = "chat"\n'


def check(folder: Path, text: str, *options: str) -> Result:
    """Checks a file with that content; `options` come before its name."""
    file = folder / "plaudit.toml"
    file.write_text(text)
    return CliRunner().invoke(app, ["config", "check", *options, str(file)])


def test_all_errors_are_listed_with_file_and_key_and_unknown_keys_first(tmp_path: Path) -> None:
    text = (
        ISSUER.replace("audience", "audiance") + 'jwks = "https://id.example/keys"\n[gateway]\nhearbeat_seconds = 3\n'
    )
    found = check(tmp_path, 'log = "verbose"\notlp = "junk"\n' + text)
    lines = found.stderr.splitlines()
    assert found.exit_code == 1
    assert all(line.startswith(f"plaudit: {tmp_path / 'plaudit.toml'}: ") for line in lines)
    unknown = [line for line in lines if "there is no such setting" in line]
    assert unknown == lines[:2]
    assert any("identity.issuers.0.audiance: " in line and "did you mean audience?" in line for line in unknown)
    assert any(
        "gateway.hearbeat_seconds: " in line and "did you mean PLAUDIT_GATEWAY__SESSION__HEARTBEAT?" in line
        for line in unknown
    )
    assert any("the levels are debug, info, warning, error" in line for line in lines[2:])
    assert any("'junk' is not host:port" in line for line in lines[2:])


def test_an_invalid_variable_is_not_reported_as_one_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAUDIT_LOG", "verbose")
    found = check(tmp_path, 'otlp = "http://127.0.0.1:4317"\n')
    [line] = found.stderr.splitlines()
    assert line.startswith("plaudit: setting PLAUDIT_LOG: there is no level 'verbose'")


@pytest.mark.parametrize(
    ("key", "content", "said"),
    [
        ("secret_file", None, "cannot be read"),
        ("secret_file", "short", "has fewer than 32 bytes"),
        ("jwks", None, "cannot be read"),
        ("jwks", "{", "this is no JSON Web Key Set"),
    ],
)
def test_a_file_that_a_start_refuses_is_refused(tmp_path: Path, key: str, content: str | None, said: str) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content)
    found = check(tmp_path, f'{ISSUER}{key} = "{file}"\n', "--config")
    [line] = found.stderr.splitlines()
    assert (found.exit_code, said in line) == (1, True)
    assert line.startswith("plaudit: PLAUDIT_IDENTITY__ISSUERS: ")


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    found = check(tmp_path, 'services = "gateway"\nhttp = "0.0.0.0:80"\ndemo = true\n', "--config")
    assert found.exit_code == 1
    assert len(found.stderr.splitlines()) == 2


def test_the_option_of_other_commands_names_the_file(tmp_path: Path) -> None:
    found = check(tmp_path, "[reaction]\nmax_emoji = 30\n", "--config")
    assert found.exit_code == 0, found.output
