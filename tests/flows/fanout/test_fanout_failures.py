"""Streams that break, nodes that stand still or are down: the last state arrives."""

from __future__ import annotations

from fanout_svc.config import Config
from kit.tenant_keys import TargetKey
from plaudit.fanout.v1 import fanout_service_pb2 as pb
from tests.flows.crowd import eventually
from tests.flows.fanout.fanout_system import DESCRIBE, HOT, QUIET, FanoutSystem, fixture_system, fixture_whole

__all__ = ["fixture_system", "fixture_whole"]


async def test_after_a_broken_stream_the_last_count_arrives(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(HOT, QUIET)
    await node.update(QUIET, 0)
    await node.update(HOT, 0)
    node.receiver.whole.clear()
    for _ in range(5):
        await whole.crowd.act([HOT], 10)
    before = node.receiver.streams

    async def retried() -> bool:
        return node.receiver.streams > before + 1

    await eventually(retried)
    assert len(node.updates(HOT)) == 1
    node.receiver.whole.set()
    await node.assert_exact(whole.crowd, HOT)
    assert len(node.updates(QUIET)) >= 1


async def test_a_node_that_hangs_delays_no_other_node_and_gets_only_the_newest(system: FanoutSystem) -> None:
    hasty = Config(window_seconds=0.02, batches_in_flight=2)
    async with system.registry(), system.counter(), system.fanout(hasty):
        still, lively = await system.node("n1"), await system.node("n2")
        keys: list[TargetKey] = [("default", f"messages/{n}") for n in range(50)]
        still.subscribe(*keys)
        lively.subscribe(*keys)
        for key in keys:
            await still.update(key, 0)
            await lively.update(key, 0)
        still.receiver.open.clear()
        for _ in range(8):
            await system.crowd.act(keys, 500)
            await lively.assert_exact(system.crowd, *keys)
        still.receiver.open.set()
        await still.assert_exact(system.crowd, *keys)
        # Two batches were on their way when it stood still; the rest was merged.
        assert len(still.receiver.got) <= (1 + 2 + 1) * len(keys)
        assert len(lively.receiver.got) == (1 + 8) * len(keys)


async def test_deliveries_in_flight_when_the_stream_broke_are_sent_again(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(("default", "users/alice"), QUIET)
    await node.update(QUIET, 0)
    node.receiver.whole.clear()
    before = node.receiver.streams
    await whole.crowd.append([whole.crowd.toggle(HOT, "alice", emoji) for emoji in "👍❤😆"])

    async def broke() -> bool:
        return node.receiver.streams > before

    await eventually(broke)
    node.receiver.whole.set()

    async def received() -> bool:
        return [one.version for _, one in node.receiver.got if one.type == "own_reaction_update"] == [1, 2, 3]

    await eventually(received)


async def test_changes_while_fan_out_is_down_are_in_its_snapshots_after_a_restart(system: FanoutSystem) -> None:
    async with system.registry(), system.counter():
        node = await system.node("n1")
        node.subscribe(HOT)
        async with system.fanout():
            await system.crowd.act([HOT], 10)
            await node.assert_exact(system.crowd, HOT)
        await system.crowd.act([HOT], 10)
        async with system.fanout():
            await node.assert_exact(system.crowd, HOT)


async def test_after_a_restart_of_the_registry_changes_arrive_again(system: FanoutSystem) -> None:
    async with system.counter(), system.fanout():
        async with system.registry() as address:
            node = await system.node("n1")
            node.subscribe(HOT)
            await node.update(HOT, 0)
        await system.crowd.act([HOT], 10)
        async with system.registry(address):
            await system.crowd.act([HOT], 10)
            await node.assert_exact(system.crowd, HOT)
            await system.crowd.act([HOT], 10)
            await node.assert_exact(system.crowd, HOT)


async def test_a_node_that_does_not_answer_gets_a_new_stream_and_snapshots(system: FanoutSystem) -> None:
    async with system.registry(), system.counter(), system.fanout(Config(answer_seconds=0.05)):
        node = await system.node("n1")
        node.subscribe(HOT)
        await node.update(HOT, 0)
        node.receiver.open.clear()
        await system.crowd.act([HOT], 10)
        before = node.receiver.streams

        async def called_again() -> bool:
            return node.receiver.streams > before

        await eventually(called_again)
        node.receiver.open.set()
        await node.assert_exact(system.crowd, HOT)


async def test_a_node_that_lags_far_gets_snapshots_of_all_topics(system: FanoutSystem) -> None:
    async with (
        system.registry(),
        system.counter(),
        system.fanout(Config(send_queue_deliveries=512, batches_in_flight=1)),
    ):
        node = await system.node("n1")
        keys: list[TargetKey] = [("default", f"messages/{n}") for n in range(1_000)]
        node.subscribe(*keys)
        for key in keys:
            await node.update(key, 0)
        node.receiver.open.clear()
        for start in range(0, 1_000, 100):
            await system.crowd.append([system.crowd.toggle(key, "alice", "👍") for key in keys[start : start + 100]])
        mesh = await system.mesh()
        request = pb.DescribeTopicsRequest(tenant="default", topics=[key[1] for key in keys]).SerializeToString()

        async def all_sent() -> bool:
            found = pb.DescribeTopicsResponse.FromString(await mesh.call(DESCRIBE, request)).topics
            return all(one.sent_version == 1 for one in found)

        await eventually(all_sent)
        node.receiver.open.set()
        await node.assert_exact(system.crowd, *keys)
