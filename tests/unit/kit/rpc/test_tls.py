"""Certificates that cannot serve are refused at the start, in one line that names the setting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from kit.engine_url import CannotUse
from kit.rpc.tls import Tls, TlsSettings, check, open_tls
from stack import certs


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    certs.make(tmp_path)
    return tmp_path


def service(folder: Path) -> Tls:
    return Tls(folder / "ca.pem", folder / "service.pem", folder / "service.key")


def refused(tls: Tls, now: datetime | None = None) -> str:
    with pytest.raises(CannotUse) as caught:
        check(tls, now)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_settings_tls_is_off() -> None:
    assert open_tls(TlsSettings()) is None


def test_a_generated_certificate_is_usable(folder: Path) -> None:
    settings = TlsSettings(ca=folder / "ca.pem", cert=folder / "service.pem", key=folder / "service.key")
    assert open_tls(settings) == service(folder)


@pytest.mark.parametrize("given", [{"ca"}, {"cert"}, {"key"}, {"ca", "cert"}, {"cert", "key"}])
def test_incomplete_settings_are_refused_with_the_missing_one(given: set[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        TlsSettings.model_validate(dict.fromkeys(given, "x.pem"))
    for name in {"ca", "cert", "key"} - given:
        assert f"PLAUDIT_TLS__{name.upper()}" in str(caught.value)


def test_a_missing_file_is_named(folder: Path) -> None:
    assert refused(Tls(folder / "no.pem", folder / "service.pem", folder / "service.key")) == (
        f"PLAUDIT_TLS__CA: cannot read {folder / 'no.pem'}: No such file or directory"
    )


@pytest.mark.parametrize("field", ["ca", "cert", "key"])
def test_a_file_that_is_not_pem_is_named(folder: Path, field: str) -> None:
    (folder / "junk").write_text("junk")
    files = {"ca": folder / "ca.pem", "cert": folder / "service.pem", "key": folder / "service.key"}
    assert refused(Tls(**files | {field: folder / "junk"})).startswith(f"PLAUDIT_TLS__{field.upper()}: ")


def test_a_key_of_another_certificate_is_refused(folder: Path) -> None:
    assert "is not the key of" in refused(Tls(folder / "ca.pem", folder / "service.pem", folder / "edge.key"))


def test_expired_and_not_yet_valid_tokens_are_distinguished(folder: Path) -> None:
    now = datetime.now(UTC)
    assert "service.pem expired on" in refused(service(folder), now + timedelta(days=366))
    assert "is not valid before" in refused(service(folder), now - timedelta(days=1))


def test_another_authority_is_refused(folder: Path, tmp_path: Path) -> None:
    certs.make(tmp_path / "other")
    mixed = Tls(tmp_path / "other" / "ca.pem", folder / "service.pem", folder / "service.key")
    assert "was not signed by" in refused(mixed)


def test_the_edges_certificate_does_not_serve_a_service(folder: Path) -> None:
    assert "is not for the name plaudit.internal" in refused(
        Tls(folder / "ca.pem", folder / "edge.pem", folder / "edge.key")
    )


def test_an_old_authority_may_be_trusted_in_addition_to_the_new_one(folder: Path, tmp_path: Path) -> None:
    certs.make(tmp_path / "new")
    both = tmp_path / "both.pem"
    both.write_bytes((tmp_path / "new" / "ca.pem").read_bytes() + (folder / "ca.pem").read_bytes())
    check(Tls(both, folder / "service.pem", folder / "service.key"))
