"""Bearer tokens: Ed25519 JWTs of the `at+jwt` type, minted and verified here.

Tokens of other issuers are verified by `kit.auth.issuers`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kit.auth.jose import MAX_LIFETIME, ExpiredTokenRefused, TokenRefused, UnknownKey, Unverified, read
from kit.auth.refusals import RefusalLog
from kit.auth.revocations import Revocations
from kit.ids import new_id

ISSUER = AUDIENCE = "plaudit"
TYPE = "at+jwt"
ALGORITHM = "EdDSA"
MAX_NODE_LIFETIME = 300.0
LEEWAY = 5.0
_SKEW = 60.0
NODE = "node"
"""The kind of the token of a process of the system, and the scope that only such a token has."""
USER_SCOPES = frozenset({"export", "moderate"})
"""The scopes that a token of a user may have; every other one is for services."""
NO_SCOPES: frozenset[str] = frozenset()
"""The scopes of most users, shared by all of them: each empty set that is made takes 216 bytes."""
_NODE_SCOPES = f"act-as tenants {NODE}"
_CACHED_TOKENS = 65_536
_ID = re.compile(r"[A-Za-z0-9_.~-]{1,64}")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Times are checked against the injected clock, and audiences per issuer.
UNCHECKED = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "sub", "jti")}


@dataclass(frozen=True, slots=True)
class Principal:
    """The identity in a token: a user, or, where `service`, a service. `expires` and `issued` are in Unix seconds; 0:
    the token does not say when it was issued.

    A node is a service with the scope `node`, which no other token may have; its token is valid for one `method` only.
    """

    tenant: str
    subject: str
    service: bool
    scopes: frozenset[str]
    expires: float
    token_id: str
    method: str = ""
    issued: float = 0.0


class ForeignIssuers(Protocol):
    """The identity providers whose tokens are accepted, too: `kit.auth.issuers.Issuers`."""

    @property
    def version(self) -> int:
        """Grows whenever their keys change."""
        ...

    def names(self) -> frozenset[str]:
        """The values of the claim `iss` in their tokens."""
        ...

    def verify(self, token: str, unverified: Unverified, now: float) -> Principal:
        """The principal of a token of one of them. Raises TokenRefused; UnknownKey where another attempt may
        succeed."""
        ...


class Verifier:
    """Verifies our tokens with our public keys, by key id, and those of other issuers with theirs."""

    def __init__(
        self,
        keys: Mapping[str, Ed25519PublicKey],
        revoked_file: Path | None = None,
        issuers: ForeignIssuers | None = None,
    ) -> None:
        self._keys = keys
        self._issuers = issuers
        self._foreign = issuers.names() if issuers is not None else frozenset()
        self._version = issuers.version if issuers is not None else 0
        self._cache: dict[str, Principal] = {}
        self._revocations = Revocations(revoked_file)
        self._refusals = RefusalLog()

    def verify(self, token: str, now: float | None = None, *, fetched: bool = False) -> Principal:
        """The token's principal; raises TokenRefused, always with the same message. `now` in Unix seconds.

        After UnknownKey the keys can be fetched and the token verified once more, with `fetched`: an unknown key is
        then refused for good.
        """
        if now is None:
            now = time.time()
        try:
            return self._verify(token, now)
        except UnknownKey as unknown:
            if not fetched:
                raise
            self.refused(unknown.cause, token, now)
            raise TokenRefused(unknown.cause) from None
        except TokenRefused as refused:
            self.refused(refused.cause, token, now)
            raise

    def refused(self, cause: str, token: str, now: float) -> None:
        """Counts and logs a refused token; `verify` has done that already for those it refuses."""
        self._refusals.refused(cause, self._issuer_of(token), now)

    def revocations(self, now: float) -> frozenset[str]:
        """The ids of revoked tokens; the same object as long as they do not change."""
        return self._revocations.ids(now)

    def is_over(self, principal: Principal, now: float) -> bool:
        """Whether a token that was once valid has expired or been revoked since."""
        return principal.expires <= now or principal.token_id in self.revocations(now)

    def _verify(self, token: str, now: float) -> Principal:
        if self._issuers is not None and self._version != self._issuers.version:
            self._version = self._issuers.version
            self._cache.clear()
        principal = self._cache.get(token)
        if principal is None:
            principal = self._parse(token, now)
            if len(self._cache) >= _CACHED_TOKENS:
                for old in list(self._cache)[: _CACHED_TOKENS // 2]:
                    del self._cache[old]
            self._cache[token] = principal
        if principal.token_id in self.revocations(now):
            raise TokenRefused("revoked")
        if principal.expires <= now:
            raise ExpiredTokenRefused("expired")
        return principal

    def _parse(self, token: str, now: float) -> Principal:
        unverified = read(token)
        try:
            issuer = unverified.claims.get("iss")
            if self._issuers is not None and isinstance(issuer, str) and issuer in self._foreign:
                return self._issuers.verify(token, unverified, now)
            return self._own(token, unverified, now)
        except jwt.InvalidSignatureError:
            raise TokenRefused("signature") from None
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
            raise TokenRefused("malformed") from None

    def _own(self, token: str, unverified: Unverified, now: float) -> Principal:
        header = unverified.header
        if unverified.claims.get("iss") != ISSUER:
            raise TokenRefused("unknown_issuer")
        if set(header) != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise TokenRefused("header")
        key_id = header["kid"]
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id) or key_id not in self._keys:
            raise TokenRefused("unknown_key")
        jwt.decode(token, self._keys[key_id], algorithms=[ALGORITHM], options=UNCHECKED)  # type: ignore[arg-type]
        return _principal(unverified.claims, now)

    def _issuer_of(self, token: str) -> str:
        try:
            named = read(token).claims.get("iss")
        except TokenRefused:
            return ""
        return named if isinstance(named, str) and (named == ISSUER or named in self._foreign) else ""


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 53:
        raise TokenRefused("bad_claims")
    return float(value)


def _identifier(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise TokenRefused("bad_claims")
    return value


def _principal(claims: dict[str, Any], now: float) -> Principal:
    if claims.get("aud") != AUDIENCE:
        raise TokenRefused("audience")
    expires, issued = _number(claims["exp"]), _number(claims["iat"])
    if expires - issued > MAX_LIFETIME:
        raise TokenRefused("lives_too_long")
    if issued > now + LEEWAY or ("nbf" in claims and _number(claims["nbf"]) > now + LEEWAY):
        raise TokenRefused("not_yet_valid")
    scope = claims.get("scope", "")
    kind = claims.get("kind")
    if not isinstance(scope, str) or kind not in ("user", "service", NODE):
        raise TokenRefused("bad_claims")
    scopes, method = frozenset(scope.split()), claims.get("method", "")
    if (NODE in scopes) != (kind == NODE) or not isinstance(method, str) or bool(method) != (kind == NODE):
        raise TokenRefused("bad_claims")
    if kind == NODE and expires - issued > MAX_NODE_LIFETIME:
        raise TokenRefused("lives_too_long")
    made = Principal(
        tenant=_identifier(claims["tenant"]),
        subject=_identifier(claims["sub"]),
        service=kind != "user",
        scopes=(scopes if kind != "user" else scopes & USER_SCOPES) or NO_SCOPES,
        expires=expires,
        token_id=_identifier(claims["jti"]),
        method=method,
        issued=issued,
    )
    if expires <= now:
        raise ExpiredTokenRefused("expired")
    return made


class Minter:
    """Mints tokens with a private key."""

    def __init__(self, key: Ed25519PrivateKey, key_id: str) -> None:
        self._key = key
        self._key_id = key_id

    def mint_user(
        self, user: str, tenant: str = "default", ttl: float = 24 * 3600.0, scopes: tuple[str, ...] = ()
    ) -> str:
        """A token for a user, valid for `ttl` seconds; `scopes`: of `USER_SCOPES`."""
        return self._mint(user, tenant, "user", " ".join(scopes), ttl)

    def mint_service(
        self, name: str, scopes: tuple[str, ...] = ("act-as",), tenant: str = "default", ttl: float = 30 * 24 * 3600.0
    ) -> str:
        """A token for a service, valid for `ttl` seconds.

        With the scope `act-as` it may act for users of its tenant, and with `tenants` in addition for users of any
        tenant."""
        return self._mint(name, tenant, "service", " ".join(scopes), ttl)

    def mint_node(self, name: str, method: str, ttl: float = MAX_NODE_LIFETIME - _SKEW) -> str:
        """A token for a process of the system and calls of `/package.Service/Method`, valid for `ttl` seconds.

        Its issue time is a minute ago, so that a node with a slow clock accepts it.
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
    """The tokens of this process, by method; replaced before they expire."""

    def __init__(self, minter: Minter, name: str = NODE) -> None:
        self._minter = minter
        self._name = name
        self._tokens: dict[str, tuple[str, float]] = {}

    def __call__(self, method: str) -> str:
        """A token for calls of `/package.Service/Method`."""
        token, until = self._tokens.get(method, ("", 0.0))
        if time.monotonic() > until:
            token = self._minter.mint_node(self._name, method)
            until = time.monotonic() + (MAX_NODE_LIFETIME - _SKEW) / 2
            self._tokens[method] = token, until
        return token
