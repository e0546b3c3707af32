"""The latest reactors in Redis, one server and a cluster: never older than asked for, never half known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from kit.adapters.redis.engine import Redis, open_redis
from kit.ids import new_id
from kit.tasks import background
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.redis_latest import RedisLatest
from reaction_svc.domain import OperationRow, TargetChange, TargetHead
from reaction_svc.ports import Reactor
from tests.engines import Engines


@pytest.fixture(name="redis", params=["one server", "cluster"])
async def fixture_redis(engines: Engines, request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    url = engines.redis() if request.param == "one server" else engines.redis_cluster()
    async with open_redis(url) as redis:
        yield redis


@pytest.fixture(name="latest")
async def fixture_latest(redis: Redis) -> AsyncIterator[RedisLatest]:
    latest = RedisLatest(redis, 60.0, above=0)
    async with background(latest.run()):
        yield latest


@pytest.fixture(name="key")
def fixture_key() -> TargetKey:
    return new_id(), "messages/1"


def change(key: TargetKey, version: int, rows: Sequence[tuple[str, str, str]], **counts: int) -> TargetChange:
    """Rows are (user, added, removed), one version after the other up to `version`."""
    first = version - len(rows) + 1
    made = [
        OperationRow(user, added, removed, first + n, "", added, 0, bool(added))
        for n, (user, added, removed) in enumerate(rows)
    ]
    return TargetChange(key, made, TargetHead(version, version, counts))


async def page(
    latest: RedisLatest, key: TargetKey, version: int, emoji: str = "", before: int = 0, limit: int = 10, **counts: int
) -> list[tuple[str, str]] | None:
    """What is known at the version, waited for as long as it may be on its way."""
    head = TargetHead(version, version, counts)
    for _ in range(50):
        found = await latest.page(key, head, emoji, before, limit)
        if found is not None:
            return [(reactor.user, reactor.emoji) for reactor in found]
    return None


async def test_a_new_target_is_cached_from_its_first_change(latest: RedisLatest, key: TargetKey) -> None:
    latest.record_entry(
        {key: 0}, [change(key, 1_002, [("ann", "a", ""), ("bob", "b", ""), ("cem", "a", "")], a=2, b=1)]
    )
    assert await page(latest, key, 1_002, a=2, b=1) == [("cem", "a"), ("bob", "b"), ("ann", "a")]
    latest.record_entry({key: 1_002}, [change(key, 1_004, [("ann", "", "a"), ("bob", "a", "b")], a=2)])
    assert await page(latest, key, 1_004, a=2) == [("bob", "a"), ("cem", "a")]
    assert await page(latest, key, 1_004, "a", before=1_004, a=2) == [("cem", "a")]
    assert await page(latest, key, 1_004, "b", a=2) == []


async def test_no_page_is_returned_if_redis_lags(latest: RedisLatest, key: TargetKey) -> None:
    latest.record_entry({key: 0}, [change(key, 1_000, [("ann", "a", "")], a=1)])
    assert await page(latest, key, 1_000, a=1) == [("ann", "a")]
    assert await latest.page(key, TargetHead(1_001, 1_001, {"a": 1}), "", 0, 10) is None


async def test_a_change_that_does_not_follow_makes_the_target_unknown_until_it_is_filled(
    latest: RedisLatest, key: TargetKey
) -> None:
    latest.record_entry({key: 0}, [change(key, 1_000, [("ann", "a", "")], a=1)])
    assert await page(latest, key, 1_000, a=1) == [("ann", "a")]
    latest.record_entry({key: 1_005}, [change(key, 1_006, [("cem", "a", "")], a=3)])
    head = TargetHead(1_006, 1_006, {"a": 3})
    async with asyncio.timeout(5):
        while await latest.page(key, TargetHead(1_000, 1_000, {"a": 1}), "", 0, 10) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert await latest.page(key, head, "", 0, 10) is None
    holders = [Reactor("cem", "a", 1_006), Reactor("bob", "a", 1_005), Reactor("ann", "a", 1_000)]
    await latest.fill(key, head, holders)
    assert await latest.page(key, head, "", 0, 10) == holders
    latest.record_entry({key: 1_006}, [change(key, 1_007, [("bob", "", "a")], a=2)])
    assert await page(latest, key, 1_007, a=2) == [("cem", "a"), ("ann", "a")]


async def test_an_older_state_never_replaces_a_newer_one(latest: RedisLatest, key: TargetKey) -> None:
    latest.record_entry({key: 0}, [change(key, 1_001, [("ann", "a", ""), ("bob", "a", "")], a=2)])
    assert await page(latest, key, 1_001, a=2) == [("bob", "a"), ("ann", "a")]
    await latest.fill(key, TargetHead(1_000, 1_000, {"a": 1}), [Reactor("ann", "a", 1_000)])
    latest.record_entry({key: 0}, [change(key, 1_000, [("ann", "a", "")], a=1)])
    latest.record_entry({key: 1_001}, [change(key, 1_002, [("cem", "a", "")], a=3)])
    # The late repetition did not follow what was known here, so it is dropped, and lists stay whole or unknown.
    assert await page(latest, key, 1_002, a=3) in ([("cem", "a"), ("bob", "a"), ("ann", "a")], None)


async def test_above_a_thousand_reactors_the_latest_are_cached_and_older_pages_are_not(
    latest: RedisLatest, key: TargetKey
) -> None:
    rows = [(f"u{n}", "a", "") for n in range(1_200)]
    latest.record_entry({key: 0}, [change(key, 3_000, rows, a=1_200)])
    first = await page(latest, key, 3_000, limit=3, a=1_200)
    assert first == [("u1199", "a"), ("u1198", "a"), ("u1197", "a")]
    assert await latest.page(key, TargetHead(3_000, 3_000, {"a": 1_200}), "a", 1_900, 200) is None


async def test_an_emptied_redis_has_no_reactors(redis: Redis, latest: RedisLatest, key: TargetKey) -> None:
    latest.record_entry({key: 0}, [change(key, 1_000, [("ann", "a", "")], a=1)])
    assert await page(latest, key, 1_000, a=1) == [("ann", "a")]
    await redis.client.execute_command("DEL", f"{redis.prefix}reactions:{{{key[0]}/{key[1]}}}")
    assert await latest.page(key, TargetHead(1_000, 1_000, {"a": 1}), "", 0, 10) is None
    latest.record_entry({key: 1_000}, [change(key, 1_001, [("bob", "a", "")], a=2)])
    assert await page(latest, key, 1_001, a=2) is None


async def test_small_targets_are_not_cached_and_a_target_that_grew_is_filled(redis: Redis, key: TargetKey) -> None:
    latest = RedisLatest(redis, 60.0, above=2)
    async with background(latest.run()):
        latest.record_entry({key: 0}, [change(key, 1_001, [("ann", "a", ""), ("bob", "a", "")], a=2)])
        assert await latest.page(key, TargetHead(1_001, 1_001, {"a": 2}), "", 0, 10) is None
        # The first entry does not follow on a known version: it is not used.
        latest.record_entry({key: 1_001}, [change(key, 1_002, [("cem", "a", "")], a=3)])
        assert await latest.page(key, TargetHead(1_002, 1_002, {"a": 3}), "", 0, 10) is None
        holders = [Reactor("cem", "a", 1_002), Reactor("bob", "a", 1_001), Reactor("ann", "a", 1_000)]
        await latest.fill(key, TargetHead(1_002, 1_002, {"a": 3}), holders)
        latest.record_entry({key: 1_002}, [change(key, 1_003, [("dia", "a", "")], a=4)])
        expected = [("dia", "a"), ("cem", "a"), ("bob", "a"), ("ann", "a")]
        assert await page(latest, key, 1_003, a=4) == expected
