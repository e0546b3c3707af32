"""Counts that nodes share in Redis: read, lost, behind the log, and while Redis is away."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from counter_svc.adapters.redis_counts import RedisCounts
from counter_svc.consumer import GROUP
from engines import Server, running
from kit.adapters.redis.engine import Redis, open_redis
from kit.tenant_keys import TargetKey
from tests.flows.counting.counters import CounterCluster, Node
from tests.flows.counting.several_counters import (
    KEYS,
    PARTITIONS,
    QUICK,
    Opener,
    are_shared,
    assert_exact,
    fixture_begin,
    fixture_redis,
    lose,
    metric,
)
from tests.flows.crowd import TOPIC, eventually

__all__ = ["fixture_begin", "fixture_redis"]

COLD: list[TargetKey] = [("default", f"posts/{n}") for n in range(20)]


async def test_counts_that_redis_has_lost_are_restored(begin: Opener, redis: Redis) -> None:
    async with begin(QUICK) as here:
        await here.join()
        await here.crowd.act(COLD, 100)
        await assert_exact(here, COLD)
        await here.leave(here.nodes[0])  # then they are in no node's memory
        nodes = [await here.join(), await here.join()]
        await here.crowd.act(KEYS, 200)
        await assert_exact(here)
        shared = RedisCounts(redis, 3_600)
        await eventually(partial(are_shared, shared, here, KEYS))
        await lose(redis)
        assert await shared.get(KEYS) == {}
        await eventually(partial(are_shared, shared, here, KEYS), 3)
        # Cold targets are answered from their heads, and are shared again by that.
        for node in nodes:
            assert await node.get(COLD) == {key: here.crowd.truth(key) for key in COLD}
        await eventually(partial(are_shared, shared, here, COLD))
        await here.crowd.act([*KEYS, *COLD], 200)
        await assert_exact(here, [*KEYS, *COLD])


async def test_a_node_answers_for_partitions_of_others_from_the_shared_counts(begin: Opener) -> None:
    async with begin(QUICK) as here:
        nodes = [await here.join(), await here.join()]
        await here.crowd.act(KEYS, 200)
        await assert_exact(here)
        for node in nodes:  # what was restored by the questions above is shared for good now
            await eventually(partial(is_exact, here, node))
        before = metric("heads_read_total")
        for node in nodes:
            assert await node.get(KEYS) == {key: here.crowd.truth(key) for key in KEYS}
        assert metric("heads_read_total") == before


async def is_exact(here: CounterCluster, node: Node) -> bool:
    return await node.get(KEYS) == {key: here.crowd.truth(key) for key in KEYS}


async def is_committed(here: CounterCluster) -> bool:
    """Whether the places of the group on the log are its ends."""
    places = [await here.log.committed(GROUP, TOPIC, partition) for partition in range(PARTITIONS)]
    return places == [(await here.log.bounds(TOPIC, partition))[1] for partition in range(PARTITIONS)]


async def test_shared_counts_that_missed_entries_are_corrected_from_the_records(begin: Opener, redis: Redis) -> None:
    async with begin(QUICK) as here:
        await here.join()
        await here.crowd.act(KEYS, 200)
        await assert_exact(here)
        await eventually(partial(is_committed, here))
        await here.leave(here.nodes[0])
        shared = RedisCounts(redis, 3_600)
        assert await are_shared(shared, here, KEYS)
        await here.crowd.act(KEYS, 200)
        for partition in range(PARTITIONS):  # nothing of that is there any more when a node comes
            await here.crowd.act(KEYS, 100)
            await here.log.trim(TOPIC, (await here.log.bounds(TOPIC, partition))[1], partition)
        assert not await are_shared(shared, here, KEYS)
        await here.join()
        await eventually(partial(are_shared, shared, here, KEYS))


@pytest.fixture(name="own_redis")
def fixture_own_redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis that this test may pause and empty."""
    with running(["redis"], tmp_path / "engines") as servers:
        yield servers["redis"]


async def test_changes_wait_while_redis_is_unavailable_and_are_written_once_it_is_available(
    begin: Opener, own_redis: Server
) -> None:
    async with open_redis(own_redis.url) as redis, begin(QUICK, redis) as here:
        first, second = await here.join(), await here.join()
        await here.crowd.act(KEYS, 300)
        await assert_exact(here)
        shared = RedisCounts(redis, 3_600)
        await eventually(partial(are_shared, shared, here, KEYS))
        own_redis.pause()
        for _ in range(10):
            await here.crowd.act(KEYS, 50)

        async def known(key: TargetKey) -> bool:
            # One of them follows it, and waits for nothing; the other asks for the head.
            return [await node.get([key]) for node in (first, second)] == [{key: here.crowd.truth(key)}] * 2

        for key in KEYS[:10]:
            await eventually(partial(known, key))
        assert metric("pending_targets") > 0
        # The node that takes over shares what the one before could not.
        await here.kill(second)
        await assert_exact(here)
        own_redis.resume()
        await eventually(partial(are_shared, shared, here, KEYS))
        await redis.client.flushall()
        await eventually(partial(are_shared, shared, here, KEYS), 3)
