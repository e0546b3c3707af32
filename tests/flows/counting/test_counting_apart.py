"""Counters on several nodes: partitions that change hands, counts shared in Redis, places kept in Kafka."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from counter_svc.adapters.redis_counts import RedisCounts
from counter_svc.config import Config
from counter_svc.consumer import GROUP
from engines import Server, running
from kit.adapters.kafka.event_log import open_kafka
from kit.adapters.redis.engine import Redis, open_redis
from kit.auth.keys import open_keys
from kit.errors import OutcomeUnknown, Unavailable
from kit.target import partition_of
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc as pb_grpc
from tests.engines import Engines
from tests.flows.counting.counters import COUNTER, CounterCluster, Node, counter_cluster
from tests.flows.crowd import TOPIC, eventually
from tests.topics import topics

PARTITIONS = 8
KEYS: list[TargetKey] = [("default", f"messages/{n}") for n in range(40)]
COLD: list[TargetKey] = [("default", f"posts/{n}") for n in range(20)]
QUICK = Config(drift_seconds=0, watch_seconds=0.001)
Opener = Callable[..., AbstractAsyncContextManager[CounterCluster]]


@pytest.fixture(name="redis")
async def fixture_redis(engines: Engines) -> AsyncIterator[Redis]:
    async with open_redis(engines.redis()) as redis:
        yield redis
        await lose(redis)


@pytest.fixture(name="begin")
def fixture_begin(tmp_path: Path, engines: Engines, redis: Redis) -> Opener:
    @asynccontextmanager
    async def begun(config: Config, hot: Redis = redis) -> AsyncIterator[CounterCluster]:
        wanted = {TOPIC: PARTITIONS}
        async with (
            topics(engines.kafka(), wanted) as url,
            open_kafka(url, wanted) as log,
            counter_cluster(tmp_path, open_keys(tmp_path / "keys"), log, config, hot) as here,
        ):
            yield here

    return begun


async def lose(redis: Redis) -> None:
    """All that Redis has of ours, as FLUSHALL would."""
    names = [name async for name in redis.client.scan_iter(match=redis.prefix + "*", count=1_000)]
    if names:
        await redis.client.delete(*names)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"plaudit_counter_{name}", labels) or 0


async def assert_exact(here: CounterCluster, keys: list[TargetKey] = KEYS) -> None:
    """Every node answers what the records say."""
    versions = [here.crowd.versions[key] for key in keys]
    truth = {key: here.crowd.truth(key) for key in keys}
    for node in here.nodes:
        assert await node.get(keys, versions) == truth


class Load:
    """People who react, and others who look: at every node, at what they know to be there."""

    def __init__(self, here: CounterCluster) -> None:
        self._here = here
        self._random = random.Random(7)
        self.changes = self.looks = self.moved = 0
        self.done = asyncio.Event()

    async def react(self) -> None:
        while not self.done.is_set():
            await self._here.crowd.act(KEYS, 20)
            self.changes += 20
            await asyncio.sleep(0.01)

    async def look(self) -> None:
        while not self.done.is_set():
            for node in list(self._here.nodes):
                keys = self._random.sample(KEYS, 5)
                await self._look(node, keys)
            await asyncio.sleep(0)

    async def _look(self, node: Node, keys: list[TargetKey]) -> None:
        least = [self._here.crowd.versions[key] for key in keys]
        try:
            found = await node.get(keys, least)
        except grpc.aio.AioRpcError:
            if node in self._here.nodes:
                raise  # callers of a node that is alive get an answer
            self.moved += 1
            return
        for key, version in zip(keys, least, strict=True):
            assert found[key][0] >= version
            self._here.crowd.assert_was_true(key, found[key])
        self.looks += 1

    async def more(self, changes: int) -> None:
        """Goes on until so many more changes were made and looked at."""
        until, looks = self.changes + changes, self.looks + 10

        async def enough() -> bool:
            return self.changes >= until and self.looks >= looks

        await eventually(enough, 30)


@pytest.mark.timeout(180)
async def test_counts_are_exact_while_nodes_join_leave_and_are_killed(begin: Opener) -> None:
    async with begin(QUICK) as here:
        gaps, drift = metric("log_gaps_total"), metric("drift_targets_total", found_by="rebuild")
        await here.join()
        load = Load(here)
        async with asyncio.TaskGroup() as group:
            for work in (load.react(), load.look(), load.look()):
                group.create_task(work)
            await load.more(300)
            second = await here.join()
            await load.more(300)
            third = await here.join()
            await load.more(300)
            await here.kill(second)
            await load.more(300)
            await here.leave(here.nodes[0])
            await load.more(300)
            await here.join()
            await here.kill(third)
            await load.more(300)
            load.done.set()
        await assert_exact(here)
        for node in here.nodes:
            assert await node.rebuild() == (len(KEYS), 0)
        assert (metric("log_gaps_total"), metric("drift_targets_total", found_by="rebuild")) == (gaps, drift)


async def test_counts_that_a_dead_node_did_not_share_are_shared_by_the_next_node(begin: Opener, redis: Redis) -> None:
    async with begin(Config(drift_seconds=0, flush_seconds=10)) as here:
        node = await here.join()
        await here.crowd.act(KEYS, 200)
        await assert_exact(here)
        await here.kill(node)
        shared = RedisCounts(redis, 3_600)
        # The next one has read none of it from the log before.
        await here.join()
        await eventually(partial(are_shared, shared, here, KEYS))
        assert await here.nodes[0].rebuild() == (len(KEYS), 0)


async def test_two_nodes_that_follow_the_same_partitions_do_no_harm(begin: Opener, redis: Redis) -> None:
    async with begin(QUICK) as here:
        lost, owner = await here.join(), await here.join()
        # Each believes to be alone: both read and share everything.
        lost.mesh.set_resolver(Alone(here, lost.address))
        owner.mesh.set_resolver(Alone(here, owner.address))
        for _ in range(30):
            await here.crowd.act(KEYS, 20)
            await assert_exact(here)
        await here.kill(owner)
        await here.crowd.act(KEYS, 20)
        await assert_exact(here)
        await here.leave(lost)
        assert await are_shared(RedisCounts(redis, 3_600), here, KEYS)
        await here.join()
        await assert_exact(here)
        assert await here.nodes[0].rebuild() == (len(KEYS), 0)


class Alone:
    """The nodes as one sees them that thinks the other counters are gone."""

    def __init__(self, here: CounterCluster, own: str) -> None:
        self._here = here
        self._own = own

    def addresses(self, service: str) -> tuple[str, ...]:
        found = self._here.addresses(service)
        return (self._own,) if self._own in found else found

    def address_of(self, node_id: str) -> str:
        return ""


async def test_counts_come_back_where_redis_has_lost_them(begin: Opener, redis: Redis) -> None:
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


async def test_a_node_answers_what_it_does_not_follow_from_the_shared_counts(begin: Opener) -> None:
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


async def test_shared_counts_that_missed_entries_are_put_right_from_the_records(begin: Opener, redis: Redis) -> None:
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


async def are_shared(shared: RedisCounts, here: CounterCluster, keys: list[TargetKey]) -> bool:
    try:
        found = await shared.get(keys)
    except (Unavailable, OutcomeUnknown):
        return False
    return all(
        key in found and (found[key].version, dict(found[key].reactions)) == here.crowd.truth(key)
        for key in keys
        if here.crowd.versions[key]
    )


@pytest.fixture(name="own_redis")
def fixture_own_redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis that this test may pause and empty."""
    with running(["redis"], tmp_path / "engines") as servers:
        yield servers["redis"]


async def test_changes_wait_while_redis_is_away_and_go_once_it_is_back(begin: Opener, own_redis: Server) -> None:
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


async def test_a_watch_gets_counts_of_other_nodes(begin: Opener) -> None:
    async with begin(QUICK) as here:
        nodes = [await here.join(), await here.join()]
        await here.crowd.act(KEYS, 60)
        for node in nodes:
            stub: Any = pb_grpc.CounterServiceStub(node.channel)
            request = pb.WatchCountsRequest(targets=[target for _, target in KEYS])
            watch = stub.WatchCounts(request, metadata=node.mesh.metadata(f"{COUNTER}/WatchCounts"), timeout=20)
            seen: dict[str, int] = {}
            await here.crowd.act(KEYS, 60)
            while any(seen.get(key[1], -1) < here.crowd.versions[key] for key in KEYS):
                for row in (await watch.read()).counts:
                    assert row.version > seen.get(row.target, -1)
                    here.crowd.assert_was_true(
                        ("default", row.target), (row.version, {one.emoji: one.count for one in row.reactions})
                    )
                    seen[row.target] = row.version
            watch.cancel()


async def test_any_node_has_targets_recounted_wherever_they_are_followed(begin: Opener, redis: Redis) -> None:
    async with begin(QUICK) as here:
        await here.join()
        await here.join()
        await here.crowd.act(KEYS, 400)
        await assert_exact(here)
        # What a bug would do: everything is wrong at the same version.
        here.crowd.held = {key: {("bug", "🐛")} for key in KEYS}
        for node in here.nodes:
            assert await node.rebuild(KEYS[:20]) == (20, 20 if node is here.nodes[0] else 0)
        assert await here.nodes[1].rebuild() == (len(KEYS), len(KEYS) - 20)
        await eventually(partial(are_shared, RedisCounts(redis, 3_600), here, KEYS))
        for node in here.nodes:
            assert await node.get(KEYS) == {key: here.crowd.truth(key) for key in KEYS}


async def test_a_rebuild_of_a_partition_is_refused_by_a_node_that_does_not_follow_it(begin: Opener) -> None:
    async with begin(QUICK) as here:
        nodes = [await here.join(), await here.join()]
        await here.crowd.act(KEYS, 50)
        await assert_exact(here)
        answers = [await answer(node) for node in nodes]
        targets = sum(partition_of(*key, PARTITIONS) == 3 and here.crowd.versions[key] > 0 for key in KEYS)
        assert sorted(answers) == sorted(["UNAVAILABLE", str(targets)])


async def answer(node: Node) -> str:
    stub: Any = pb_grpc.CounterServiceStub(node.channel)
    call = stub.Rebuild(
        pb.RebuildRequest(partitions=[3]), metadata=node.mesh.metadata(f"{COUNTER}/Rebuild"), timeout=10
    )
    code = await call.code()
    return str((await call).targets) if code == grpc.StatusCode.OK else code.name
