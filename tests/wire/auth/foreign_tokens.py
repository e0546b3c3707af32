"""Tokens that an identity provider signs, and a gateway's verifier for them."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kit.auth.identity import IssuerSettings
from kit.auth.issuers import open_issuers
from kit.auth.jose import MESSAGE, TokenRefused, UnknownKey
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import Principal, Verifier
from kit.clock import Clock, SystemClock
from tests.wire.auth.identityprovider import (
    IdentityProvider,
)
from tests.wire.auth.jwt_cases import segment

NOW = 1_900_000_000


@pytest.fixture(name="keys", scope="module")
def fixture_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return open_keys(tmp_path_factory.mktemp("foreign") / "keys")


@asynccontextmanager
async def trusting(
    keys: Keys, provider: IdentityProvider, *more: IssuerSettings, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[Verifier]:
    """A verifier that takes the provider's tokens. `clock` measures the time between two fetches of keys."""
    monotonic = (clock or SystemClock()).monotonic
    async with open_issuers([provider.settings(**changes), *more], monotonic) as issuers:
        yield keys.verifier(issuers)


async def verified(verifier: Verifier, token: str, now: float = float(NOW)) -> Principal:
    """As every door does: once more where a key had to be fetched."""
    try:
        return verifier.verify(token, now)
    except UnknownKey as unknown:
        await asyncio.wait_for(unknown.fetch(), 10)
    return verifier.verify(token, now, fetched=True)


async def cause_of(verifier: Verifier, token: str, now: float = float(NOW)) -> str:
    with pytest.raises(TokenRefused, match=re.escape(MESSAGE)) as caught:
        await verified(verifier, token, now)
    return caught.value.cause


def signed(text: str, secret: bytes) -> str:
    return f"{text}.{segment(hmac.digest(secret, text.encode(), 'sha256'))}"


def hmac_signed(provider: IdentityProvider, secret: bytes, kid: str = "rsa") -> str:
    """Signed with HS256, whatever the secret: libraries refuse to use a public key as one, attackers do not."""
    header = segment({"alg": "HS256", "typ": "JWT", "kid": kid})
    return signed(f"{header}.{provider.token().split('.')[1]}", secret)
