"""Page tokens: signed, bound to a query and a caller, and valid for a limited time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from kit.auth.keys import BadKeys
from kit.clock import Clock
from kit.errors import Invalid
from kit.private_files import make_private, write_once

MAX_BYTES = 512
_MAC_BYTES = 16
_SECRET_BYTES = 32
_EXPIRES = struct.Struct(">Q")


Row = TypeVar("Row")


class InvalidCursor(Invalid):
    """The page token was not issued for this query and caller, or is too old."""


class Cursors:
    """Signs positions into tokens and reads them again; works across processes with the same secret.

    `scope` is everything that the position is bound to: query, tenant, user, parameters. Tokens are valid for `ttl`
    seconds."""

    def __init__(self, secret: bytes, clock: Clock, ttl: float) -> None:
        self._secret = secret
        self._clock = clock
        self._ttl = ttl

    def seal(self, scope: Sequence[str], position: str) -> str:
        """The token of a position."""
        body = _EXPIRES.pack(int(self._clock.now() + self._ttl)) + position.encode()
        return base64.urlsafe_b64encode(self._mac(scope, body) + body).rstrip(b"=").decode()

    def open(self, scope: Sequence[str], token: str) -> str:
        """The position in a token; raises InvalidCursor, which does not say why."""
        try:
            raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        genuine = len(token) <= MAX_BYTES and hmac.compare_digest(mac, self._mac(scope, body))
        if not genuine or _EXPIRES.unpack_from(body)[0] < self._clock.now():
            raise InvalidCursor("the page token is not one of this query, or it is too old", field="page_token")
        return body[_EXPIRES.size :].decode()

    def page(
        self, scope: Sequence[str], found: Sequence[Row], size: int, position: Callable[[Row], str]
    ) -> tuple[Sequence[Row], str]:
        """The first `size` rows of those found, and the token of the next page: "" where no more were found."""
        rows = found[:size]
        return rows, self.seal(scope, position(rows[-1])) if len(found) > size else ""

    def _mac(self, scope: Sequence[str], body: bytes) -> bytes:
        # JSON, so that two scopes never have the same encoding.
        message = json.dumps(list(scope)).encode() + b"\0" + body
        return hmac.new(self._secret, message, hashlib.sha256).digest()[:_MAC_BYTES]


def page_size(asked: int, default: int, largest: int) -> int:
    """How many rows a page has at most; `asked` 0 or less: the default."""
    return min(asked, largest) if asked > 0 else default


def cursor_secret(folder: Path) -> bytes:
    """The secret in a folder, created on first use; processes that share the folder share it. Raises BadKeys."""
    make_private(folder)
    file = folder / "cursor.key"
    if not file.exists():
        write_once(file, secrets.token_bytes(_SECRET_BYTES))
    secret = file.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise BadKeys(f"{file} is not a key of {_SECRET_BYTES} bytes: put the right one there, or remove it")
    return secret
