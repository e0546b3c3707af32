"""The keys that sign and verify tokens, in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from kit.private import make_private, write_once
from kit.tokens import Minter, Verifier

_SIGNING = "signing.pem"


class BadKeys(Exception):
    """The folder has no keys, or something that is none; the message is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one folder: `signing.pem`, and a `<key id>.pub.pem` for every key that is still trusted."""

    folder: Path
    signing: Ed25519PrivateKey
    key_id: str
    trusted: dict[str, Ed25519PublicKey]

    def minter(self) -> Minter:
        """Mints with the signing key."""
        return Minter(self.signing, self.key_id)

    def verifier(self) -> Verifier:
        """Trusts every public key of the folder, and no token whose id stands in its file `revoked`."""
        return Verifier(self.trusted, self.folder / "revoked")


def key_id_of(key: Ed25519PublicKey) -> str:
    """A key's id: the first 16 hex digits of its SHA-256."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def open_keys(folder: Path) -> Keys:
    """Opens the keys in a folder; makes the first one where there is none. Raises BadKeys."""
    make_private(folder)
    if not (folder / _SIGNING).exists():
        fresh = Ed25519PrivateKey.generate()
        write_once(folder / _SIGNING, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return read_keys(folder)


def read_keys(folder: Path) -> Keys:
    """Opens the keys that a running system has in a folder. Raises BadKeys."""
    if not (folder / _SIGNING).exists():
        raise BadKeys(
            f"there are no keys in {folder}: start the system with `plaudit up`,"
            " or set PLAUDIT_DATA to the data folder of the one that runs"
        )
    signing = _signing(folder / _SIGNING)
    public = signing.public_key()
    own = folder / f"{key_id_of(public)}.pub.pem"
    if not own.exists():
        write_once(own, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    trusted = {path.name.removesuffix(".pub.pem"): _public(path) for path in folder.glob("*.pub.pem")}
    return Keys(folder, signing, key_id_of(public), trusted)


def _signing(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _bad(path, "private") from error
    except OSError as error:
        raise BadKeys(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _bad(path, "private")
    return key


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad(path, "public") from error
    except OSError as error:
        raise BadKeys(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _bad(path, "public")
    return key


def _bad(path: Path, kind: str) -> BadKeys:
    return BadKeys(f"{path} is not an Ed25519 {kind} key in PEM: put the right one there, or remove it")
