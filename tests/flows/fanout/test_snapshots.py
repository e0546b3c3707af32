"""The first counts of a topic: where they come from, and when they are sent again."""

from __future__ import annotations

from plaudit.fanout.v1 import fanout_service_pb2 as pb
from tests.flows.crowd import StalledLog, eventually
from tests.flows.fanout.fanout_system import DESCRIBE, HOT, QUIET, FanoutSystem, fixture_system, fixture_whole

__all__ = ["fixture_system", "fixture_whole"]


async def test_updates_need_no_counter(system: FanoutSystem) -> None:
    async with system.registry(), system.fanout():
        node = await system.node("n1")
        async with system.counter():
            node.subscribe(HOT)
            await node.update(HOT, 0)
        for _ in range(3):
            await system.crowd.act([HOT], 10)
            await node.assert_exact(system.crowd, HOT)


async def test_a_snapshot_waits_only_for_a_counter_that_is_down(system: FanoutSystem) -> None:
    async with system.registry(), system.fanout():
        node = await system.node("n1")
        node.subscribe(HOT, QUIET)
        await system.crowd.act([HOT], 10)
        await node.assert_exact(system.crowd, HOT)
        assert not node.updates(QUIET)
        async with system.counter():
            assert (await node.update(QUIET, 0)).version == 0


async def test_a_snapshot_has_the_changes_in_it_that_the_counter_has_not_counted_yet(system: FanoutSystem) -> None:
    deaf = StalledLog(system.log)
    async with system.registry(), system.counter(deaf), system.fanout():
        one, two = await system.node("n1"), await system.node("n2")
        one.subscribe(HOT)
        await one.update(HOT, 0)
        await system.crowd.act([QUIET], 10)  # without subscribers
        await system.crowd.act([HOT], 10)
        await one.assert_exact(system.crowd, HOT)
        two.subscribe(HOT, QUIET)
        await two.assert_exact(system.crowd, HOT, QUIET)
        assert (len(two.updates(HOT)), len(two.updates(QUIET))) == (1, 1)


async def test_a_node_that_subscribes_again_immediately_gets_a_snapshot_again(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(HOT)
    await node.update(HOT, 0)
    node.registration.unsubscribe(*HOT)  # the last viewer leaves and another one comes, in the same moment
    node.registration.subscribe(*HOT)

    async def again() -> bool:
        return len(node.updates(HOT)) == 2

    await eventually(again)


async def test_the_subscribers_of_a_topic_are_described(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(HOT)
    await whole.crowd.act([HOT], 150)
    await node.assert_exact(whole.crowd, HOT)
    request = pb.DescribeTopicsRequest(tenant="default", topics=[HOT[1], QUIET[1]])
    mesh = await whole.mesh()
    found = pb.DescribeTopicsResponse.FromString(await mesh.call(DESCRIBE, request.SerializeToString())).topics
    assert [(one.topic, list(one.node_ids), one.sent_version) for one in found] == [
        (HOT[1], ["n1"], 150),
        (QUIET[1], [], 0),
    ]


async def test_a_node_that_unsubscribed_gets_no_updates(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(HOT, QUIET)
    await node.update(HOT, 0)
    node.registration.unsubscribe(*HOT)
    mesh = await whole.mesh()
    request = pb.DescribeTopicsRequest(tenant="default", topics=[HOT[1]]).SerializeToString()

    async def forgotten() -> bool:
        found = pb.DescribeTopicsResponse.FromString(await mesh.call(DESCRIBE, request)).topics[0]
        return not found.node_ids and not found.sent_version

    await eventually(forgotten)
    await whole.crowd.append([whole.crowd.toggle(key, "alice", "👍") for key in (HOT, QUIET)])
    await node.assert_exact(whole.crowd, QUIET)
    assert len(node.updates(HOT)) == 1
