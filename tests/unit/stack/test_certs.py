"""The certificates `plaudit certs` makes."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from kit.rpc.tls import Tls, check
from stack import certs


def test_all_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    made = certs.make(tmp_path / "certs")
    assert [path.name for path in made] == list(certs.FILES)
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    assert sorted(path.name for path in (tmp_path / "certs").iterdir()) == sorted(certs.FILES)


def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    certs.make(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(certs.WillNotOverwrite, match="--overwrite"):
        certs.make(tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_renewal_keeps_the_authority(tmp_path: Path) -> None:
    certs.make(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    certs.make(tmp_path, overwrite=True)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in before if before[name] == after[name]} == {"ca.pem", "ca.key"}
    check(Tls(tmp_path / "ca.pem", tmp_path / "service.pem", tmp_path / "service.key"))


def test_an_incomplete_authority_is_not_completed_with_another(tmp_path: Path) -> None:
    certs.make(tmp_path)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(certs.WillNotOverwrite, match=r"only one of ca\.pem"):
        certs.make(tmp_path, overwrite=True)


@pytest.mark.parametrize("host", ["", "a b", "-x/y", "täg.example", "a..b", "10.0.0.256.example/"])
def test_an_invalid_host_is_refused_before_any_file_is_written(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        certs.make(tmp_path / "new", hosts=[host])
    assert not (tmp_path / "new").exists()


def test_the_certificate_of_the_edge_has_the_given_hosts(tmp_path: Path) -> None:
    certs.make(tmp_path, hosts=["chat.example.com", "*.example.org", "10.1.2.3"])
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "edge.pem", tmp_path / "edge.key")

    def shaken(name: str) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client_side = context.wrap_bio(to_client, to_server, server_hostname=name)
        server_side = server.wrap_bio(to_server, to_client, server_side=True)
        for side in (client_side, server_side, client_side, server_side):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue

    for name in ("chat.example.com", "www.example.org", "10.1.2.3"):
        shaken(name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken("evil.example.com")
