"""Which writer is next on a target: claims in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from kit.adapters.redis import open_redis
from reaction_svc.adapters.redis_hot import Hot, Key, Lost, Moved, TargetChange
from tests.engines import Engines

ONE, TWO = ("default", "messages/1"), ("default", "messages/2")
LONG = 60.0


class Writer:
    """Takes batches that change targets from one token to the next."""

    def __init__(self, hot: Hot, generation: str, name: str) -> None:
        self._hot = hot
        self._generation = generation
        self._name = name
        self._calls = 0
        self._place = ""

    async def change(self, tokens: dict[Key, int], *, verify: bool = False) -> None:
        """Moves the targets' tokens on by one, or only verifies them. Raises Moved."""
        self._calls += 1
        changes = [TargetChange(key, str(at or ""), "" if verify else str(at + 1)) for key, at in tokens.items()]
        await self._hot.change(
            self._generation, self._name, self._calls, self._calls, b"" if verify else b"batch", changes, 0, ()
        )
        if not verify:
            tokens.update({key: at + 1 for key, at in tokens.items()})

    async def claim(self, *keys: Key, seconds: float = LONG) -> bool:
        """Whether it is the next on them now."""
        free, place = await self._hot.claim(self._generation, self._name, keys, seconds, self._place)
        self._place = "" if free else place
        return free


@pytest.fixture(name="hot")
async def fixture_hot(engines: Engines) -> AsyncIterator[Hot]:
    async with open_redis(engines.redis()) as redis:
        yield Hot(redis, LONG, LONG)


@pytest.fixture(name="generation")
async def fixture_generation(hot: Hot) -> str:
    return (await hot.generation()).id


@pytest.fixture(name="writers")
async def fixture_writers(hot: Hot, generation: str) -> Sequence[Writer]:
    for name in "ab":
        await hot.enter(generation, name, name)
    return [Writer(hot, generation, name) for name in "ab"]


async def test_a_claim_holds_others_off_until_its_batch_is_taken(writers: Sequence[Writer]) -> None:
    one, other = writers
    tokens = {ONE: 0}
    await one.change(tokens)
    assert await other.claim(ONE)
    with pytest.raises(Moved):
        await one.change(tokens)
    await one.change(tokens, verify=True)  # who changes nothing is in nobody's way
    await other.change(tokens)
    await one.change(tokens)


async def test_all_or_none_are_claimed_so_that_no_two_wait_for_each_other(writers: Sequence[Writer]) -> None:
    one, other = writers
    tokens = {ONE: 0, TWO: 0}
    await one.change(tokens)
    assert await one.claim(ONE)
    assert await other.claim(TWO)
    assert not await one.claim(ONE, TWO)
    assert not await other.claim(ONE, TWO)  # which came later; and it has let go of what it had
    assert await one.claim(ONE, TWO)
    await one.change(tokens)
    assert await other.claim(ONE, TWO)


async def test_who_waits_has_its_turn_before_who_had_one(writers: Sequence[Writer]) -> None:
    one, other = writers
    tokens = {ONE: 0}
    await one.change(tokens)
    for _ in range(3):
        assert await one.claim(ONE)
        assert not await other.claim(ONE)
        await one.change(tokens)
        assert not await one.claim(ONE)
        assert await other.claim(ONE)
        await other.change(tokens)


async def test_who_has_a_claim_may_extend_it_before_those_who_wait(hot: Hot, generation: str) -> None:
    for name in "ab":
        await hot.enter(generation, name, name)
    await hot.change(generation, "a", 1, 1, b"batch", [TargetChange(ONE, "", "1")], 0, ())
    free, place = await hot.claim(generation, "a", [ONE], LONG)
    assert free
    assert (await hot.claim(generation, "b", [ONE], LONG))[0] is False
    assert (await hot.claim(generation, "a", [ONE], LONG, place)) == (True, place)


async def test_who_no_longer_asks_is_waited_for_no_longer(writers: Sequence[Writer]) -> None:
    one, other = writers
    tokens = {ONE: 0}
    await one.change(tokens)
    assert await one.claim(ONE)
    assert not await other.claim(ONE)
    await one.change(tokens)
    async with asyncio.timeout(10):
        while not await one.claim(ONE):
            pass


async def test_a_claim_ends_when_it_is_let_go_and_when_its_time_is_over(writers: Sequence[Writer]) -> None:
    one, other = writers
    tokens = {ONE: 0}
    await one.change(tokens)
    assert await one.claim(ONE)
    assert await one.claim(ONE, seconds=0)
    await other.change(tokens)
    assert await one.claim(ONE, seconds=0.05)
    async with asyncio.timeout(10):
        while not await other.claim(ONE):
            pass
    await other.change(tokens)


async def test_what_redis_does_not_know_is_nobodys(writers: Sequence[Writer]) -> None:
    one, other = writers
    assert await one.claim(ONE)
    assert await other.claim(ONE)
    await one.change({ONE: 0})


async def test_a_memory_that_is_lost_has_no_claims(hot: Hot) -> None:
    with pytest.raises(Lost):
        await hot.claim("another", "a", [ONE], LONG)
