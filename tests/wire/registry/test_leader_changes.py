"""A registry that leads is paused, killed or restarted: nodes, sessions and interest stay."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest

from engines.server import free_port
from kit.auth.keys import Keys
from kit.rpc.mesh import Mesh
from tests.registryprocess import LEASE, Process, process, registry
from tests.wire.registry.registering import RawNode, Watcher, gateway, mesh, until, watching
from tests.wire.registry.registries import (
    Stores,
    agree,
    fixture_folder,
    fixture_keys,
    fixture_keyspace,
    fixture_stores,
    leader_of,
    observed_nodes,
    refusal,
    two_gateways,
)

__all__ = ["fixture_folder", "fixture_keys", "fixture_keyspace", "fixture_stores"]


@asynccontextmanager
async def interest_of(reach: Mesh, addresses: Sequence[str]) -> AsyncIterator[Watcher]:
    async with watching(reach, await leader_of(reach, addresses)) as watcher:
        yield watcher


@pytest.mark.parametrize("how", ["stopped", "killed", "paused"])
async def test_a_leader_that_stops_is_succeeded_and_no_session_is_lost(
    keys: Keys, folder: Path, stores: Stores, how: str
) -> None:
    here = f"127.0.0.1:{free_port()}"
    async with AsyncExitStack() as stack:
        first: Process | None = None
        leaving = AsyncExitStack()
        if how == "stopped":
            address = (await leaving.enter_async_context(registry(keys, stores.urls))).address
        else:
            first = stack.enter_context(process("registry", str(folder), stores.urls, "127.0.0.1:0"))
            address = first.said
        reach = await stack.enter_async_context(mesh(keys))
        assert await leader_of(reach, [address]) == address
        addresses = (address, here)
        await stack.enter_async_context(registry(keys, stores.urls, here))
        one, two = await stack.enter_async_context(two_gateways(reach, addresses))
        seen = await stack.enter_async_context(observed_nodes(reach, addresses, 2))
        one.registration.opened("s1", "acme", "alice", "phone")
        one.registration.opened("s2", "acme", "bob", "phone")
        two.registration.opened("s3", "acme", "carol", "phone")
        one.registration.subscribe("acme", "messages/1")
        two.registration.subscribe("acme", "messages/2")
        await agree(reach, addresses, "alice", ("n1", "s1"))
        epoch = one.registration.epoch

        if first is None:
            await leaving.aclose()
        else:
            first.send(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        assert await leader_of(reach, [here]) == here
        async with watching(reach, here) as watcher:
            assert watcher.interests == {("n1", "messages/1"), ("n2", "messages/2")}, "complete when it begins"
            two.registration.opened("s4", "acme", "alice", "phone")
            one.registration.subscribe("acme", "messages/3")
            await until(lambda: ("n1", "messages/3") in watcher.interests)
            await until(lambda: one.fenced == ["s1"])
            await agree(reach, [here], "alice", ("n2", "s4"))
            await agree(reach, [here], "bob", ("n1", "s2"))
            await agree(reach, [here], "carol", ("n2", "s3"))
            assert one.registration.epoch > epoch
            assert two.fenced == []
            if how == "paused":
                assert first is not None
                first.send(signal.SIGCONT)
                async with asyncio.timeout(20.0):
                    failure = await refusal(reach, address)
                    while not failure.about:  # it has not asked yet who leads instead, or a connection was given up
                        # Without a reason it is gRPC's own: the stream ended while it was written to.
                        assert failure.reason in ("NOT_LEADER", "")
                        assert failure.code == grpc.StatusCode.UNAVAILABLE or not failure.reason
                        failure = await refusal(reach, address)
                assert (failure.reason, failure.about) == ("NOT_LEADER", {"leader": here})
                await agree(reach, addresses, "alice", ("n2", "s4"))
        assert seen.seen == {("n1:1", "n2:1")}, "no process ever lost sight of the nodes"


async def test_a_node_paused_during_a_change_of_leader_loses_sessions_that_moved(
    keys: Keys, folder: Path, stores: Stores
) -> None:
    async with AsyncExitStack() as stack:
        first = stack.enter_context(process("registry", str(folder), stores.urls, "127.0.0.1:0"))
        reach = await stack.enter_async_context(mesh(keys))
        await leader_of(reach, [first.said])
        second = await stack.enter_async_context(registry(keys, stores.urls))
        addresses = (first.said, second.address)
        paused = stack.enter_context(process("node", str(folder), ",".join(addresses), "old", "acme", "alice", "phone"))
        await agree(reach, addresses, "alice", ("old", "s-old"))
        paused.send(signal.SIGSTOP)
        first.end()
        async with gateway(reach, ",".join(addresses), "new") as new:
            new.registration.opened("s-new", "acme", "alice", "phone")
            await agree(reach, [second.address], "alice", ("new", "s-new"))
            async with watching(reach, second.address) as watcher:
                await until(lambda: watcher.nodes.keys() == {"new"})  # the lease of the other is over
                paused.send(signal.SIGCONT)
                assert await asyncio.to_thread(paused.line) == "fenced s-old"
                await until(lambda: watcher.nodes.keys() == {"new", "old"})
            await agree(reach, [second.address], "alice", ("new", "s-new"))
            assert new.fenced == []


async def test_a_session_that_moves_during_a_change_of_leader_is_of_its_new_node(
    keys: Keys, folder: Path, stores: Stores
) -> None:
    async with AsyncExitStack() as stack:
        first = stack.enter_context(process("registry", str(folder), stores.urls, "127.0.0.1:0"))
        reach = await stack.enter_async_context(mesh(keys))
        await leader_of(reach, [first.said])
        second = await stack.enter_async_context(registry(keys, stores.urls))
        addresses = (first.said, second.address)
        one, two = await stack.enter_async_context(two_gateways(reach, addresses))
        for index in range(50):
            one.registration.opened(f"s{index}", "acme", f"u{index}", "phone")
        await agree(reach, [first.said], "u49", ("n1", "s49"))
        # The sessions move while the leader changes: some are reported to the first, some to the second.
        for index in range(50):
            if index == 25:
                await agree(reach, [first.said], "u15", ("n2", "s15"))
                first.end()
            two.registration.opened(f"s{index}", "acme", f"u{index}", "phone")
        for index in range(50):
            await agree(reach, [second.address], f"u{index}", ("n2", f"s{index}"))
        await until(lambda: len(one.fenced) == 50)
        assert set(one.fenced) == {f"s{index}" for index in range(50)}
        assert two.fenced == []


async def test_both_registries_restart_and_the_newest_login_stays(keys: Keys, stores: Stores) -> None:
    addresses = tuple(f"127.0.0.1:{free_port()}" for _ in range(2))
    async with mesh(keys) as reach, AsyncExitStack() as stack:
        both = AsyncExitStack()
        for address in addresses:
            await both.enter_async_context(registry(keys, stores.urls, address))
        one, two = await stack.enter_async_context(two_gateways(reach, addresses))
        seen = await stack.enter_async_context(observed_nodes(reach, addresses, 2))
        one.registration.opened("s1", "acme", "alice", "phone")
        one.registration.subscribe("acme", "messages/1")
        await agree(reach, addresses, "alice", ("n1", "s1"))
        await both.aclose()
        two.registration.opened("s2", "acme", "alice", "phone")
        for address in addresses:
            await stack.enter_async_context(registry(keys, stores.urls, address))
        await agree(reach, addresses, "alice", ("n2", "s2"))
        await until(lambda: one.fenced == ["s1"])
        async with interest_of(reach, addresses) as watcher:
            assert watcher.interests == {("n1", "messages/1")}
        assert seen.seen == {("n1:1", "n2:1")}


async def test_a_node_that_ended_with_the_leader_is_removed_after_its_lease(keys: Keys, stores: Stores) -> None:
    async with mesh(keys) as reach, AsyncExitStack() as stack:
        leaving = AsyncExitStack()
        first = await leaving.enter_async_context(registry(keys, stores.urls))
        await leader_of(reach, [first.address])
        second = await stack.enter_async_context(registry(keys, stores.urls))
        dead = RawNode(reach, first.address)
        await dead.attach("dead")
        one = await stack.enter_async_context(gateway(reach, f"{first.address},{second.address}", "n1"))
        one.registration.subscribe("acme", "messages/1")
        async with watching(reach, first.address) as watcher:
            await until(lambda: watcher.interests)
        began = time.monotonic()
        await leaving.aclose()
        await leader_of(reach, [second.address])
        async with watching(reach, second.address, topics=False) as nodes:
            assert nodes.nodes.keys() == {"dead", "n1"}, "both have the time to attach again"
            await until(lambda: nodes.nodes.keys() == {"n1"})
            assert time.monotonic() - began >= LEASE * 0.9
        async with watching(reach, second.address) as watcher:
            assert watcher.interests == {("n1", "messages/1")}
