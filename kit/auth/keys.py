"""The keys that sign and verify tokens, in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

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

from kit.auth.revocations import CannotRead
from kit.auth.tokens import ForeignIssuers, Minter, Verifier
from kit.private_files import make_private, write_once

_SIGNING = "signing.pem"


class BadKeys(Exception):
    """The folder has no keys, or an invalid one; the message is one line with what to do."""


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

    @property
    def revoked_file(self) -> Path:
        """The file of revoked tokens: see `kit.auth.revocations`."""
        return self.folder / "revoked"

    def verifier(self, issuers: ForeignIssuers | None = None) -> Verifier:
        """Trusts every public key of the folder and the issuers; refuses tokens whose ids are in its file `revoked`.

        Raises BadKeys where that file exists and cannot be read.
        """
        try:
            return Verifier(self.trusted, self.revoked_file, issuers)
        except CannotRead as error:
            raise BadKeys(f"{error}; correct it, or remove it if no token is revoked") from None


def key_id_of(key: Ed25519PublicKey) -> str:
    """A key's id: the first 16 hex digits of its SHA-256."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def open_keys(folder: Path) -> Keys:
    """Opens the keys in a folder; creates the first one if there is none. Raises BadKeys."""
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
    signing = _read(folder / _SIGNING, Ed25519PrivateKey, lambda pem: load_pem_private_key(pem, None))
    public = signing.public_key()
    own = folder / f"{key_id_of(public)}.pub.pem"
    if not own.exists():
        write_once(own, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    trusted = {
        path.name.removesuffix(".pub.pem"): _read(path, Ed25519PublicKey, load_pem_public_key)
        for path in folder.glob("*.pub.pem")
    }
    return Keys(folder, signing, key_id_of(public), trusted)


def _read(path: Path, kind: Any, load: Callable[[bytes], object]) -> Any:
    try:
        key = load(path.read_bytes())
    except OSError as error:
        raise BadKeys(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, kind):
        what = "private" if kind is Ed25519PrivateKey else "public"
        raise BadKeys(f"{path} is not an Ed25519 {what} key in PEM: put the right one there, or remove it")
    return key
