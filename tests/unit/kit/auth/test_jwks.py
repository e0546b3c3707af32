"""The keys of an issuer: which fetch decides about an unknown key, and how many callers wait for one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.auth.jwks import MAX_WAITING, CannotFetch, KeySet
from kit.errors import Unavailable
from kit.tasks import background

_KEY = jwt.algorithms.OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key(), as_dict=True)
pytestmark = pytest.mark.timeout(20)


class Provider:
    """Publishes keys of these ids. While `gate` is closed, a fetch that has read them waits before it returns."""

    def __init__(self, *key_ids: str) -> None:
        self.key_ids = list(key_ids)
        self.gate = asyncio.Event()
        self.gate.set()
        self.reading = asyncio.Event()
        self.is_down = False

    async def load(self) -> bytes:
        if self.is_down:
            raise CannotFetch("it is down")
        document = json.dumps({"keys": [{**_KEY, "kid": key_id} for key_id in self.key_ids]}).encode()
        self.reading.set()
        await self.gate.wait()
        return document


@asynccontextmanager
async def key_set(provider: Provider, retry_seconds: float) -> AsyncIterator[KeySet]:
    keys = KeySet("issuer", provider.load, refresh_seconds=600, retry_seconds=retry_seconds, monotonic=time.monotonic)
    await keys.refresh()
    async with background(keys.keep_fresh()):
        yield keys


async def test_a_new_key_is_waited_for_after_a_fetch_for_one_that_does_not_exist() -> None:
    provider = Provider("old")
    async with key_set(provider, retry_seconds=0.2) as keys:
        await keys.fetch_for("junk")
        assert "junk" not in keys.keys
        provider.key_ids.append("new")
        await keys.fetch_for("new")
        assert "new" in keys.keys


async def test_a_fetch_that_began_before_the_call_does_not_decide() -> None:
    provider = Provider("old")
    async with key_set(provider, retry_seconds=0.05) as keys:
        provider.gate.clear()
        provider.reading.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keys.fetch_for("junk"))
            await provider.reading.wait()
            provider.key_ids.append("new")
            tasks.create_task(keys.fetch_for("new"))
            await asyncio.sleep(0)
            provider.gate.set()
        assert "new" in keys.keys


async def test_if_the_next_fetch_is_far_away_the_caller_gets_a_retry_delay() -> None:
    async with key_set(Provider("old"), retry_seconds=60) as keys:
        with pytest.raises(Unavailable) as caught:
            await keys.fetch_for("new")
        assert caught.value.retry_after is not None
        assert 50 < caught.value.retry_after <= 60


async def test_an_unknown_key_is_unavailable_while_the_issuer_is_down() -> None:
    provider = Provider("old")
    async with key_set(provider, retry_seconds=0.001) as keys:
        provider.is_down = True
        with pytest.raises(Unavailable):
            await keys.fetch_for("new")


async def test_a_bounded_number_of_callers_waits_and_further_ones_are_answered_immediately() -> None:
    provider = Provider("old")
    async with key_set(provider, retry_seconds=0.001) as keys:
        provider.gate.clear()
        provider.reading.clear()
        async with asyncio.TaskGroup() as tasks:
            for number in range(MAX_WAITING):
                tasks.create_task(keys.fetch_for(f"junk-{number}"))
            await provider.reading.wait()
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await keys.fetch_for("new")
            assert time.monotonic() - began < 1
            provider.gate.set()
        await keys.fetch_for("another")
