"""`plaudit token`: verify, show, revoke."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from kit.auth.jose import fingerprint
from kit.auth.keys import Keys, open_keys
from kit.errors import Unauthenticated
from stack.cli import app

KEY = Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def _no_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # They go to the stderr of a process, which here is another one with every command.
    monkeypatch.setattr("stack.process.logs.configure_logging", lambda level: None)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(name="keys")
def fixture_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setenv("PLAUDIT_DATA", str(tmp_path))
    jwks = tmp_path / "jwks.json"
    member = {**jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k"}
    member.pop("key_ops", None)
    jwks.write_text(json.dumps({"keys": [member]}))
    issuer = {"issuer": "https://id", "audience": "app", "jwks": str(jwks), "tenant": "acme"}
    monkeypatch.setenv("PLAUDIT_IDENTITY__ISSUERS", json.dumps([issuer]))
    return open_keys(tmp_path / "keys")


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(app, ["token", *arguments], input=text)


def foreign(**changes: Any) -> str:
    claims = {"iss": "https://id", "aud": "app", "sub": "auth0|al", "exp": int(time.time()) + 600, **changes}
    return jwt.encode(claims, KEY, "EdDSA", headers={"kid": "k"})


def test_a_valid_token_is_reported_as_valid(keys: Keys) -> None:
    mine = run("verify", keys.minter().mint_user("alice"))
    assert (mine.exit_code, mine.output.partition(",")[0]) == (0, "valid: user alice of tenant default")
    service = run("verify", keys.minter().mint_service("feed", ("act-as", "audit")))
    assert service.output.startswith("valid: service feed of tenant default with act-as audit, until ")
    theirs = json.loads(run("verify", foreign(), "--json").stdout)
    assert (theirs["valid"], theirs["name"], theirs["tenant"]) == (True, "auth0~7cal", "acme")


def test_a_token_may_be_read_from_standard_input_with_its_scheme(keys: Keys) -> None:
    token = keys.minter().mint_user("alice")
    for text in (token, f"{token}\n", f"Bearer {token}\n"):
        assert run("verify", "-", text=text).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "other"}, "meant for another audience"),
        ({"exp": 1_000_000_000}, "it has expired"),
        ({"iss": "https://other"}, "issuer is not trusted"),
        ({"sub": 7}, "a claim is missing"),
    ],
)
def test_an_error_is_reported_in_one_line_and_by_the_exit_code(keys: Keys, changes: dict[str, Any], why: str) -> None:
    said = run("verify", foreign(**changes))
    assert (said.exit_code, said.stdout) == (1, "")
    assert why in said.stderr
    assert said.stderr.count("\n") == 1
    found = run("verify", foreign(**changes), "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["valid"] is False


def test_a_malformed_token_is_refused(keys: Keys) -> None:
    for command in ("verify", "show", "revoke"):
        said = run(command, "garbage")
        assert (said.exit_code, said.stdout) == (1, "")
        assert "no JSON Web Token" in said.stderr


def test_unreadable_keys_of_an_issuer_are_reported_in_one_line(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = {"issuer": "https://id", "audience": "app", "jwks": "/nowhere/keys.json"}
    monkeypatch.setenv("PLAUDIT_IDENTITY__ISSUERS", json.dumps([issuer]))
    said = run("verify", keys.minter().mint_user("alice"))
    assert (said.exit_code, "/nowhere/keys.json cannot be read" in said.stderr) == (1, True)


def test_a_token_is_shown_unverified_with_the_user_it_would_identify(keys: Keys) -> None:
    head, claims, _ = foreign(exp=1_000_000_000).split(".")
    shown = run("show", f"{head}.{claims}.AAAA")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "not verified"
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["user", "auth0~7cal"],
        ["tenant", "acme"],
        ["expires", "2001-09-09T01:46:40+00:00"],
    ]
    found = json.loads(run("show", foreign(), "--json").stdout)
    assert (found["verified"], found["claims"]["sub"]) == (False, "auth0|al")


@pytest.mark.parametrize("by_id", [False, True])
def test_a_revoked_token_is_refused_by_servers_and_revoked_once(keys: Keys, by_id: bool) -> None:
    (keys.folder / "revoked").write_text("somebody-elses")  # without a line end
    now = time.time()
    for token, token_id in (
        (made := keys.minter().mint_user("alice"), keys.verifier().verify(made).token_id),
        (made := foreign(), fingerprint(made)),
    ):
        arguments = ("--id", token_id) if by_id else ("-",)
        assert run("revoke", *arguments, text=token).output.startswith(f"revoked: {token_id}, in ")
        assert run("revoke", *arguments, text=token).output.startswith("revoked already: ")
        verified = run("verify", token)
        assert (verified.exit_code, "it was revoked" in verified.stderr) == (1, True)
    verifier = keys.verifier()
    assert len(verifier.revocations(now)) == 3
    assert "somebody-elses" in verifier.revocations(now)
    other = keys.minter().mint_user("alice")
    assert verifier.verify(other).subject == "alice"


def test_the_last_revocations_stay_in_force_while_their_file_cannot_be_read(keys: Keys) -> None:
    token = keys.minter().mint_user("alice")
    verifier, now = keys.verifier(), time.time()
    run("revoke", token)
    keys.revoked_file.chmod(0o600)
    with pytest.raises(Unauthenticated):
        verifier.verify(token, now)
    keys.revoked_file.unlink()
    keys.revoked_file.mkdir()
    with pytest.raises(Unauthenticated):
        verifier.verify(token, now + 5)


def test_revoke_needs_a_token_or_an_id_and_not_both(keys: Keys) -> None:
    for arguments in ((), ("a.b.c", "--id", "x"), ("--id", "no id"), ("--id", "x\ny")):
        said = run("revoke", *arguments)
        assert (said.exit_code, said.stdout) == (1, "")
    assert not keys.revoked_file.exists()


def test_a_scope_that_no_contract_names_is_refused(keys: Keys) -> None:
    for wrong in ("nonsense", "", "node"):
        refused = run("mint", "feed", "--service", "--scope", "audit", "--scope", wrong)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert (
            f"there is no scope {wrong!r}; the scopes are act-as, tenants, audit, erase, export, moderate, sessions"
            in refused.stderr
        )
    for good in ("act-as", "tenants", "audit", "erase", "export", "moderate", "sessions"):
        assert run("mint", "feed", "--service", "--scope", good).exit_code == 0


def test_a_token_of_a_user_has_no_scopes_of_services(keys: Keys) -> None:
    token = run("mint", "alice", "--scope", "moderate").stdout.strip()
    assert keys.verifier().verify(token).scopes == {"moderate"}
    refused = run("mint", "alice", "--scope", "audit")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "--service" in refused.stderr


def test_the_log_level_of_servers_adds_no_lines_to_the_answer(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[str] = []
    monkeypatch.setattr("stack.process.logs.configure_logging", levels.append)
    monkeypatch.setenv("PLAUDIT_LOG", "debug")
    assert run("verify", keys.minter().mint_user("alice")).exit_code == 0
    assert levels == ["warning"]
