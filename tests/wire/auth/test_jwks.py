"""Keys of an identity provider: fetched when a token needs them, kept while they cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from kit.auth.jwks import MAX_BYTES
from kit.auth.keys import Keys
from kit.clock import ManualClock
from kit.engine_url import CannotUse
from kit.errors import Unavailable
from tests.wire.auth.foreign_tokens import NOW, cause_of, fixture_keys, trusting, verified
from tests.wire.auth.identityprovider import (
    OTHER,
    RSA,
    identity_provider,
    jwk,
)

__all__ = ["fixture_keys"]


async def test_a_new_key_is_fetched_when_a_token_names_it_and_not_more_often_than_the_settings_allow(
    keys: Keys,
) -> None:
    async with identity_provider(NOW) as provider:
        clock = ManualClock()
        async with trusting(keys, provider, clock=clock, retry_seconds=600) as verifier:
            kept = provider.token()
            assert provider.asked == 1
            provider.keys = [jwk(OTHER, "new", "RS256")]
            clock.advance(600)
            renewed = provider.token(key=OTHER, kid="new")
            assert (await verified(verifier, renewed)).subject == "auth0~7calice"
            assert provider.asked == 2
            clock.advance(600)
            assert await cause_of(verifier, kept) == "unknown_key", "a key that was taken back is not trusted any more"
        async with trusting(keys, provider, retry_seconds=600) as verifier:
            for number in range(20):
                with pytest.raises(Unavailable) as caught:
                    await verified(verifier, provider.token(kid=f"made-up-{number}"))
                assert caught.value.retry_after is not None
                assert 500 < caught.value.retry_after <= 600
            assert provider.asked == 4


async def test_many_waits_for_a_key_cause_one_fetch(keys: Keys) -> None:
    clock = ManualClock()
    async with (
        identity_provider(NOW) as provider,
        trusting(keys, provider, clock=clock, retry_seconds=600) as verifier,
    ):
        provider.keys.append(jwk(OTHER, "new", "RS256"))
        clock.advance(600)
        tokens = [provider.token(provider.claims(sub=f"u{n}"), key=OTHER, kid="new") for n in range(50)]
        users = await asyncio.gather(*(verified(verifier, token) for token in tokens))
        assert [user.subject for user in users] == [f"u{n}" for n in range(50)]
        assert provider.asked == 2


BROKEN: dict[str, Callable[[], web.Response]] = {
    "an error": lambda: web.Response(status=500),
    "not found": lambda: web.Response(status=404),
    "a redirect": lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
    "garbage": lambda: web.Response(body=b"{"),
    "no keys": lambda: web.json_response({"keys": []}),
    "a list": lambda: web.json_response([]),
    "too much": lambda: web.Response(body=b'{"keys":[' + b" " * MAX_BYTES + b"]}"),
    "too many keys": lambda: web.json_response({"keys": [jwk(RSA, str(n), "RS256") for n in range(101)]}),
    "a secret": lambda: web.json_response({"keys": [{"kty": "oct", "k": "AAAA", "kid": "rsa"}]}),
    "keys to encrypt with": lambda: web.json_response({"keys": [jwk(RSA, "rsa", "RS256", use="enc")]}),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_known_keys_stay_in_force_while_others_cannot_be_fetched(keys: Keys, broken: str) -> None:
    clock = ManualClock()
    async with (
        identity_provider(NOW) as provider,
        trusting(keys, provider, clock=clock, retry_seconds=600) as verifier,
    ):
        token = provider.token()
        provider.broken = BROKEN[broken]
        clock.advance(600)
        with pytest.raises(Unavailable):
            await verified(verifier, provider.token(key=OTHER, kid="new"))
        assert provider.asked == 2
        assert (await verified(verifier, token)).subject == "auth0~7calice"


async def test_keys_are_fetched_again_before_a_token_needs_them(keys: Keys) -> None:
    async with identity_provider(NOW) as provider, trusting(keys, provider, refresh_seconds=0.02, retry_seconds=600):
        async with asyncio.timeout(5):
            while provider.asked < 3:  # noqa: ASYNC110 - what it waits for has no event
                await asyncio.sleep(0.005)


async def test_if_the_url_is_down_at_the_start_own_tokens_work_and_others_once_it_is_up(
    keys: Keys,
) -> None:
    async with identity_provider(NOW) as provider:
        provider.broken = BROKEN["an error"]
        clock = ManualClock()
        async with trusting(keys, provider, clock=clock, retry_seconds=600) as verifier:
            assert verifier.verify(keys.minter().mint_user("alice")).subject == "alice"
            with pytest.raises(Unavailable):
                await verified(verifier, provider.token())
            provider.broken = None
            clock.advance(600)
            assert (await verified(verifier, provider.token())).subject == "auth0~7calice"


async def test_keys_may_be_in_a_file_which_must_exist(keys: Keys, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    async with identity_provider(NOW) as provider:
        with pytest.raises(CannotUse, match=r"keys\.json cannot be read"):
            async with trusting(keys, provider, jwks=str(file)):
                pass
        file.write_text("{}")
        with pytest.raises(CannotUse, match="no JSON Web Key Set"):
            async with trusting(keys, provider, jwks=str(file)):
                pass
        file.write_bytes(web.json_response({"keys": provider.keys}).body)  # type: ignore[arg-type]
        async with trusting(keys, provider, jwks=str(file)) as verifier:
            assert (await verified(verifier, provider.token())).subject == "auth0~7calice"
        assert provider.asked == 0
