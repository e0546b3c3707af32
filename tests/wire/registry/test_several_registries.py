"""Several registries on real engines: one leads, and whatever happens to it nodes, owners and interest stay."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from engines.server import free_port
from kit.adapters.cassandra.schema import migrate
from kit.auth.keys import Keys, open_keys
from kit.cluster.nodes import RegistryNodes
from kit.cluster.registry_endpoints import RegistryEndpoints, problem_of
from kit.errors import RemoteError
from kit.rpc.mesh import Mesh
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry.adapters.cassandra_lease import SCHEMA
from tests.engines import Engines
from tests.ownredis import OwnRedis, own_redis
from tests.registryprocess import LEASE, QUICK, Process, process, registry
from tests.wire.registry.registering import ECHO, REGISTRY, Gateway, RawNode, Watcher, gateway, mesh, until, watching


@dataclass
class Stores:
    """What registries share: routes in Redis, and the lease in a keyspace, or where that is "" in Redis too."""

    redis: OwnRedis
    keyspace: str

    @property
    def urls(self) -> str:
        return f"{self.redis.url} {self.keyspace}".strip()


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> str:
    url = engines.cassandra()
    asyncio.run(migrate(url, [SCHEMA]))
    return url


@pytest.fixture(name="stores")
def fixture_stores(keyspace: str) -> Iterator[Stores]:
    with own_redis() as redis:
        yield Stores(redis, keyspace)


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    open_keys(tmp_path)
    return tmp_path


@pytest.fixture(name="keys")
def fixture_keys(folder: Path) -> Keys:
    return open_keys(folder)


def stub(reach: Mesh, address: str) -> Any:
    return pb_grpc.SessionRegistryServiceStub(reach.channel(address))


async def found_at(reach: Mesh, address: str, user: str) -> pb.GetSessionsResponse | RemoteError | None:
    """What one registry says of a user's sessions."""
    request = pb.GetSessionsRequest(tenant="acme", user=user)
    try:
        answer: pb.GetSessionsResponse = await stub(reach, address).GetSessions(
            request, metadata=reach.metadata(f"{REGISTRY}/GetSessions"), timeout=2.0
        )
        return answer
    except grpc.aio.AioRpcError as error:
        return problem_of(error)


def owners(answer: object) -> list[tuple[str, str]]:
    if not isinstance(answer, pb.GetSessionsResponse):
        return []
    return [(one.node_id, one.session_id) for one in answer.sessions]


async def agree(reach: Mesh, addresses: Sequence[str], user: str, *expected: tuple[str, str]) -> None:
    """Waits until every one of the registries has exactly these sessions."""
    said: dict[str, object] = {}
    try:
        async with asyncio.timeout(20.0):
            while True:
                said = {address: await found_at(reach, address, user) for address in addresses}
                if all(
                    isinstance(answer, pb.GetSessionsResponse) and owners(answer) == list(expected)
                    for answer in said.values()
                ):
                    return
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{user}: {said}") from None


async def refusal(reach: Mesh, address: str) -> RemoteError:
    """How a registry that does not lead refuses a node."""
    node = RawNode(reach, address)
    with suppress(grpc.aio.AioRpcError):  # it may be refused before it has said anything
        await node.call.write(pb.AttachRequest())
    return await node.failure()


async def leader_of(reach: Mesh, addresses: Sequence[str]) -> str:
    """The address of the registry that leads; waits for one."""
    async with asyncio.timeout(20.0):
        while True:
            for address in addresses:
                call = stub(reach, address).Watch(
                    pb.WatchRequest(), metadata=reach.metadata(f"{REGISTRY}/Watch"), timeout=5.0
                )
                try:
                    await call.read()
                    return address
                except grpc.aio.AioRpcError:
                    continue
                finally:
                    call.cancel()
            await asyncio.sleep(0.01)


@asynccontextmanager
async def two_registries(keys: Keys, stores: Stores) -> AsyncIterator[tuple[Mesh, tuple[str, str]]]:
    """A way to others, and two registries, of which one leads or soon will."""
    async with registry(keys, stores.urls) as a, registry(keys, stores.urls) as b, mesh(keys) as reach:
        yield reach, (a.address, b.address)


@asynccontextmanager
async def two_gateways(reach: Mesh, addresses: Sequence[str]) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two nodes that look for the leader among all registries, from either end."""
    async with (
        gateway(reach, ",".join(addresses), "n1") as one,
        gateway(reach, ",".join(reversed(addresses)), "n2") as two,
    ):
        yield one, two


class Seen:
    """Every set of nodes that a process has seen since the first complete one."""

    def __init__(self, nodes: RegistryNodes) -> None:
        self.nodes = nodes
        self.seen: set[tuple[str, ...]] = set()
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            self.seen.add(self.nodes.addresses(ECHO))
            await asyncio.sleep(0.005)

    def end(self) -> None:
        self._looking.cancel()


@asynccontextmanager
async def seen_by(reach: Mesh, addresses: Sequence[str], count: int) -> AsyncIterator[Seen]:
    nodes = RegistryNodes(grace=0.5)
    async with nodes.running(reach, addresses):
        await until(lambda: len(nodes.addresses(ECHO)) == count)
        seen = Seen(nodes)
        try:
            yield seen
        finally:
            seen.end()


@asynccontextmanager
async def interest_of(reach: Mesh, addresses: Sequence[str]) -> AsyncIterator[Watcher]:
    async with watching(reach, await leader_of(reach, addresses)) as watcher:
        yield watcher


async def test_a_standby_names_the_leader_and_nodes_find_it_from_any_end(keys: Keys, stores: Stores) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        leader = await leader_of(reach, addresses)
        [standby] = set(addresses) - {leader}
        async with two_gateways(reach, addresses) as (one, two):
            assert one.registration.is_attached()
            assert two.registration.is_attached()
            failure = await refusal(reach, standby)
            async with asyncio.timeout(5):
                while not failure.about:  # it looks now and then who leads
                    failure = await refusal(reach, standby)
            assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_LEADER")
            assert failure.about == {"leader": leader}
        # A name of several processes leads to a standby, which returns the address of the leader.
        async with gateway(reach, standby, "n3") as three:
            assert three.registration.is_attached()


async def test_any_registry_says_where_a_user_is_and_how_it_knows(keys: Keys, stores: Stores) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        leader = await leader_of(reach, addresses)
        async with two_gateways(reach, addresses) as (one, two):
            one.registration.opened("s1", "acme", "alice", "phone")
            await agree(reach, addresses, "alice", ("n1", "s1"))
            two.registration.opened("s2", "acme", "alice", "laptop")
            one.registration.opened("s3", "acme", "bob", "")
            await agree(reach, addresses, "alice", ("n1", "s1"), ("n2", "s2"))
            await agree(reach, addresses, "bob", ("n1", "s3"))
            for address in addresses:
                answer = await found_at(reach, address, "alice")
                assert isinstance(answer, pb.GetSessionsResponse)
                assert answer.from_routes == (address != leader)
                assert all(session.epoch > 0 for session in answer.sessions)
            two.registration.opened("s4", "acme", "alice", "phone")
            await agree(reach, addresses, "alice", ("n2", "s2"), ("n2", "s4"))
            assert one.fenced == ["s1"]
            two.registration.closed("s2")
            await agree(reach, addresses, "alice", ("n2", "s4"))
        await agree(reach, addresses, "alice")


async def test_users_list_their_own_sessions_and_services_anyones(keys: Keys, stores: Stores) -> None:
    async with registry(keys, stores.urls) as a, mesh(keys) as reach:
        await leader_of(reach, [a.address])
        minter = keys.minter()
        async with gateway(reach, a.address, "n1") as one:
            one.registration.opened("s1", "default", "alice", "phone")
            one.registration.opened("s2", "acme", "alice", "phone")
            await agree(reach, [a.address], "alice", ("n1", "s2"))

            async def listed(token: str, user: str) -> list[str]:
                answer = await stub(reach, a.address).ListSessions(
                    pb.ListSessionsRequest(user=user), metadata=(("authorization", f"Bearer {token}"),)
                )
                return [session.session_id for session in answer.sessions]

            assert await listed(minter.mint_user("alice"), "alice") == ["s1"]
            assert await listed(minter.mint_user("alice", "acme"), "alice") == ["s2"]
            assert await listed(minter.mint_service("push"), "alice") == ["s1"]
            for nobody in ("alice", "carol"):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await listed(minter.mint_user("bob"), nobody)
                assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("how", ["stopped", "killed", "paused"])
async def test_a_leader_that_goes_is_followed_and_nothing_is_lost(
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
        seen = await stack.enter_async_context(seen_by(reach, addresses, 2))
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


async def test_a_node_that_was_paused_through_a_change_of_leader_loses_what_others_took(
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


async def test_one_of_two_nodes_that_report_a_session_across_a_change_of_leader_keeps_it(
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
                first.end()
            two.registration.opened(f"s{index}", "acme", f"u{index}", "phone")
            await asyncio.sleep(0.001)
        for index in range(50):
            await agree(reach, [second.address], f"u{index}", ("n2", f"s{index}"))
        await until(lambda: len(one.fenced) == 50)
        assert set(one.fenced) == {f"s{index}" for index in range(50)}
        assert two.fenced == []


async def test_a_flushed_redis_is_filled_again_without_visible_effects(keys: Keys, stores: Stores) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        leader = await leader_of(reach, addresses)
        async with two_gateways(reach, addresses) as (one, two), seen_by(reach, addresses, 2) as seen:
            one.registration.opened("s1", "acme", "alice", "phone")
            two.registration.opened("s2", "acme", "bob", "phone")
            await agree(reach, addresses, "bob", ("n2", "s2"))
            epochs = (one.registration.epoch, two.registration.epoch)
            stores.redis.send("FLUSHALL")
            await agree(reach, addresses, "alice", ("n1", "s1"))
            await agree(reach, addresses, "bob", ("n2", "s2"))
            assert await leader_of(reach, addresses) == leader
            assert (one.registration.epoch, two.registration.epoch) == epochs, "nobody had to attach again"
            assert seen.seen == {("n1:1", "n2:1")}


async def test_while_redis_is_away_the_leader_goes_on_and_routes_are_there_again_afterwards(
    keys: Keys, stores: Stores
) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        leader = await leader_of(reach, addresses)
        async with two_gateways(reach, addresses) as (one, two), seen_by(reach, addresses, 2) as seen:
            one.registration.opened("s1", "acme", "alice", "phone")
            two.registration.opened("s2", "acme", "bob", "phone")
            await agree(reach, addresses, "bob", ("n2", "s2"))
            epochs = (one.registration.epoch, two.registration.epoch)
            stores.redis.kill()
            two.registration.opened("s3", "acme", "alice", "phone")
            one.registration.subscribe("acme", "messages/1")
            await until(lambda: one.fenced == ["s1"])
            await agree(reach, [leader], "alice", ("n2", "s3"))
            away = time.monotonic() + 2 * QUICK.leader_seconds
            await until(lambda: time.monotonic() > away)
            assert await leader_of(reach, addresses) == leader
            async with watching(reach, leader) as watcher:
                assert watcher.interests == {("n1", "messages/1")}
            stores.redis.start()
            await agree(reach, addresses, "alice", ("n2", "s3"))
            await agree(reach, addresses, "bob", ("n2", "s2"))
            assert (one.registration.epoch, two.registration.epoch) == epochs, "nobody had to attach again"
            assert seen.seen == {("n1:1", "n2:1")}


async def test_without_cassandra_no_registry_leads_while_redis_is_away_and_afterwards_all_is_restored(
    keys: Keys,
) -> None:
    with own_redis() as redis:
        stores = Stores(redis, "")
        await no_registry_leads_while_redis_is_away(keys, stores)


async def no_registry_leads_while_redis_is_away(keys: Keys, stores: Stores) -> None:
    async with two_registries(keys, stores) as (reach, addresses):
        await leader_of(reach, addresses)
        async with two_gateways(reach, addresses) as (one, two), seen_by(reach, addresses, 2) as seen:
            one.registration.opened("s1", "acme", "alice", "phone")
            two.registration.opened("s2", "acme", "bob", "phone")
            await agree(reach, addresses, "bob", ("n2", "s2"))
            before = max(one.registration.epoch, two.registration.epoch)
            stores.redis.kill()
            await until(lambda: not one.registration.is_attached() and not two.registration.is_attached())
            two.registration.opened("s3", "acme", "alice", "phone")
            stores.redis.start()
            await agree(reach, addresses, "alice", ("n2", "s3"))
            await agree(reach, addresses, "bob", ("n2", "s2"))
            await until(lambda: one.fenced == ["s1"])
            assert min(one.registration.epoch, two.registration.epoch) > before
            assert seen.seen == {("n1:1", "n2:1")}, "services stay reachable"


async def test_both_registries_restart_and_the_newest_login_stays(keys: Keys, stores: Stores) -> None:
    addresses = tuple(f"127.0.0.1:{free_port()}" for _ in range(2))
    async with mesh(keys) as reach, AsyncExitStack() as stack:
        both = AsyncExitStack()
        for address in addresses:
            await both.enter_async_context(registry(keys, stores.urls, address))
        one, two = await stack.enter_async_context(two_gateways(reach, addresses))
        seen = await stack.enter_async_context(seen_by(reach, addresses, 2))
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


async def test_a_node_that_died_with_the_leader_is_given_up_after_its_lease(keys: Keys, stores: Stores) -> None:
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


def test_registries_are_asked_in_turn_and_a_leader_that_is_named_first() -> None:
    class NotLeading(grpc.aio.AioRpcError):
        pass

    registries = RegistryEndpoints("a:1, b:1,c:1")
    assert registries.address() == "a:1"
    assert not registries.failed(ConnectionError())
    assert registries.address() == "b:1"
    assert [registries.failed() or registries.address() for _ in range(2)] == ["c:1", "a:1"]
    registries.use(["c:1", "a:1"])
    assert registries.address() == "a:1"
    registries.use(["x:1"])
    assert registries.address() == "x:1"


def test_quick_leases_are_in_proportion() -> None:
    assert QUICK.leader_seconds < QUICK.lease_seconds / 3
