"""Settings as a list: in the page, on the command line, and in what is said of a name that does not exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stack.cli import app
from stack.settings.catalog import settings_of_class
from stack.settings.listing import DEFAULT, FILE, VARIABLE, as_values, is_set
from stack.settings.model import BadSettings, Settings, load
from stack.settings.page import page
from stack.settings.renamed import RENAMED
from tests.running import ROOT

RUN = CliRunner()


def by_name(file: Path | None = None) -> dict[str, dict[str, object]]:
    return {str(one["name"]): one for one in as_values(load(file), file)}


def test_every_setting_has_a_meaning() -> None:
    assert [one.variable for one in settings_of_class(Settings) if not one.meaning] == []


def test_the_list_has_settings_of_groups_and_of_groups_within_them() -> None:
    found = {one.variable: one for one in settings_of_class(Settings)}
    assert found["PLAUDIT_GATEWAY__SESSION__TOPICS"].default == 128
    assert found["PLAUDIT_GATEWAY__SOCKET__HEAD_BYTES"].unit == "bytes"
    assert found["PLAUDIT_GATEWAY__SESSION__HELLO_TIMEOUT"].unit == "s"
    assert found["PLAUDIT_GATEWAY__SOCKET__PINGS__BURST"].default == 100


def test_every_listed_variable_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [one for one in settings_of_class(Settings) if isinstance(one.default, int | float)]
    for one in given:
        monkeypatch.setenv(one.variable, str(one.default))
    settings = load()
    assert [one.variable for one in given if one.value_in(settings) != one.default] == []


def test_the_page_is_generated_from_the_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == page(), "run `make gen`"


def test_each_value_has_its_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "plaudit.toml"
    file.write_text('log = "info"\n[gateway.session]\ntopics = 7\nframes_burst = 9\n')
    monkeypatch.setenv("PLAUDIT_GATEWAY__SESSION__FRAMES_BURST", "11")
    found = by_name(file)
    assert (found["PLAUDIT_LOG"]["value"], found["PLAUDIT_LOG"]["from"]) == ("info", FILE)
    topics = found["PLAUDIT_GATEWAY__SESSION__TOPICS"]
    assert (topics["value"], topics["from"], topics["default"]) == (7, FILE, 128)
    burst = found["PLAUDIT_GATEWAY__SESSION__FRAMES_BURST"]
    assert (burst["value"], burst["from"]) == (11, VARIABLE)
    assert found["PLAUDIT_GRPC"]["from"] == DEFAULT


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAUDIT_HOT", "redis://me:s3cret@127.0.0.1:6379/0")
    assert by_name()["PLAUDIT_HOT"]["value"] == "redis://me:***@127.0.0.1:6379/0"
    for options in ((), ("--json",)):
        shown = RUN.invoke(app, ["settings", *options])
        assert shown.exit_code == 0
        assert "s3cret" not in shown.output
        assert "me:***@" in shown.output


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HTPP", "PLAUDIT_HTTP"),
        ("GATWAY__BODY", "PLAUDIT_GATEWAY"),
        ("GATEWAY__TOPICS", "PLAUDIT_GATEWAY__SESSION__TOPICS"),
        ("GATEWAY__SESION__TOPICS", "PLAUDIT_GATEWAY__SESSION"),
        ("GATEWAY__SOCKET__HEAD_BYTE", "PLAUDIT_GATEWAY__SOCKET__HEAD_BYTES"),
    ],
)
def test_an_unknown_name_is_refused_with_a_similar_one(monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    monkeypatch.setenv(f"PLAUDIT_{name}", "1")
    with pytest.raises(BadSettings) as caught:
        load()
    assert f"did you mean {meant}?" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_refused_with_the_new_one(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    monkeypatch.setenv(f"PLAUDIT_{old}", "1")
    with pytest.raises(BadSettings, match=rf"^setting PLAUDIT_{old}: it is called PLAUDIT_{new} now$"):
        load()
    assert f"PLAUDIT_{new}" in {setting.variable for setting in settings_of_class(Settings)}


def test_the_old_name_of_an_option_is_refused_with_the_new_one() -> None:
    refused = RUN.invoke(app, ["up", "--rooms", "gateway"])
    assert refused.exit_code == 1
    assert refused.output == "plaudit: option --rooms is called --services now\n"


def test_an_unknown_name_without_a_similar_one_gets_no_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAUDIT_ZZZZ", "1")
    with pytest.raises(BadSettings, match=r"there is no such setting$"):
        load()


def test_a_configuration_is_checked_without_a_start(tmp_path: Path) -> None:
    file = tmp_path / "plaudit.toml"
    file.write_text("[reaction]\nmax_emoji = 30\n")
    good = RUN.invoke(app, ["config", "check", str(file), "--json"])
    assert good.exit_code == 0, good.output
    assert json.loads(good.output)[FILE] == 1
    file.write_text("[reaction]\nmax_emojis = 30\n")
    bad = RUN.invoke(app, ["config", "check", str(file)])
    assert bad.exit_code == 1
    assert "did you mean PLAUDIT_REACTION__MAX_EMOJI?" in bad.output
    file.write_text('[tls]\nca = "/nowhere/ca.pem"\ncert = "/nowhere/cert.pem"\nkey = "/nowhere/key.pem"\n')
    assert RUN.invoke(app, ["config", "check", str(file)]).exit_code == 1


def test_a_setting_is_set_by_a_file_or_a_variable_also_to_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "plaudit.toml"
    file.write_text("[server]\nconnections = 4096\n", encoding="utf-8")
    monkeypatch.setenv("PLAUDIT_CONFIG", str(file))
    assert is_set("server", "connections")
    assert not is_set("gateway", "socket", "connections")
    monkeypatch.setenv("PLAUDIT_GATEWAY__SOCKET__CONNECTIONS", "16384")
    assert is_set("gateway", "socket", "connections")
