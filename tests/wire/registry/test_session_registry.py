"""The session registry as nodes and watchers see it: a real server, a clock turned by hand."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc

from kit.auth.keys import Keys
from kit.clock import ManualClock
from kit.cluster.nodes import RegistryNodes
from kit.rpc.server import Hosted, serving
from kit.tasks import background
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry.config import Config
from session_registry.domain import NodeUpdate
from session_registry.elected import ElectedRegistry
from session_registry.service import Link, Registry
from session_registry.servicer import SessionRegistryServicer
from tests.wire.registry.registering import (
    CONFIG,
    ECHO,
    TIMEOUT,
    RawNode,
    gateway,
    mesh,
    owner_is,
    registry,
    until,
    watching,
)

ABORTED = grpc.StatusCode.ABORTED


async def test_sessions_of_a_node_are_listed_until_it_closes_them(keys: Keys) -> None:
    async with registry(keys) as server, mesh(keys) as reach, watching(reach, server.address) as watcher:
        async with gateway(reach, server.address, "n1") as node:
            node.registration.opened("s1", "acme", "alice", "phone")
            node.registration.subscribe("acme", "messages/1")
            node.registration.subscribe("acme", "messages/2")
            await until(lambda: watcher.interests == {("n1", "messages/1"), ("n1", "messages/2")})
            await owner_is(reach, server.address, "alice", ("n1", "s1"))
            assert watcher.nodes == {"n1": "n1:1"}
            node.registration.closed("s1")
            node.registration.unsubscribe("acme", "messages/1")
            await until(lambda: watcher.interests == {("n1", "messages/2")})
            await owner_is(reach, server.address, "alice")
        # The clock does not move: the node is gone because it left.
        await until(lambda: not watcher.nodes and not watcher.interests)


async def test_a_later_login_of_the_device_on_another_node_fences_the_first(keys: Keys) -> None:
    async with (
        registry(keys) as server,
        mesh(keys) as reach,
        gateway(reach, server.address, "n1") as one,
        gateway(reach, server.address, "n2") as two,
    ):
        one.registration.opened("s1", "acme", "alice", "phone")
        one.registration.opened("s2", "acme", "alice", "laptop")
        await owner_is(reach, server.address, "alice", ("n1", "s1"), ("n1", "s2"))
        two.registration.opened("s3", "acme", "alice", "phone")
        await until(lambda: one.fenced == ["s1"])
        await owner_is(reach, server.address, "alice", ("n1", "s2"), ("n2", "s3"))
        assert two.fenced == []


async def test_a_user_logs_out_devices_on_all_nodes(keys: Keys) -> None:
    async with (
        registry(keys) as server,
        mesh(keys) as reach,
        gateway(reach, server.address, "n1") as one,
        gateway(reach, server.address, "n2") as two,
    ):
        one.registration.opened("s1", "acme", "alice", "phone")
        await owner_is(reach, server.address, "alice", ("n1", "s1"))
        two.registration.opened("s2", "acme", "alice", "laptop")
        two.registration.opened("s3", "acme", "alice", "")
        one.registration.opened("s4", "acme", "bob", "phone")
        await owner_is(reach, server.address, "bob", ("n1", "s4"))
        await owner_is(reach, server.address, "alice", ("n1", "s1"), ("n2", "s2"), ("n2", "s3"))
        stub: Any = pb_grpc.SessionRegistryServiceStub(reach.channel(server.address))
        token = keys.minter().mint_user("alice", "acme")

        async def end(**fields: str) -> int:
            request = pb.EndSessionsRequest(**fields)
            return int((await stub.EndSessions(request, metadata=(("authorization", f"Bearer {token}"),))).ended)

        assert await end(all_except_device_id="phone") == 2
        async with asyncio.timeout(1):
            await until(lambda: sorted(two.logged_out) == ["s2", "s3"])
        await owner_is(reach, server.address, "alice", ("n1", "s1"))
        assert await end(device_id="phone") == 1
        await until(lambda: one.logged_out == ["s1"])
        assert await end(device_id="phone") == 0
        await owner_is(reach, server.address, "alice")
        await owner_is(reach, server.address, "bob", ("n1", "s4"))
        assert (one.fenced, two.fenced) == ([], [])
        # It may log in again.
        one.registration.opened("s5", "acme", "alice", "phone")
        await owner_is(reach, server.address, "alice", ("n1", "s5"))


async def test_a_silent_node_is_removed_when_its_lease_is_over(keys: Keys) -> None:
    clock = ManualClock()
    async with (
        registry(keys, clock=clock) as server,
        mesh(keys) as reach,
        watching(reach, server.address) as watcher,
    ):
        node = RawNode(reach, server.address)
        first = await node.attach("n1")
        assert (first.lease_ms, first.epoch > 0) == (10_000, True)
        session = session_pb2.Session(session_id="s1", tenant="acme", user="alice", device="phone")
        topic = session_pb2.Topic(tenant="acme", name="messages/1")
        await node.report(pb.AttachRequest(opened=[session], wanted=[topic]))
        await until(lambda: watcher.interests)
        clock.advance(9.9)
        await node.report(pb.AttachRequest())  # the heartbeat
        clock.advance(9.9)
        await owner_is(reach, server.address, "alice", ("n1", "s1"))
        clock.advance(0.1)
        await until(lambda: not watcher.nodes and not watcher.interests)
        failure = await node.failure()
        assert (failure.code, failure.reason) == (ABORTED, "LEASE_EXPIRED")
        await owner_is(reach, server.address, "alice")


async def test_a_node_that_was_removed_attaches_again_with_all_its_sessions(keys: Keys) -> None:
    clock = ManualClock()
    async with (
        registry(keys, clock=clock) as server,
        mesh(keys) as reach,
        watching(reach, server.address) as watcher,
        gateway(reach, server.address, "n1") as node,
    ):
        node.registration.opened("s1", "acme", "alice", "phone")
        node.registration.subscribe("acme", "messages/1")
        await until(lambda: watcher.interests)
        before, epoch = watcher.responses, node.registration.epoch
        clock.advance(10.0)
        await until(lambda: watcher.responses > before and watcher.interests == {("n1", "messages/1")})
        await until(lambda: node.registration.epoch > epoch)
        await owner_is(reach, server.address, "alice", ("n1", "s1"))
        assert node.fenced == []


class Listening(Registry):
    """Counts the reports of nodes."""

    heard = 0

    def apply_update(self, link: Link, update: NodeUpdate) -> None:
        super().apply_update(link, update)
        self.heard += 1


class PermanentLeadership(ElectedRegistry):
    """Leads without a campaign."""

    def __init__(self, registry: Registry) -> None:
        self._always = registry

    def registry(self) -> Registry:
        return self._always


async def test_heartbeats_renew_a_lease(keys: Keys) -> None:
    clock = ManualClock()
    registry = Listening(Config(lease_seconds=0.6, sweep_seconds=0.01), clock)
    hosted = Hosted(
        SessionRegistryServicer(PermanentLeadership(registry)),
        pb_grpc.add_SessionRegistryServiceServicer_to_server,
        drain=registry.stop,
    )
    async with (
        background(registry.sweep()),
        serving([hosted], verifier=keys.verifier()) as server,
        mesh(keys) as reach,
        watching(reach, server.address) as watcher,
        gateway(reach, server.address, "n1") as node,
    ):
        await until(lambda: watcher.nodes)
        responses, epoch = watcher.responses, node.registration.epoch
        for _ in range(3):
            clock.advance(0.59)
            heard = registry.heard
            await until(lambda heard=heard: registry.heard > heard)  # type: ignore[misc]
        assert (watcher.responses, node.registration.epoch) == (responses, epoch)


async def test_a_node_whose_stream_broke_has_a_second_to_attach_again(keys: Keys) -> None:
    clock = ManualClock()
    config = CONFIG.model_copy(update={"lease_seconds": 600.0})
    async with (
        registry(keys, clock=clock, config=config) as server,
        mesh(keys) as reach,
        watching(reach, server.address) as watcher,
    ):
        for name in ("n1", "n2"):
            node = RawNode(reach, server.address)
            await node.attach(name)
            node.call.cancel()
        again = RawNode(reach, server.address)
        await until(lambda: watcher.nodes.keys() == {"n1", "n2"})
        await again.attach("n2")
        # The end of the stream is detected a little after its cancellation.
        async with asyncio.timeout(TIMEOUT):
            while "n1" in watcher.nodes:
                clock.advance(0.2)
                await again.report(pb.AttachRequest())
        assert clock.monotonic() < 590.0, "it is not the lease that was over"
        assert watcher.nodes.keys() == {"n2"}


async def test_a_second_attachment_of_a_node_ends_the_first(keys: Keys) -> None:
    async with registry(keys) as server, mesh(keys) as reach, watching(reach, server.address) as watcher:
        first, second = RawNode(reach, server.address), RawNode(reach, server.address)
        one, two = await first.attach("n1"), await second.attach("n1")
        assert two.epoch > one.epoch
        failure = await first.failure()
        assert (failure.code, failure.reason) == (ABORTED, "REPLACED")
        topic = session_pb2.Topic(tenant="acme", name="messages/1")
        await second.report(pb.AttachRequest(wanted=[topic]))
        await until(lambda: watcher.interests == {("n1", "messages/1")})


async def test_after_a_restart_nodes_report_everything_again_and_the_newest_login_stays(
    keys: Keys,
) -> None:
    nodes, seen = RegistryNodes(), set[tuple[str, ...]]()
    async with mesh(keys) as reach, AsyncExitStack() as first:
        address = (await first.enter_async_context(registry(keys))).address
        async with (
            gateway(reach, address, "n1") as one,
            gateway(reach, address, "n2") as two,
            nodes.running(reach, address),
        ):
            one.registration.opened("s1", "acme", "alice", "phone")
            one.registration.opened("s2", "acme", "bob", "phone")
            one.registration.subscribe("acme", "messages/1")
            two.registration.subscribe("acme", "messages/1")
            await owner_is(reach, address, "alice", ("n1", "s1"))
            await owner_is(reach, address, "bob", ("n1", "s2"))
            await until(lambda: nodes.addresses(ECHO) == ("n1:1", "n2:1"))
            await first.aclose()
            two.registration.opened("s3", "acme", "alice", "phone")  # while no registry runs
            two.registration.subscribe("acme", "messages/2")
            clock = ManualClock()
            clock.advance(1.0)
            async with registry(keys, clock=clock, listen=address), watching(reach, address) as watcher:
                complete = {("n1", "messages/1"), ("n2", "messages/1"), ("n2", "messages/2")}

                def reported_again() -> bool:
                    seen.add(nodes.addresses(ECHO))
                    return watcher.interests == complete

                await until(reported_again)
                await until(lambda: one.fenced == ["s1"])
                await owner_is(reach, address, "alice", ("n2", "s3"))
                await owner_is(reach, address, "bob", ("n1", "s2"))
                assert two.fenced == []
                assert seen == {("n1:1", "n2:1")}, "no process ever lost sight of the nodes"


async def test_a_session_of_a_disconnected_node_does_not_fence_a_newer_one_after_the_node_attaches_again(
    keys: Keys,
) -> None:
    async with (
        registry(keys) as server,
        mesh(keys) as reach,
        mesh(keys) as apart,
        gateway(reach, server.address, "n2") as two,
        gateway(apart, server.address, "n1") as one,
    ):
        one.registration.opened("s1", "acme", "alice", "phone")
        await owner_is(reach, server.address, "alice", ("n1", "s1"))
        # Another stream in the name of n1 ends the first, as if it had been paused for long.
        usurper = RawNode(reach, server.address)
        await usurper.attach("n1")
        two.registration.opened("s2", "acme", "alice", "phone")
        await until(lambda: one.fenced == ["s1"])
        await owner_is(reach, server.address, "alice", ("n2", "s2"))
        assert two.fenced == []
