"""The public keys of an identity provider: a JSON Web Key Set (RFC 7517) from a URL or a file, fetched regularly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import structlog
from prometheus_client import Counter

from kit.errors import Unavailable

log = structlog.get_logger()
FETCHES = Counter("plaudit_jwks_fetches", "Key sets of issuers fetched, by result.", ["issuer", "result"])
MAX_BYTES = 256 * 1024
MAX_KEYS = 100
MAX_WAITING = 256
"""The maximum of callers that wait for the keys of one issuer."""
MAX_WAIT_SECONDS = 5.0
_RETRY_LEAST_SECONDS = 0.5
_MAX_KEY_ID = 256
_MIN_RSA_BITS = 2048
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
ALGORITHMS = frozenset({*_RSA, *_CURVES.values()})
"""The allowed algorithms: none of them uses a secret, so a public key is never used as one."""


class CannotFetch(Exception):
    """A key set cannot be fetched or is not valid; the message is one line."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the algorithms that it may be used with."""

    algorithms: frozenset[str]
    key: Any


def parse(document: bytes) -> dict[str, Key]:
    """The keys of a set that are for signatures, by their ids ("" where one has none). Raises CannotFetch.

    Other keys are ignored: secrets, keys of unknown types, RSA keys below 2048 bits.
    """
    if len(document) > MAX_BYTES:
        raise CannotFetch(f"the key set has more than {MAX_BYTES} bytes")
    try:
        listed = json.loads(document)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        listed = None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise CannotFetch(f"this is no JSON Web Key Set of at most {MAX_KEYS} keys")
    found: dict[str, Key] = {}
    for jwk in listed:
        key_id = jwk.get("kid", "") if isinstance(jwk, dict) else None
        if isinstance(key_id, str) and len(key_id) <= _MAX_KEY_ID and (key := _key(jwk)) is not None:
            found.setdefault(key_id, key)
    if not found:
        raise CannotFetch("the key set has no public key for signatures")
    return found


def _key(jwk: dict[str, Any]) -> Key | None:
    kind, curve = jwk.get("kty"), jwk.get("crv")
    if kind == "RSA":
        fitting: tuple[str, ...] = _RSA
    elif kind in ("EC", "OKP") and isinstance(curve, str) and curve in _CURVES:
        fitting = (_CURVES[curve],)
    else:
        return None
    named = jwk.get("alg", fitting[0])
    uses = jwk.get("key_ops", ["verify"])
    if named not in fitting or jwk.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return None
    # Never the private part, in case it was published by mistake.
    public: dict[str, Any] = {name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk}
    try:
        key = jwt.PyJWK(public, named).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if kind == "RSA" and key.key_size < _MIN_RSA_BITS:
        return None
    return Key(frozenset([named] if "alg" in jwk else fitting), key)


class KeySet:
    """The keys of one issuer. Known keys stay valid while no newer ones can be fetched."""

    def __init__(
        self,
        issuer: str,
        load: Callable[[], Awaitable[bytes]],
        *,
        refresh_seconds: float,
        retry_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        """`load` returns the document, or raises CannotFetch; it is called every `refresh_seconds`.

        For an unknown key it is called sooner, but not within `retry_seconds` after the previous call.
        """
        self.keys: Mapping[str, Key] = {}
        self.version = 0
        """Grows when the keys change."""
        self.failure = ""
        """The reason why the last attempt failed; empty: it succeeded."""
        self._issuer = issuer
        self._load = load
        self._refresh_seconds = refresh_seconds
        self._retry_seconds = retry_seconds
        self._monotonic = monotonic
        self._document = b""
        self._attempted = float("-inf")
        self._fetching = False
        self._begun = 0
        self._ended = 0
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._fetched = asyncio.Event()
        self._is_stopped = False

    async def fetch_for(self, key_id: str) -> None:
        """Returns when the key is known, or when a fetch that began after the call has not brought it.

        Raises Unavailable where that takes more than a few seconds, where the keys cannot be fetched, and where too
        many callers wait: then it is not known yet whether the issuer has the key.
        """
        if self._waiting >= MAX_WAITING:
            raise self._unavailable()
        self._waiting += 1
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await self._fetched_after_now(key_id)
        except TimeoutError:
            raise self._unavailable() from None
        finally:
            self._waiting -= 1

    async def _fetched_after_now(self, key_id: str) -> None:
        begun = self._begun
        while self._ended <= begun and key_id not in self.keys:
            if self._is_stopped:
                raise self._unavailable()
            fetched = self._fetched
            if not self._fetching:
                wait = self._seconds_to_next_fetch()
                if wait > MAX_WAIT_SECONDS:
                    raise self._unavailable()
                if wait > 0:
                    await asyncio.sleep(wait)
                    continue
                self._wanted.set()
            await fetched.wait()
        if self.failure and key_id not in self.keys:
            raise self._unavailable()

    def _seconds_to_next_fetch(self) -> float:
        return max(0.0, self._attempted + self._retry_seconds - self._monotonic())

    def _unavailable(self) -> Unavailable:
        retry_after = max(_RETRY_LEAST_SECONDS, self._seconds_to_next_fetch())
        return Unavailable("the keys of the token's issuer are being fetched: try again", retry_after=retry_after)

    async def keep_fresh(self) -> None:
        """Fetches the keys when they are old or one is missing; until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(self._refresh_seconds):
                        await self._wanted.wait()
                except TimeoutError:
                    pass
                await self.refresh()
        finally:
            self._is_stopped = True
            self._fetched.set()

    async def refresh(self) -> None:
        """Fetches the keys now; a failure is logged and stored in `failure`."""
        self._wanted.clear()
        self._fetching, self._attempted = True, self._monotonic()
        self._begun += 1
        try:
            document = await self._load()
            if document != self._document:
                self.keys = parse(document)
                self._document = document
                self.version += 1
                log.info("keys of an issuer have changed", issuer=self._issuer, keys=len(self.keys))
            self.failure = ""
            FETCHES.labels(self._issuer, "ok").inc()
        except CannotFetch as error:
            self.failure = str(error)
            FETCHES.labels(self._issuer, "failed").inc()
            log.warning("keys of an issuer cannot be fetched", issuer=self._issuer, reason=self.failure)
        finally:
            self._fetching = False
            self._ended = self._begun
            fetched, self._fetched = self._fetched, asyncio.Event()
            fetched.set()


def read_file(path: Path) -> bytes:
    """A document from a file. Raises CannotFetch."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CannotFetch(f"{path} cannot be read: {error.strerror}") from None


async def load_file(path: Path) -> bytes:
    """The same without blocking the event loop."""
    return await asyncio.to_thread(read_file, path)


async def load_url(http: aiohttp.ClientSession, url: str, seconds: float) -> bytes:
    """A document from a URL, within so many seconds; it is not redirected. Raises CannotFetch."""
    try:
        async with asyncio.timeout(seconds), http.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise CannotFetch(f"{url} answers {response.status}")
            document = b""
            async for chunk in response.content.iter_chunked(16 * 1024):
                document += chunk
                if len(document) > MAX_BYTES:
                    raise CannotFetch(f"{url} sends more than {MAX_BYTES} bytes")
            return document
    except TimeoutError:
        raise CannotFetch(f"{url} has not answered within {seconds:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise CannotFetch(f"{url} cannot be fetched: {type(error).__name__}") from None
