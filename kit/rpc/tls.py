"""Mutual TLS between the processes of the system: one authority, which signs the certificate of each node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kit.engine_url import CannotUse

log = structlog.get_logger()

SERVER_NAME = "plaudit.internal"
"""The name in the certificate of every service: nodes are verified by their authority, not by their address."""
_NAMES = {"ca": "PLAUDIT_TLS__CA", "cert": "PLAUDIT_TLS__CERT", "key": "PLAUDIT_TLS__KEY"}


class TlsSettings(BaseModel):
    """The files of the certificates; all three, or none for plain connections."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca: Path | None = Field(
        default=None, description="The authority's certificate, PEM; who has one of its own is a service."
    )
    cert: Path | None = Field(
        default=None, description="This node's certificate, PEM, with what links it to the authority."
    )
    key: Path | None = Field(default=None, description="The key of the certificate, PEM without a passphrase.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        missing = [name for field, name in _NAMES.items() if getattr(self, field) is None]
        if missing and len(missing) < len(_NAMES):
            raise ValueError(f"TLS is half-configured: {' and '.join(missing)} is missing; set all three, or none")
        return self


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate files of a node, which were valid when it started. Made by `open_tls`."""

    ca: Path
    cert: Path
    key: Path

    def server_credentials(self) -> Any:
        """For a server that only services may connect to. New connections use the files as they are then."""
        current = self._read()
        configuration = _for_server(current)

        def newest() -> Any:
            nonlocal current
            try:
                found = self._read()
                if found == current:
                    return None  # nothing has changed
                check(self)
            except (CannotUse, OSError) as error:
                # An incomplete or invalid rotation: the old certificate stays in use.
                log.error("new certificate not used", why=str(error))
                return None
            current = found
            return _for_server(found)

        return grpc.dynamic_ssl_server_credentials(configuration, newest, require_client_authentication=True)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a channel to a service, with the files as they are now."""
        ca, cert, key = self._read()
        return grpc.ssl_channel_credentials(ca, key, cert)

    def _read(self) -> tuple[bytes, bytes, bytes]:
        return self.ca.read_bytes(), self.cert.read_bytes(), self.key.read_bytes()


CHANNEL_OPTIONS = (("grpc.ssl_target_name_override", SERVER_NAME),)
"""Options of a channel with `Tls.channel_credentials`: all nodes have the same name, at any address."""


def _for_server(files: tuple[bytes, bytes, bytes]) -> Any:
    ca, cert, key = files
    return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)


def open_tls(settings: TlsSettings) -> Tls | None:
    """The certificates of this node, None where there is no TLS; raises CannotUse, which names the setting."""
    if settings.ca is None or settings.cert is None or settings.key is None:
        return None
    tls = Tls(settings.ca, settings.cert, settings.key)
    check(tls)
    return tls


def check(tls: Tls, now: datetime | None = None) -> None:
    """Raises CannotUse where these files cannot serve a node at this time."""
    now = now or datetime.now(UTC)
    authorities = _certificates(tls.ca, "ca")
    own, *links = _certificates(tls.cert, "cert")
    try:
        key: Any = load_pem_private_key(_content(tls.key, "key"), None)
    except (ValueError, TypeError):
        raise _bad("key", f"{tls.key} is not a private key in PEM without a passphrase") from None
    if _public(key.public_key()) != _public(own.public_key()):
        raise _bad("key", f"{tls.key} is not the key of the certificate {tls.cert}")
    for field, path, certificates in (("ca", tls.ca, authorities), ("cert", tls.cert, [own, *links])):
        for certificate in certificates:
            _check_time(field, path, certificate, now)
    if not _vouched_for(own, links, authorities):
        raise _bad("cert", f"{tls.cert} was not signed by the authority {tls.ca}")
    _check_use(tls.cert, own)


def _check_time(field: str, path: Path, certificate: x509.Certificate, now: datetime) -> None:
    if certificate.not_valid_after_utc <= now:
        raise _bad(field, f"{path} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if certificate.not_valid_before_utc > now:
        raise _bad(field, f"{path} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


def _check_use(path: Path, own: x509.Certificate) -> None:
    names: Sequence[str] = ()
    try:
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
        uses = set(own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        uses = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}  # none named: any
    if SERVER_NAME not in names:
        raise _bad("cert", f"{path} is not for the name {SERVER_NAME}, which every service has")
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} <= uses:
        raise _bad("cert", f"{path} must be for both ends of a connection (serverAuth and clientAuth)")


def _vouched_for(
    own: x509.Certificate, links: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> bool:
    last = own
    for link in links:
        if link not in authorities and not _signed(last, link):
            return False
        last = link
    return last in authorities or any(_signed(last, authority) for authority in authorities)


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _public(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _certificates(path: Path, field: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content(path, field))
    except ValueError:
        raise _bad(field, f"{path} is not a certificate in PEM") from None


def _content(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _bad(field, f"cannot read {path}: {error.strerror}") from None


def _bad(field: str, why: str) -> CannotUse:
    return CannotUse(f"{_NAMES[field]}: {why}")
