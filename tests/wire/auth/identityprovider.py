"""An identity provider on loopback: signs tokens as others do, and serves the set of its keys, or fails to."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit.auth.identity import IssuerSettings

NAME = "https://id.example.com/"
AUDIENCE = "reactions"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_ALGORITHMS: dict[str, Any] = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def jwk(key: Any, kid: str | None, algorithm: str, **more: Any) -> dict[str, Any]:
    """The public half of a key as a member of a set."""
    made: dict[str, Any] = _ALGORITHMS[algorithm].to_jwk(key.public_key(), as_dict=True)
    made.pop("key_ops", None)
    named = {} if kid is None else {"kid": kid}
    return {**made, **named, "use": "sig", "alg": algorithm, **more}


def pem(key: Any) -> bytes:
    """The public half of a key as a file."""
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text


class IdentityProvider:
    """What it serves can be changed at any time."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.url = ""
        self.asked = 0
        self.keys: list[dict[str, Any]] = [
            jwk(RSA, "rsa", "RS256"),
            jwk(EC, "ec", "ES256"),
            jwk(ED, "ed", "EdDSA"),
        ]
        self.broken: Callable[[], web.Response] | None = None
        """What is answered instead of the keys."""

    def claims(self, *without: str, **changes: Any) -> dict[str, Any]:
        """Good claims, but for the changes."""
        good = {
            "iss": NAME,
            "aud": AUDIENCE,
            "sub": "auth0|alice",
            "iat": int(self.now) - 60,
            "exp": int(self.now) + 3600,
        }
        return {name: value for name, value in {**good, **changes}.items() if name not in without}

    def token(
        self,
        claims: dict[str, Any] | None = None,
        *,
        key: Any = RSA,
        algorithm: str = "RS256",
        kid: str | None = "rsa",
        **header: Any,
    ) -> str:
        """A signed token."""
        headers = {**({} if kid is None else {"kid": kid}), **header}
        return jwt.encode(self.claims() if claims is None else claims, key, algorithm=algorithm, headers=headers)

    def settings(self, **changes: Any) -> IssuerSettings:
        """The settings that trust it."""
        good = {"issuer": NAME, "audience": AUDIENCE, "jwks": self.url}
        return IssuerSettings.model_validate({**good, **changes})

    async def answer(self, _: web.Request) -> web.Response:
        """`GET /keys`."""
        self.asked += 1
        return web.json_response({"keys": self.keys}) if self.broken is None else self.broken()

    async def elsewhere(self, _: web.Request) -> web.Response:
        """Where a redirect leads to."""
        return web.json_response({"keys": [*self.keys, jwk(OTHER, "new", "RS256")]})


@asynccontextmanager
async def identity_provider(now: float | None = None) -> AsyncIterator[IdentityProvider]:
    """Serves until the block ends; `now` is the time of its tokens."""
    provider = IdentityProvider(time.time() if now is None else now)
    app = web.Application()
    app.router.add_get("/keys", provider.answer)
    app.router.add_get("/elsewhere", provider.elsewhere)
    runner = web.AppRunner(app, shutdown_timeout=1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    try:
        yield provider
    finally:
        await runner.cleanup()
