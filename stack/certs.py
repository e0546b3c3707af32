"""Creates the certificates of an installation: an authority, one for the services, one for the edge."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kit.rpc.tls import SERVER_NAME

CA, CA_KEY = "ca.pem", "ca.key"
SERVICE, SERVICE_KEY = "service.pem", "service.key"
EDGE, EDGE_KEY = "edge.pem", "edge.key"
FILES = (CA, CA_KEY, SERVICE, SERVICE_KEY, EDGE, EDGE_KEY)
LOCAL = ("localhost", "127.0.0.1", "::1")
_AUTHORITY_DAYS = 3650
# Clocks of other machines may lag a little.
_CLOCK_SKEW = timedelta(minutes=5)


class WillNotOverwrite(Exception):
    """The files exist already; the message names one and what to do."""


def make(folder: Path, *, hosts: Sequence[str] = LOCAL, days: int = 365, overwrite: bool = False) -> list[Path]:
    """Writes the files, readable only by their owner; `hosts` are the names and addresses of the edge.

    An existing authority stays, so that certificates can be renewed node by node; `overwrite` replaces the others.
    Raises WillNotOverwrite, and ValueError if a host is not valid.
    """
    existing = [name for name in (SERVICE, SERVICE_KEY, EDGE, EDGE_KEY) if (folder / name).exists()]
    if existing and not overwrite:
        raise WillNotOverwrite(f"{folder / existing[0]} exists already; --overwrite replaces it")
    if (folder / CA).exists() != (folder / CA_KEY).exists():
        raise WillNotOverwrite(f"{folder} has only one of {CA} and {CA_KEY}; add the other, or remove it")
    names = [_name(host) for host in dict.fromkeys(hosts)]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _authority(folder)
    both = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    _issue(folder, SERVICE, authority, [x509.DNSName(SERVER_NAME)], both, days)
    # Clients verify the edge with this one. It cannot be used to connect to a service.
    _issue(folder, EDGE, authority, names, both[:1], days)
    return [folder / name for name in FILES]


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.removeprefix("*.").split(".")
    if not all(label and label.isascii() and label.replace("-", "").isalnum() for label in labels):
        raise ValueError(f"{host!r} is not a host name and not an address")
    return x509.DNSName(host)


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    if (folder / CA).exists():
        key = load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{folder / CA_KEY} is not a key of this command")
        return x509.load_pem_x509_certificate((folder / CA).read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name = _common_name("Plaudit authority")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder / CA_KEY, _private(key))
    _write(folder / CA, certificate.public_bytes(Encoding.PEM))
    return certificate, key


def _issue(
    folder: Path,
    name: str,
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    names: Sequence[x509.GeneralName],
    uses: Sequence[x509.ObjectIdentifier],
    days: int,
) -> None:
    ca, ca_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = (
        _builder(_common_name(f"Plaudit {Path(name).stem}"), ca.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(folder / Path(name).with_suffix(".key"), _private(key))
    _write(folder / name, certificate.public_bytes(Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    others = {"content_commitment", "key_encipherment", "data_encipherment", "key_agreement"}
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
        **dict.fromkeys(others, False),
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """Replaces the file atomically."""
    scratch = path.with_suffix(f"{path.suffix}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(scratch, path)
