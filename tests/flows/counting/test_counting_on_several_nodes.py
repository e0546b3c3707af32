"""Counters on several nodes: partitions that change nodes, watches and rebuilds over all of them."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

import grpc
import pytest

from counter_svc.adapters.redis_counts import RedisCounts
from counter_svc.config import Config
from kit.adapters.redis.engine import Redis
from kit.target import partition_of
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc as pb_grpc
from tests.flows.counting.counters import COUNTER, CounterCluster, Node
from tests.flows.counting.several_counters import (
    KEYS,
    PARTITIONS,
    QUICK,
    Opener,
    are_shared,
    assert_exact,
    fixture_begin,
    fixture_redis,
    metric,
)
from tests.flows.crowd import eventually

__all__ = ["fixture_begin", "fixture_redis"]


class Load:
    """People who react, and others who look: at every node, at what they know to be there."""

    def __init__(self, here: CounterCluster) -> None:
        self._here = here
        self._random = random.Random(7)
        self.changes = self.reads = self.moved = 0
        self.done = asyncio.Event()

    async def react(self) -> None:
        while not self.done.is_set():
            await self._here.crowd.act(KEYS, 20)
            self.changes += 20
            await asyncio.sleep(0.01)

    async def read(self) -> None:
        while not self.done.is_set():
            for node in list(self._here.nodes):
                keys = self._random.sample(KEYS, 5)
                await self._read(node, keys)
            await asyncio.sleep(0)

    async def _read(self, node: Node, keys: list[TargetKey]) -> None:
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
        self.reads += 1

    async def more(self, changes: int) -> None:
        """Goes on until so many more changes were made and looked at."""
        until, reads = self.changes + changes, self.reads + 10

        async def enough() -> bool:
            return self.changes >= until and self.reads >= reads

        await eventually(enough, 30)


@pytest.mark.timeout(180)
async def test_counts_are_exact_while_nodes_join_leave_and_are_killed(begin: Opener) -> None:
    async with begin(QUICK) as here:
        gaps, drift = metric("log_gaps_total"), metric("drift_targets_total", found_by="rebuild")
        await here.join()
        load = Load(here)
        async with asyncio.TaskGroup() as group:
            for work in (load.react(), load.read(), load.read()):
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


async def test_two_nodes_with_the_same_partitions_share_correct_counts(begin: Opener, redis: Redis) -> None:
    async with begin(QUICK) as here:
        lost, owner = await here.join(), await here.join()
        # Each believes to be alone: both read and share everything.
        lost.mesh.set_resolver(IsolatedView(here, lost.address))
        owner.mesh.set_resolver(IsolatedView(here, owner.address))
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


class IsolatedView:
    """The nodes as one sees them that thinks the other counters are gone."""

    def __init__(self, here: CounterCluster, own: str) -> None:
        self._here = here
        self._own = own

    def addresses(self, service: str) -> tuple[str, ...]:
        found = self._here.addresses(service)
        return (self._own,) if self._own in found else found

    def address_of(self, node_id: str) -> str:
        return ""


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


async def test_any_node_can_have_targets_of_any_partition_recounted(begin: Opener, redis: Redis) -> None:
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
