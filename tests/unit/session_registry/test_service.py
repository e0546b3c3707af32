"""What waits for nodes and watchers, and a registry that stood still."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from kit.clock import ManualClock
from kit.errors import Unavailable
from kit.tasks import background
from session_registry.config import Config
from session_registry.domain import Delta, Interest, Node, NodeUpdate, Session, Topic
from session_registry.errors import LeaseExpired, LimitReached, Replaced, WatchLagged
from session_registry.response_queue import NodeResponse, ResponseQueue
from session_registry.service import Link, Registry
from session_registry.watch_buffer import WatchBuffer
from tests.clocks import PausedClock

NOTHING = NodeUpdate()


def node(name: str) -> Node:
    return Node(name, f"{name}:1", ())


def topic(number: int) -> Topic:
    return Topic("acme", f"messages/{number}")


def interest(name: str, number: int, wanted: bool = True) -> Interest:
    return Interest(name, topic(number), wanted)


async def attached(registry: Registry, name: str, update: NodeUpdate = NOTHING) -> Link:
    link = registry.attach(node(name), update)
    first = await link.responses.next()
    assert first is not None
    assert first.epoch == link.node.epoch > 0
    assert len(link.responses) == 0
    return link


async def test_a_fence_is_sent_after_the_grant_of_the_fenced_session() -> None:
    registry = Registry(Config(), ManualClock())
    one, two = await attached(registry, "n1"), await attached(registry, "n2")
    registry.apply_update(two, NodeUpdate(opened=(Session("s2", "acme", "alice", "phone"),)))
    registry.apply_update(one, NodeUpdate(opened=(Session("s1", "acme", "alice", "phone", epoch=5),)))
    first, second = await one.responses.next(), await one.responses.next()
    assert first is not None
    assert second is not None
    assert ([session.session_id for session in first.granted], first.fenced) == (["s1"], ())
    assert (second.granted, second.fenced) == ((), ("s1",))


async def test_responses_are_in_order_and_consecutive_fences_are_joined() -> None:
    responses = ResponseQueue()
    session = Session("s1", "acme", "alice", "phone")
    responses.fence(["a"])
    responses.fence(["b"])
    responses.add(NodeResponse(granted=(session,)))
    responses.fence(["c"])
    responses.close()
    answers = [await responses.next() for _ in range(4)]
    assert answers == [
        NodeResponse(fenced=("a", "b")),
        NodeResponse(granted=(session,)),
        NodeResponse(fenced=("c",)),
        None,
    ]


async def test_a_failure_is_sent_before_waiting_responses() -> None:
    responses = ResponseQueue()
    responses.add(NodeResponse())
    responses.close(Replaced("later"))
    responses.close(LeaseExpired("even later"))
    with pytest.raises(Replaced):
        await responses.next()


async def test_a_node_that_does_not_read_its_responses_is_not_read_from() -> None:
    responses = ResponseQueue()
    for _ in range(1_001):
        responses.add(NodeResponse())
    waiting = asyncio.ensure_future(responses.wait_for_capacity())
    await asyncio.sleep(0)
    assert not waiting.done()
    await responses.next()
    await asyncio.wait_for(waiting, 5.0)


async def test_changes_of_interest_are_merged_but_not_across_a_node_that_joins_or_leaves() -> None:
    backlog = WatchBuffer(100, topics=True)
    for delta in (
        Delta(up=(node("n1"),)),
        Delta(interests=(interest("n1", 1),)),
        Delta(interests=(interest("n1", 2),)),
        Delta(down=("n1",)),
        Delta(up=(node("n1"),)),
        Delta(interests=(interest("n1", 3),)),
    ):
        assert backlog.add(delta)
    assert await backlog.next() == Delta(up=(node("n1"),), interests=(interest("n1", 1), interest("n1", 2)))
    assert await backlog.next() == Delta(down=("n1",))
    assert await backlog.next() == Delta(up=(node("n1"),), interests=(interest("n1", 3),))


async def test_a_watcher_that_reads_may_get_any_number_of_changes() -> None:
    backlog = WatchBuffer(3, topics=True)
    for number in range(50):
        assert backlog.add(Delta(interests=(interest("n1", number), interest("n1", number, False))))
        assert len((await backlog.next()) or ()) == 2


async def test_a_slow_watcher_is_ended_and_its_queue_is_dropped() -> None:
    registry = Registry(Config(watch_backlog=10), ManualClock())
    link = await attached(registry, "n1")
    async with aclosing(registry.watch(topics=True)) as watch:
        assert (await anext(watch))[1]
        for number in range(11):
            registry.apply_update(link, NodeUpdate(subscribed=(topic(number),)))
        with pytest.raises(WatchLagged):
            await anext(watch)


async def test_changes_during_the_first_state_are_sent_after_it() -> None:
    registry = Registry(Config(), ManualClock())
    link = await attached(registry, "n1", NodeUpdate(subscribed=tuple(topic(number) for number in range(12_000))))
    async with aclosing(registry.watch(topics=True)) as watch:
        pieces = [await anext(watch)]
        registry.apply_update(link, NodeUpdate(unsubscribed=(topic(11_999),), subscribed=(topic(12_000),)))
        pieces += [await anext(watch) for _ in range(2)]
        assert [synced for _, synced in pieces] == [False, False, True]
        assert {one.topic for delta, _ in pieces for one in delta.interests} == {topic(n) for n in range(12_000)}
        delta, synced = await anext(watch)
        assert (delta.interests, synced) == ((interest("n1", 11_999, False), interest("n1", 12_000)), False)


async def test_watchers_are_limited_and_one_that_ends_frees_capacity() -> None:
    registry = Registry(Config(max_watchers=1), ManualClock())
    for _ in range(3):
        async with aclosing(registry.watch(topics=False)) as watch:
            await anext(watch)
            with pytest.raises(LimitReached):
                await anext(registry.watch(topics=False))


async def test_a_registry_that_stops_ends_all_streams_and_refuses_new_nodes() -> None:
    registry = Registry(Config(), ManualClock())
    link = await attached(registry, "n1")
    async with aclosing(registry.watch(topics=False)) as watch:
        await anext(watch)
        registry.stop()
        for waiting in (anext(watch), link.responses.next(), anext(registry.watch(topics=False))):
            with pytest.raises(Unavailable):
                await waiting
    with pytest.raises(Unavailable):
        registry.attach(node("n2"), NOTHING)


async def test_a_registry_that_was_paused_extends_the_leases_of_nodes() -> None:
    swept = asyncio.Event()

    class ObservedRegistry(Registry):
        def expire(self) -> None:
            super().expire()
            swept.set()

    clock = PausedClock()
    registry = ObservedRegistry(Config(lease_seconds=0.5, sweep_seconds=0.01), clock)
    async with background(registry.sweep(clock.monotonic)):
        await asyncio.wait_for(swept.wait(), 5.0)
        registry.attach(node("n1"), NOTHING)
        swept.clear()
        clock.pause(0.7)
        await asyncio.wait_for(swept.wait(), 5.0)
        assert registry.sizes()[0] == 1
