"""The promises of `reaction_svc.ports.RateLimit`, kept by this process's memory and by Redis."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY

from engines.redis_cluster import RedisCluster
from kit.adapters.redis.engine import open_redis
from kit.clock import ManualClock, SystemClock
from kit.tenant_keys import UserKey
from reaction_svc.adapters.memory_limits import MemoryRateLimit
from reaction_svc.adapters.redis_limits import RedisRateLimit
from reaction_svc.ports import RateLimit
from tests.engines import Engines
from tests.ownredis import OwnRedis, own_redis
from tests.proxy import tcp_proxy

ALICE, BOB = ("acme", "alice"), ("acme", "bob")


@pytest.fixture(name="server", scope="module")
def fixture_server() -> Iterator[OwnRedis]:
    with own_redis() as server:
        yield server


@pytest.fixture(name="cluster", scope="module")
def fixture_cluster(engines: Engines) -> RedisCluster:
    return engines.redis_nodes()


class RateLimitContract:
    """Each test has buckets of its own."""

    @asynccontextmanager
    async def opened(self, request: Any, per_second: float, at_once: int) -> AsyncIterator[RateLimit]:
        """The limit; `per_second` is slow enough that no token comes by itself while a test goes on."""
        raise NotImplementedError
        yield

    async def test_the_first_changes_of_each_user_in_a_batch_pass(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 0.01, 2) as limit:
            waits = await limit.take([ALICE, BOB, ALICE, ALICE, BOB, ALICE])
            assert [wait > 0 for wait in waits] == [False, False, False, True, False, True]

    async def test_the_same_name_in_another_tenant_has_a_rate_of_its_own(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 0.01, 1) as limit:
            assert await limit.take([("default", "alice"), ALICE]) == [0, 0]
            assert [wait > 0 for wait in await limit.take([("default", "alice"), ALICE])] == [True, True]

    async def test_the_retry_delay_is_the_time_of_one_change(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 0.01, 3) as limit:
            waits = await limit.take([ALICE] * 5)
            assert waits[:3] == [0, 0, 0]
            assert waits[3] == waits[4] == pytest.approx(100, abs=20)
            [again] = await limit.take([ALICE])
            assert again == pytest.approx(waits[3], abs=20), "a refusal takes nothing"

    async def test_a_client_that_waits_for_the_retry_delay_may_continue(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 20.0, 1) as limit:
            assert await limit.take([ALICE]) == [0]
            for _ in range(5):
                [wait] = await limit.take([ALICE])
                assert 0 <= wait <= 0.0501
                await asyncio.sleep(wait)
                assert wait == 0 or await limit.take([ALICE]) == [0]

    async def test_the_rate_is_constant_over_time(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 50.0, 5) as limit:
            began, passed = time.monotonic(), 0
            while time.monotonic() - began < 0.5:
                passed += sum(wait == 0 for wait in await limit.take([ALICE] * 3))
                await asyncio.sleep(0)
            assert 10 <= passed <= 5 + 50 * (time.monotonic() - began) + 1

    async def test_an_empty_request_is_not_sent(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 1.0, 1) as limit:
            assert list(await limit.take([])) == []

    async def test_concurrent_batches_have_one_rate(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 0.01, 10) as limit:
            batches = await asyncio.gather(*[limit.take([ALICE, (f"t{index}", "alice")]) for index in range(40)])
            passed = [batch[0] == 0 for batch in batches]
            assert passed == [True] * 10 + [False] * 30, "who asked first was answered first"
            assert all(batch[1] == 0 for batch in batches)


class TestMemory(RateLimitContract):
    @asynccontextmanager
    async def opened(self, request: Any, per_second: float, at_once: int) -> AsyncIterator[RateLimit]:
        yield MemoryRateLimit(SystemClock(), per_second, at_once, 1_000)


class TestRedis(RateLimitContract):
    def url(self, request: Any) -> str:
        """Where the buckets are."""
        server: OwnRedis = request.getfixturevalue("server")
        return server.url

    @asynccontextmanager
    async def opened(self, request: Any, per_second: float, at_once: int) -> AsyncIterator[RateLimit]:
        async with open_redis(self.url(request), timeout=10.0) as redis:
            await redis.client.flushall()
            yield RedisRateLimit(redis, per_second, at_once, NoLocal())

    async def test_two_nodes_share_one_rate(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 0.01, 5) as one, open_redis(self.url(request)) as redis:
            two = RedisRateLimit(redis, 0.01, 5, NoLocal())
            batches = await asyncio.gather(*[limit.take([ALICE]) for limit in (one, two) for _ in range(10)])
            assert Counter(wait == 0 for batch in batches for wait in batch) == {True: 5, False: 15}

    async def test_a_full_bucket_is_dropped(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 100.0, 2) as limit, open_redis(self.url(request)) as redis:
            await limit.take([ALICE, BOB])
            began = time.monotonic()
            while [name async for name in redis.client.scan_iter()]:
                assert time.monotonic() - began < 10

    async def test_as_many_as_a_large_batch_has_are_decided_in_one_call(self, request: pytest.FixtureRequest) -> None:
        async with self.opened(request, 0.01, 1) as limit:
            users = [("acme", f"u{index}") for index in range(9_000)]
            assert not any(await limit.take(users))
            assert all(await limit.take(users))


class TestRedisCluster(TestRedis):
    def url(self, request: Any) -> str:
        cluster: RedisCluster = request.getfixturevalue("cluster")
        return f"{cluster.url}?prefix=t:"


class NoLocal:
    """If Redis answers, the local limit is not used."""

    async def take(self, users: object) -> list[float]:
        """See `ports.RateLimit`."""
        raise AssertionError("Redis was there")


async def test_without_redis_the_limit_is_per_node_and_common_again_afterwards(server: OwnRedis) -> None:
    server.send("FLUSHALL")
    local = MemoryRateLimit(ManualClock(), per_second=1.0, at_once=1, max_users=10)
    async with (
        tcp_proxy(server.port) as proxy,
        open_redis(f"redis://127.0.0.1:{proxy.port}/0", timeout=0.1) as redis,
    ):
        limit = RedisRateLimit(redis, 0.01, 5, local)
        assert await limit.take([ALICE]) == [0]
        proxy.answers.clear()
        assert await limit.take([ALICE, ALICE]) == [0, 1.0], "the local limit decides"
        assert REGISTRY.get_sample_value("plaudit_reaction_limits_local") == 1
        proxy.answers.set()
        async with asyncio.timeout(10):
            while redis.client.breaker.is_open() or REGISTRY.get_sample_value("plaudit_reaction_limits_local"):
                await limit.take([BOB])
        waits = await limit.take([ALICE] * 5)
        assert [wait > 0 for wait in waits] == [False, False, True, True, True], "the call without an answer counts"


async def test_a_caller_that_is_cancelled_does_not_affect_the_answers_of_others(server: OwnRedis) -> None:
    server.send("FLUSHALL")
    async with (
        tcp_proxy(server.port) as proxy,
        open_redis(f"redis://127.0.0.1:{proxy.port}/0", timeout=5.0) as redis,
    ):
        limit = RedisRateLimit(redis, 0.01, 10, NoLocal())
        proxy.answers.clear()
        first = asyncio.create_task(limit.take([ALICE]))
        await asyncio.sleep(0)
        others = [asyncio.create_task(limit.take([person])) for person in people(5)]
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        proxy.answers.set()
        async with asyncio.timeout(10):
            assert await asyncio.gather(*others) == [[0.0]] * 5


def people(count: int) -> list[UserKey]:
    """Different ones."""
    return [("acme", f"u{index}") for index in range(count)]
