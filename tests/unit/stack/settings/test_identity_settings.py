"""Settings of identity providers: each mistake ends the start with one line that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stack.settings.model import BadSettings, load
from tests.running import Stack

GOOD = {"issuer": "https://id", "audience": "app", "jwks": "https://id/keys"}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


def test_settings_are_passed_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    services = {"feed@clients": ["act-as"]}
    more = {"issuer": "app", "audience": ["a", "b"], "secret_file": "/run/secret", "services": services}
    monkeypatch.setenv("PLAUDIT_IDENTITY__ISSUERS", json.dumps([GOOD, more]))
    identity = load().identity
    assert [each.issuer for each in identity.issuers] == ["https://id", "app"]
    assert identity.issuers[0].allowed == {"RS256", "ES256", "EdDSA"}
    assert identity.issuers[1].allowed == {"HS256"}
    monkeypatch.setenv("PLAUDIT_IDENTITY__ISSUERS", identity.as_variable())
    assert load().identity == identity


def test_a_settings_file_has_a_table_for_each_service(tmp_path: Path) -> None:
    file = tmp_path / "plaudit.toml"
    file.write_text(
        '[[identity.issuers]]\nissuer = "a"\naudience = "x"\njwks = "http://127.0.0.1:1/keys"\n'
        '[[identity.issuers]]\nissuer = "b"\naudience = ["x", "y"]\njwks = "keys.json"\n'
    )
    assert [each.audience for each in load(file).identity.issuers] == [("x",), ("x", "y")]


@pytest.mark.parametrize(
    ("issuers", "said"),
    [
        ([without("audience")], "ISSUERS__0__AUDIENCE: "),
        ([without("issuer")], "ISSUERS__0__ISSUER: "),
        ([without("jwks")], "needs either `jwks` or `secret_file`"),
        ([{**GOOD, "secret_file": "/run/secret"}], "needs either `jwks` or `secret_file`"),
        ([{**GOOD, "audience": []}], "ISSUERS__0__AUDIENCE: "),
        ([{**GOOD, "issuer": "plaudit"}], "is Plaudit itself"),
        ([GOOD, GOOD], "the issuer 'https://id' is there twice"),
        ([{**GOOD, "jwks": "http://id/keys"}], "over https"),
        ([{**GOOD, "jwks": "http://127.0.0.1.evil.example/keys"}], "over https"),
        ([{**GOOD, "jwks": "ftp://id/keys"}], "over https"),
        ([{**GOOD, "jwks": "https://me:secret@id/keys"}], "and no user"),
        ([{**GOOD, "algorithms": ["HS256"]}], "'HS256' is no algorithm for keys of a JWK set"),
        ([{**GOOD, "algorithms": ["none"]}], "'none' is no algorithm"),
        (
            [{**without("jwks"), "secret_file": "/run/secret", "algorithms": ["RS256"]}],
            "'RS256' is no algorithm for a shared secret",
        ),
        ([{**GOOD, "services": {"feed": ["act-as", "node"]}}], "for processes of Plaudit alone"),
        ([{**GOOD, "tenants": ["a"]}], "there is none"),
        ([{**GOOD, "tenant": "a b"}], "ISSUERS__0__TENANT: "),
        ([{**GOOD, "leeway": 3600}], "ISSUERS__0__LEEWAY: "),
        ([{**GOOD, "audiance": "x"}], "ISSUERS__0__AUDIANCE: there is no such setting"),
        ("not JSON", "this is no JSON list of issuers"),
    ],
)
def test_an_invalid_setting_is_named(issuers: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = issuers if isinstance(issuers, str) else json.dumps(issuers)
    monkeypatch.setenv("PLAUDIT_IDENTITY__ISSUERS", text)
    with pytest.raises(BadSettings) as caught:
        load()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "content", "said"),
    [
        ({"jwks": "{file}"}, None, "cannot be read"),
        ({"jwks": "{file}"}, "{}", "this is no JSON Web Key Set"),
        ({"jwks": "", "secret_file": "{file}"}, None, "cannot be read"),
        ({"jwks": "", "secret_file": "{file}"}, "too short", "has fewer than 32 bytes"),
    ],
)
def test_an_invalid_file_ends_the_start_with_one_line(
    tmp_path: Path, changes: dict[str, str], content: str | None, said: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    issuer = {**GOOD, **{name: value.format(file=file) for name, value in changes.items()}}
    done = Stack(tmp_path / "data", IDENTITY__ISSUERS=json.dumps([issuer])).run("up")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("plaudit: ")
    assert said in last
    assert done.stdout == ""
