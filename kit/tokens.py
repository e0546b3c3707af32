"""Bearer tokens: Ed25519 JWTs of the `at+jwt` type, minted and verified here and nowhere else."""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kit.errors import Unauthenticated
from kit.ids import new_id

ISSUER = AUDIENCE = "plaudit"
TYPE = "at+jwt"
ALGORITHM = "EdDSA"
MAX_TOKEN_BYTES = 4096
MAX_LIFETIME = 366 * 24 * 3600.0  # a service token may live a year
MAX_NODE_LIFETIME = 300.0
LEEWAY = 5.0
_SKEW = 60.0
NODE = "node"
"""The kind of the token of a process of the system, and the scope that only such a token has."""
_NODE_SCOPES = f"act-as tenants {NODE}"
_CACHED_TOKENS = 65_536
_ID = re.compile(r"[A-Za-z0-9_.~-]{1,64}")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a token speaks for: a user, or where `service` the service of that name. `expires` is in Unix seconds.

    A node is a service with the scope `node`, which no other token may have; its token is good for one `method` only.
    """

    tenant: str
    subject: str
    service: bool
    scopes: frozenset[str]
    expires: float
    token_id: str
    method: str = ""


def _refused() -> Unauthenticated:
    # One constant message: a token's fault is nobody's business but the operator's.
    return Unauthenticated("the token is missing or not valid")


class Verifier:
    """Verifies tokens against the public keys it was given, by key id."""

    def __init__(self, keys: dict[str, Ed25519PublicKey], revoked_file: Path | None = None) -> None:
        self._keys = keys
        self._cache: dict[str, Principal] = {}
        self._revoked_file = revoked_file
        self._revoked: frozenset[str] = frozenset()
        self._revoked_at = (0.0, 0)
        self._next_look = 0.0

    def verify(self, token: str, now: float | None = None) -> Principal:
        """The token's principal; raises Unauthenticated, always with the same message. `now` in Unix seconds."""
        if now is None:
            now = time.time()
        principal = self._cache.get(token)
        if principal is None:
            principal = self._parse(token, now)
            if len(self._cache) >= _CACHED_TOKENS:
                for old in list(self._cache)[: _CACHED_TOKENS // 2]:
                    del self._cache[old]
            self._cache[token] = principal
        if self.is_over(principal, now):
            raise _refused()
        return principal

    def revocations(self, now: float) -> frozenset[str]:
        """The ids of revoked tokens; the same object for as long as they stay the same."""
        if now >= self._next_look:
            self._load_revoked(now)
        return self._revoked

    def is_over(self, principal: Principal, now: float) -> bool:
        """Whether a token that was once valid has expired or been revoked since."""
        return principal.expires <= now or principal.token_id in self.revocations(now)

    def _load_revoked(self, now: float) -> None:
        self._next_look = now + 1.0
        if self._revoked_file is None:
            return
        try:
            found = self._revoked_file.stat()
        except FileNotFoundError:
            self._revoked, self._revoked_at = self._revoked and frozenset(), (0.0, 0)
            return
        if (found.st_mtime, found.st_size) != self._revoked_at:
            self._revoked_at = (found.st_mtime, found.st_size)
            self._revoked = frozenset(self._revoked_file.read_text("utf-8").split())

    def _parse(self, token: str, now: float) -> Principal:
        try:
            return self._checked(token, now)
        except Unauthenticated:
            raise
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
            raise _refused() from None

    def _checked(self, token: str, now: float) -> Principal:
        if len(token) > MAX_TOKEN_BYTES:
            raise _refused()
        segments = token.split(".")
        if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise _refused()
        header, claims = _object(segments[0]), _object(segments[1])
        if set(header) != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise _refused()
        key_id = header["kid"]
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id) or key_id not in self._keys:
            raise _refused()
        jwt.decode(
            token,
            self._keys[key_id],
            algorithms=[ALGORITHM],
            # Times are checked below against the clock we were given.
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
        )
        return _principal(claims, now)


def _object(segment: str) -> dict[str, Any]:
    """One JOSE segment as a dict; raises where it is no JSON object or names a member twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise _refused()
        return members

    raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    value = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=lambda _: None)
    if not isinstance(value, dict):
        raise _refused()
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 53:
        raise _refused()
    return float(value)


def _identifier(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise _refused()
    return value


def _principal(claims: dict[str, Any], now: float) -> Principal:
    if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
        raise _refused()
    expires, issued = _number(claims["exp"]), _number(claims["iat"])
    if issued > now + LEEWAY or expires <= now or expires - issued > MAX_LIFETIME:
        raise _refused()
    if "nbf" in claims and _number(claims["nbf"]) > now + LEEWAY:
        raise _refused()
    scope = claims.get("scope", "")
    kind = claims.get("kind")
    if not isinstance(scope, str) or kind not in ("user", "service", NODE):
        raise _refused()
    scopes, method = frozenset(scope.split()), claims.get("method", "")
    if (NODE in scopes) != (kind == NODE) or not isinstance(method, str) or bool(method) != (kind == NODE):
        raise _refused()
    if kind == NODE and expires - issued > MAX_NODE_LIFETIME:
        raise _refused()
    return Principal(
        tenant=_identifier(claims["tenant"]),
        subject=_identifier(claims["sub"]),
        service=kind != "user",
        scopes=scopes,
        expires=expires,
        token_id=_identifier(claims["jti"]),
        method=method,
    )


class Minter:
    """Mints tokens with the private key it was given."""

    def __init__(self, key: Ed25519PrivateKey, key_id: str) -> None:
        self._key = key
        self._key_id = key_id

    def mint_user(self, user: str, tenant: str = "default", ttl: float = 24 * 3600.0) -> str:
        """A token for a user, valid for `ttl` seconds."""
        return self._mint(user, tenant, "user", "", ttl)

    def mint_service(
        self, name: str, scopes: tuple[str, ...] = ("act-as",), tenant: str = "default", ttl: float = 30 * 24 * 3600.0
    ) -> str:
        """A token for a service, valid for `ttl` seconds.

        With the scope `act-as` it may act for users of its tenant, with `tenants` beside it for those of any.
        """
        return self._mint(name, tenant, "service", " ".join(scopes), ttl)

    def mint_node(self, name: str, method: str, ttl: float = MAX_NODE_LIFETIME - _SKEW) -> str:
        """A token for a process of the system and calls of `/package.Service/Method`, valid for `ttl` seconds.

        It is valid for a minute already, so that a node whose clock is behind takes it.
        """
        return self._mint(name, "default", NODE, _NODE_SCOPES, ttl, _SKEW, method=method)

    def _mint(self, subject: str, tenant: str, kind: str, scope: str, ttl: float, age: float = 0.0, **more: str) -> str:
        if not _ID.fullmatch(subject) or not _ID.fullmatch(tenant):
            raise ValueError("names are 1 to 64 of A-Z a-z 0-9 _ . ~ -")
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "tenant": tenant,
            "kind": kind,
            "scope": scope,
            "iat": now - int(age),
            "exp": now + int(ttl),
            "jti": new_id(),
            **more,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": self._key_id})


class NodeTokens:
    """The tokens of a process of the system, by method; minted anew before they end."""

    def __init__(self, minter: Minter, name: str = NODE) -> None:
        self._minter = minter
        self._name = name
        self._held: dict[str, tuple[str, float]] = {}

    def __call__(self, method: str) -> str:
        """A token for calls of `/package.Service/Method`."""
        token, until = self._held.get(method, ("", 0.0))
        if time.monotonic() > until:
            token = self._minter.mint_node(self._name, method)
            until = time.monotonic() + (MAX_NODE_LIFETIME - _SKEW) / 2
            self._held[method] = token, until
        return token
