"""Reads JSON Web Tokens strictly. The cause of a refusal is for logs and operators; callers get one constant
message."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from kit.errors import TokenExpired, Unauthenticated

MAX_TOKEN_BYTES = 4096
MAX_LIFETIME = 366 * 24 * 3600.0  # a service token may live a year
MESSAGE = "the token is missing or not valid: send Authorization: Bearer <token>; `plaudit token mint` makes one"
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")


class TokenRefused(Unauthenticated):
    """A token is refused. `cause` is for logs and metrics, from a fixed set; callers do not get it."""

    def __init__(self, cause: str) -> None:
        super().__init__(MESSAGE)
        self.cause = cause


class ExpiredTokenRefused(TokenRefused, TokenExpired):
    """An expired token whose signature is valid."""


class UnknownKey(TokenRefused):
    """The key that has signed a token may be a new one: await `fetch`, then verify once more with `fetched`.

    `fetch` raises `kit.errors.Unavailable` where the keys cannot be fetched now.
    """

    def __init__(self, fetch: Callable[[], Awaitable[None]]) -> None:
        super().__init__("unknown_key")
        self.fetch = fetch


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token's header and claims, of which nothing was verified."""

    header: dict[str, Any]
    claims: dict[str, Any]


def read(token: str) -> Unverified:
    """Reads a token's form. Raises TokenRefused."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefused("too_long")
    segments = token.split(".")
    if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise TokenRefused("malformed" if token else "missing")
    try:
        return Unverified(_object(segments[0]), _object(segments[1]))
    except (ValueError, RecursionError):
        raise TokenRefused("malformed") from None


def fingerprint(token: str) -> str:
    """Names a token in 32 hexadecimal digits, without its signature: some algorithms have two for one key and text."""
    return sha256(token.rpartition(".")[0].encode()).hexdigest()[:32]


def time_of(value: object) -> float:
    """A NumericDate (RFC 7519, section 2) in Unix seconds. Raises TokenRefused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1 << 53:
        raise TokenRefused("bad_claims")
    return float(value)


def _object(segment: str) -> dict[str, Any]:
    """One segment as a dict; raises ValueError where it is no JSON object or names a member twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("a member is there twice")
        return members

    raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=lambda _: None)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value
