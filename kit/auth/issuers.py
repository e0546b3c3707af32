"""Verifies tokens of identity providers: their keys, their claims, and the users that they identify."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from kit.auth.identity import IssuerSettings
from kit.auth.jose import MAX_LIFETIME, ExpiredTokenRefused, TokenRefused, UnknownKey, Unverified, fingerprint, time_of
from kit.auth.jwks import CannotFetch, Key, KeySet, load_file, load_url, parse, read_file
from kit.auth.tokens import NO_SCOPES, UNCHECKED, Principal
from kit.auth.user_ids import escape
from kit.engine_url import CannotUse
from kit.tasks import background

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_MIN_SECRET_BYTES = 32
_SETTING = "PLAUDIT_IDENTITY__ISSUERS"


class _Issuer:
    """One provider, and its keys: a set, or a secret."""

    def __init__(self, settings: IssuerSettings, keys: KeySet | Key) -> None:
        self._settings = settings
        self.keys = keys

    def verify(self, token: str, unverified: Unverified, now: float) -> Principal:
        """See `tokens.ForeignIssuers`."""
        algorithm, key = self._key(unverified.header)
        jwt.decode(token, key, algorithms=[algorithm], options=UNCHECKED)  # type: ignore[arg-type]
        expires = self._checked(unverified.claims, now)
        return self._principal(unverified.claims, expires, fingerprint(token))

    def _key(self, header: dict[str, Any]) -> tuple[str, Any]:
        """The algorithm and key; keys in the header of a token (`jwk`, `jku`, `x5c`) are ignored."""
        algorithm, kind, key_id = header.get("alg"), header.get("typ", "JWT"), header.get("kid", "")
        if not isinstance(algorithm, str) or algorithm not in self._settings.allowed:
            raise TokenRefused("algorithm")
        if "crit" in header or "b64" in header or not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise TokenRefused("header")
        if not isinstance(key_id, str):
            raise TokenRefused("header")
        key = self._find(key_id)
        # The use of a key is its own: a token cannot use an RSA key as a secret.
        if algorithm not in key.algorithms:
            raise TokenRefused("algorithm")
        return algorithm, key.key

    def _find(self, key_id: str) -> Key:
        if isinstance(self.keys, Key):
            return self.keys
        known = self.keys.keys
        if not key_id and len(known) == 1:
            return next(iter(known.values()))
        if key_id in known:
            return known[key_id]
        if key_id:
            raise UnknownKey(partial(self.keys.fetch_for, key_id))
        raise TokenRefused("unknown_key")

    def _checked(self, claims: dict[str, Any], now: float) -> float:
        """When a token with these claims expires."""
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not any(one in named for one in self._settings.audience):
            raise TokenRefused("audience")
        leeway = self._settings.leeway
        expires = time_of(claims.get("exp"))
        if any(name in claims and time_of(claims[name]) > now + leeway for name in ("nbf", "iat")):
            raise TokenRefused("not_yet_valid")
        if expires - now > MAX_LIFETIME:
            raise TokenRefused("lives_too_long")
        if expires + leeway <= now:
            raise ExpiredTokenRefused("expired")
        return expires + leeway

    def _principal(self, claims: dict[str, Any], expires: float, token_id: str) -> Principal:
        settings = self._settings
        user = claims.get(settings.user_claim)
        tenant = claims.get(settings.tenant_claim) if settings.tenant_claim else settings.tenant
        if not isinstance(user, str) or not isinstance(tenant, str):
            raise TokenRefused("bad_claims")
        # OpenID Connect Core, 5.7: until it is verified, it may be the address of another user.
        if settings.user_claim == "email" and claims.get("email_verified") is not True:
            raise TokenRefused("bad_claims")
        if settings.tenants and tenant not in settings.tenants:
            raise TokenRefused("tenant")
        scopes = settings.services.get(user)
        # A service may have its scopes without a claim, a user may not.
        named = _named(claims, settings.scope_claim, scopes or ())
        return Principal(
            tenant=escape(tenant),
            subject=escape(user),
            service=scopes is not None,
            scopes=named.intersection(settings.user_scopes if scopes is None else scopes) or NO_SCOPES,
            expires=expires,
            token_id=token_id,
            issued=time_of(claims["iat"]) if "iat" in claims else 0.0,
        )


def _named(claims: dict[str, Any], claim: str, otherwise: Sequence[str]) -> frozenset[str]:
    """The scopes that a claim names, as one text (RFC 8693, section 4.2) or as a list."""
    found = claims.get(claim, "") if claim else otherwise
    listed = found.split() if isinstance(found, str) else found if isinstance(found, list | tuple) else ()
    return frozenset(one for one in listed if isinstance(one, str))


class Issuers:
    """The identity providers of a process: see `tokens.ForeignIssuers`. Made by `open_issuers`."""

    def __init__(self, issuers: dict[str, _Issuer]) -> None:
        self._issuers = issuers
        self._sets = [each.keys for each in issuers.values() if isinstance(each.keys, KeySet)]

    @property
    def version(self) -> int:
        """See `tokens.ForeignIssuers`."""
        return sum(keys.version for keys in self._sets)

    def names(self) -> frozenset[str]:
        """See `tokens.ForeignIssuers`."""
        return frozenset(self._issuers)

    def verify(self, token: str, unverified: Unverified, now: float) -> Principal:
        """See `tokens.ForeignIssuers`."""
        return self._issuers[unverified.claims["iss"]].verify(token, unverified, now)

    @asynccontextmanager
    async def refreshed(self) -> AsyncIterator[None]:
        """Fetches their keys regularly for the block, which begins after the first fetch of each."""
        await asyncio.gather(*(keys.refresh() for keys in self._sets))
        async with background(*(keys.keep_fresh() for keys in self._sets)):
            yield


@asynccontextmanager
async def open_issuers(
    settings: Sequence[IssuerSettings], monotonic: Callable[[], float] = time.monotonic
) -> AsyncIterator[Issuers]:
    """The issuers of the settings. Raises CannotUse where one of their files cannot be used.

    A URL that does not answer does not prevent the start: its keys are requested again.
    """
    for each in settings:
        await asyncio.to_thread(check_files, each)
    async with AsyncExitStack() as stack:
        http = None
        if any(each.is_url for each in settings):
            http = await stack.enter_async_context(aiohttp.ClientSession(headers={"Accept": "application/json"}))
        keys = {each.issuer: _keys(each, http, monotonic) for each in settings}
        issuers = Issuers({each.issuer: _Issuer(each, keys[each.issuer]) for each in settings})
        await stack.enter_async_context(issuers.refreshed())
        yield issuers


def check_files(settings: IssuerSettings) -> None:
    """Raises CannotUse, which names the setting, if the file of an issuer cannot be used."""
    if settings.secret_file is not None:
        _secret(settings)
    elif not settings.is_url:
        try:
            parse(read_file(Path(settings.jwks)))
        except CannotFetch as error:
            raise CannotUse(f"{_SETTING}: the keys of the issuer {settings.issuer}: {error}") from None


def _keys(settings: IssuerSettings, http: aiohttp.ClientSession | None, monotonic: Callable[[], float]) -> KeySet | Key:
    if settings.secret_file is not None:
        return Key(settings.allowed, _secret(settings))
    if http is not None and settings.is_url:
        load = partial(load_url, http, settings.jwks, settings.fetch_timeout)
    else:
        load = partial(load_file, Path(settings.jwks))
    return KeySet(
        settings.issuer,
        load,
        refresh_seconds=settings.refresh_seconds,
        retry_seconds=settings.retry_seconds,
        monotonic=monotonic,
    )


def _secret(settings: IssuerSettings) -> bytes:
    assert settings.secret_file is not None
    try:
        secret = settings.secret_file.read_bytes().removesuffix(b"\n")
    except OSError as error:
        raise CannotUse(f"{_SETTING}: {settings.secret_file} cannot be read: {error.strerror}") from None
    if len(secret) < _MIN_SECRET_BYTES:
        raise CannotUse(
            f"{_SETTING}: {settings.secret_file} has fewer than {_MIN_SECRET_BYTES} bytes: no secret is that short"
        )
    return secret
