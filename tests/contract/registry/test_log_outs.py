"""The promises of `session_registry.ports.LogOutStore`, on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kit.adapters.redis.engine import Redis, open_redis
from session_registry.adapters.redis_log_outs import RedisLogOuts
from session_registry.domain import Term
from session_registry.log_outs import LogOutRecord
from tests.engines import Engines

TERM, LATER = Term(100), Term(200)
ALICE, BOB = ("acme", "alice"), ("other", "bob")
ONE = LogOutRecord(1_700_000_000, {"phone": 0, "": 1_700_000_001}, 1_700_086_400.5)
TWO = LogOutRecord(0, {"laptop": 1_700_000_002}, 1_700_086_402.0)


@pytest.fixture(name="redis", params=["one server", "a cluster"])
async def fixture_redis(request: pytest.FixtureRequest, engines: Engines) -> AsyncIterator[Redis]:
    url = engines.redis() if request.param == "one server" else engines.redis_cluster()
    async with open_redis(url) as redis:
        await redis.client.delete(redis.key("registry", "log_outs"))
        yield redis
        await redis.client.delete(redis.key("registry", "log_outs"))


async def test_what_a_leader_wrote_the_next_one_reads(redis: Redis) -> None:
    store = RedisLogOuts(redis, keep=60.0)
    assert await store.read() == {}
    assert await store.write(TERM, {ALICE: ONE, BOB: TWO})
    assert await RedisLogOuts(redis, keep=60.0).read() == {ALICE: ONE, BOB: TWO}
    assert await store.write(TERM, {ALICE: TWO})
    assert await store.remove(TERM, [BOB])
    assert await store.read() == {ALICE: TWO}


async def test_many_records_are_read_in_pages(redis: Redis) -> None:
    store = RedisLogOuts(redis, keep=60.0)
    records = {("acme", f"u{index}"): ONE for index in range(2_500)}
    assert await store.write(TERM, records)
    assert await store.read() == records


async def test_an_earlier_leader_changes_nothing(redis: Redis) -> None:
    store = RedisLogOuts(redis, keep=60.0)
    assert await store.write(LATER, {ALICE: ONE})
    assert not await store.write(TERM, {ALICE: TWO, BOB: TWO})
    assert not await store.remove(TERM, [ALICE])
    assert await store.read() == {ALICE: ONE}


async def test_all_of_it_ends_by_itself(redis: Redis) -> None:
    await RedisLogOuts(redis, keep=60.0).write(TERM, {ALICE: ONE})
    left = await redis.client.execute_command("PTTL", redis.key("registry", "log_outs"))
    assert 0 < left <= 60_000
