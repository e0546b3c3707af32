"""From the reaction log to the gateway nodes: log, counter, registry and fan-out are real, over real gRPC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

import counter_svc.app
import fanout_svc.app
import session_registry.app
from counter_svc.config import Config as CounterConfig
from fanout_svc.config import Config
from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.registration import Registration
from kit.errors import Problem
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.fanout.v1 import fanout_service_pb2 as pb
from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import node_service_pb2 as node_pb
from plaudit.gateway.v1 import node_service_pb2_grpc
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from session_registry.config import Config as RegistryConfig
from tests.events import Change
from tests.flows.crowd import Crowd, CrowdServicer, StalledLog, eventually

REGISTRY = "plaudit.session.v1.SessionRegistryService"
COUNTER = "plaudit.counter.v1.CounterService"
FANOUT = "plaudit.fanout.v1.FanoutService"
REACTION = "plaudit.reaction.v1.ReactionService"
REBUILD = f"/{COUNTER}/Rebuild"
DESCRIBE = f"/{FANOUT}/DescribeTopics"
GATEWAY = "plaudit.gateway.v1.NodeService"
HOT: TargetKey = ("default", "messages/hot")
QUIET: TargetKey = ("default", "messages/quiet")
LIMITS = ServerLimits(grace=0.1)


class Broken(Problem):
    """The node has a bad day."""


class Receiver(node_service_pb2_grpc.NodeServiceServicer):
    """The gateway's side of `Deliver`: keeps what arrives, and can be slow or broken."""

    def __init__(self) -> None:
        self.got: list[tuple[float, node_pb.Delivery]] = []
        self.streams = 0
        self.open = asyncio.Event()
        self.open.set()
        self.whole = asyncio.Event()
        self.whole.set()

    async def Deliver(
        self, request_iterator: AsyncIterator[node_pb.DeliverRequest], context: Any
    ) -> AsyncIterator[node_pb.DeliverResponse]:
        """See the contract."""
        self.streams += 1
        async for request in request_iterator:
            await self.open.wait()
            if not self.whole.is_set():
                raise Broken("not now")
            self.got += [(time.monotonic(), delivery) for delivery in request.deliveries]
            yield node_pb.DeliverResponse(sockets=1)


@dataclass
class GatewayNode:
    """A node as fan-out sees it, and what it received."""

    receiver: Receiver
    registration: Registration

    def want(self, *keys: TargetKey) -> None:
        for key in keys:
            self.registration.subscribe(*key)

    def updates(self, key: TargetKey) -> list[tuple[float, updates_pb2.ReactionUpdate]]:
        return [
            (at, updates_pb2.ReactionUpdate.FromString(one.payload))
            for at, one in self.receiver.got
            if (one.tenant, one.topic, one.type) == (*key, "reaction_update")
        ]

    async def update(self, key: TargetKey, version: int) -> updates_pb2.ReactionUpdate:
        """The first update of a target at a version or a later one."""

        async def there() -> bool:
            return any(update.version >= version for _, update in self.updates(key))

        await eventually(there)
        return next(update for _, update in self.updates(key) if update.version >= version)

    async def assert_exact(self, crowd: Crowd, *keys: TargetKey) -> None:
        for key in keys:
            await self.update(key, crowd.versions[key])
            _, last = self.updates(key)[-1]
            assert (last.version, {one.emoji: one.count for one in last.reactions}) == crowd.truth(key)
            versions = [update.version for _, update in self.updates(key)]
            assert versions == sorted(versions)


@dataclass
class City:
    """All services, each with its own server; servers can be stopped and started."""

    folder: Path
    log: SqliteLog
    keys: Keys
    stack: AsyncExitStack
    crowd: Crowd
    places: dict[str, Sequence[str]] = field(default_factory=dict)

    async def mesh(self, stack: AsyncExitStack | None = None) -> Mesh:
        city = self

        class Places:
            def addresses(self, service: str) -> tuple[str, ...]:
                return tuple(city.places.get(service, ()))

            def address_of(self, node_id: str) -> str:
                return ""

        return await (stack or self.stack).enter_async_context(connected(Places(), NodeTokens(self.keys.minter())))

    @asynccontextmanager
    async def served(
        self, service: str, opened: Callable[[Mesh], Any], *extra: Hosted, listen: str = "127.0.0.1:0"
    ) -> AsyncIterator[str]:
        async with AsyncExitStack() as stack:
            mesh = await self.mesh(stack)
            hosted = await stack.enter_async_context(opened(mesh))
            server = await stack.enter_async_context(
                serving([*hosted, *extra], verifier=self.keys.verifier(), listen=listen, limits=LIMITS)
            )
            mesh.own_address, self.places[service] = server.address, (server.address,)
            try:
                yield server.address
            finally:
                self.places[service] = ()

    def registry(self, listen: str = "127.0.0.1:0") -> Any:
        config = RegistryConfig(lease_seconds=5.0, return_seconds=2.0)
        return self.served(REGISTRY, lambda _: session_registry.app.opened(config), listen=listen)

    def counter(self, log: Any = None) -> Any:
        config = CounterConfig(drift_seconds=0)
        return self.served(
            COUNTER, lambda mesh: counter_svc.app.opened(config, mesh, Engines(self.folder, log or self.log))
        )

    def fanout(self, config: Config | None = None) -> Any:
        return self.served(
            FANOUT, lambda mesh: fanout_svc.app.opened(config or Config(), mesh, Engines(self.folder, self.log))
        )

    async def node(self, name: str) -> GatewayNode:
        receiver = Receiver()
        add = node_service_pb2_grpc.add_NodeServiceServicer_to_server
        hosted = Hosted(receiver, add, {Broken: (grpc.StatusCode.UNAVAILABLE, "BROKEN")})
        server = await self.stack.enter_async_context(serving([hosted], verifier=self.keys.verifier(), limits=LIMITS))
        registration = Registration(name)
        (registry,) = self.places[REGISTRY]
        running = registration.running(await self.mesh(), registry, server.address, [GATEWAY])
        await self.stack.enter_async_context(running)
        await registration.attached()
        return GatewayNode(receiver, registration)


@pytest.fixture(name="city")
async def fixture_city(tmp_path: Path) -> AsyncIterator[City]:
    async with open_sqlite_log(tmp_path / "reactions.db") as log, AsyncExitStack() as stack:
        crowd = Crowd(log)
        city = City(tmp_path, log, open_keys(tmp_path / "keys"), stack, crowd)
        records: Any = CrowdServicer(crowd)
        peer = Hosted(records, reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
        server = await stack.enter_async_context(serving([peer], verifier=city.keys.verifier(), limits=LIMITS))
        city.places[REACTION] = (server.address,)
        yield city


@pytest.fixture(name="whole")
async def fixture_whole(city: City) -> AsyncIterator[City]:
    async with city.registry(), city.counter(), city.fanout():
        yield city


async def test_a_node_that_begins_to_subscribe_gets_a_snapshot_at_once(whole: City) -> None:
    await whole.crowd.act([HOT], 30)
    node = await whole.node("n1")
    node.want(HOT, QUIET)
    await node.assert_exact(whole.crowd, HOT)
    never = await node.update(QUIET, 0)
    assert (never.version, list(never.reactions)) == (0, [])


async def test_the_first_change_goes_at_once_and_the_next_ones_together_within_a_window(whole: City) -> None:
    node = await whole.node("n1")
    node.want(HOT)
    await node.update(HOT, 0)
    began = time.monotonic()
    await whole.crowd.append([whole.crowd.toggle(HOT, "alice", "👍")])
    first = await node.update(HOT, 1)
    assert time.monotonic() - began < 0.25
    assert list(first.recent) == ["alice"]
    for user in ("bob", "carol", "dave"):
        await whole.crowd.append([whole.crowd.toggle(HOT, user, "👍")])
    await node.assert_exact(whole.crowd, HOT)
    (_, snapshot), (at, _), (later, second) = node.updates(HOT)
    assert (snapshot.version, second.version, list(second.recent)) == (0, 4, ["dave", "carol", "bob"])
    assert 0.4 < later - at < 0.7


async def test_nodes_get_what_they_want_and_nothing_else(whole: City) -> None:
    one, two = await whole.node("n1"), await whole.node("n2")
    one.want(HOT, QUIET)
    two.want(QUIET)
    await two.update(QUIET, 0)
    await one.update(HOT, 0)
    await whole.crowd.append([whole.crowd.toggle(key, "alice", "👍") for key in (HOT, QUIET)])
    await one.assert_exact(whole.crowd, HOT, QUIET)
    await two.assert_exact(whole.crowd, QUIET)
    assert not two.updates(HOT)


async def test_own_changes_are_sent_only_to_the_topic_of_the_user(whole: City) -> None:
    node = await whole.node("n1")
    node.want(("default", "users/alice"), QUIET)
    await node.update(QUIET, 0)

    async def announced() -> bool:
        return ("users/alice", "", "n1") in [(one.topic, one.type, one.key) for _, one in node.receiver.got]

    await eventually(announced)
    changes = [whole.crowd.toggle(HOT, user, emoji) for user, emoji in (("alice", "👍"), ("bob", "👍"), ("alice", "❤"))]
    switch = Change("default", "posts/1", "alice", "👍", "❤", 5)
    await whole.crowd.append([*changes, switch])

    async def told() -> bool:
        return len(node.receiver.got) == 5

    await eventually(told)
    own = [one for _, one in node.receiver.got if one.type == "own_reaction_update"]
    assert {one.topic for one in own} == {"users/alice"}
    assert len({one.key for one in own}) == 3
    found = [updates_pb2.OwnReactionUpdate.FromString(one.payload) for one in own]
    assert [(one.target, one.added, one.removed, one.version) for one in found] == [
        ("messages/hot", "👍", "", 1),
        ("messages/hot", "❤", "", 3),
        ("posts/1", "👍", "❤", 5),
    ]


async def test_at_10_000_toggles_a_second_on_one_message_a_viewer_gets_2_updates_a_second(whole: City) -> None:
    node = await whole.node("n1")
    node.want(HOT)
    await node.update(HOT, 0)
    began, seconds, batch = time.monotonic(), 2.0, 200
    rounds = round(seconds * 10_000 / batch)
    for n in range(rounds):
        await whole.crowd.append(whole.crowd.some([HOT], batch, users=5_000))
        await asyncio.sleep(max(0.0, began + (n + 1) * batch / 10_000 - time.monotonic()))
    lasted = time.monotonic() - began
    await node.assert_exact(whole.crowd, HOT)
    updates = node.updates(HOT)[1:]
    assert len(updates) <= 2 * lasted + 2
    storms = [update for _, update in updates[1:-1]]
    assert storms
    assert all(update.storm and not update.recent for update in storms)
    whole_version = whole.crowd.versions[HOT]
    assert whole_version == rounds * batch


async def test_after_a_broken_stream_the_last_count_arrives(whole: City) -> None:
    node = await whole.node("n1")
    node.want(HOT, QUIET)
    await node.update(QUIET, 0)
    await node.update(HOT, 0)
    node.receiver.whole.clear()
    for _ in range(5):
        await whole.crowd.act([HOT], 10)
    before = node.receiver.streams

    async def tried_again() -> bool:
        return node.receiver.streams > before + 1

    await eventually(tried_again)
    assert len(node.updates(HOT)) == 1
    node.receiver.whole.set()
    await node.assert_exact(whole.crowd, HOT)
    assert len(node.updates(QUIET)) >= 1


async def test_a_node_that_hangs_delays_no_other_node_and_gets_only_the_newest(city: City) -> None:
    hasty = Config(window_seconds=0.02, batches_in_flight=2)
    async with city.registry(), city.counter(), city.fanout(hasty):
        still, lively = await city.node("n1"), await city.node("n2")
        keys: list[TargetKey] = [("default", f"messages/{n}") for n in range(50)]
        still.want(*keys)
        lively.want(*keys)
        for key in keys:
            await still.update(key, 0)
            await lively.update(key, 0)
        still.receiver.open.clear()
        for _ in range(8):
            await city.crowd.act(keys, 500)
            await lively.assert_exact(city.crowd, *keys)
        still.receiver.open.set()
        await still.assert_exact(city.crowd, *keys)
        # Two batches were on their way when it stood still; the rest was merged.
        assert len(still.receiver.got) <= (1 + 2 + 1) * len(keys)
        assert len(lively.receiver.got) == (1 + 8) * len(keys)


async def test_updates_need_no_counter(city: City) -> None:
    async with city.registry(), city.fanout():
        node = await city.node("n1")
        async with city.counter():
            node.want(HOT)
            await node.update(HOT, 0)
        for _ in range(3):
            await city.crowd.act([HOT], 10)
            await node.assert_exact(city.crowd, HOT)


async def test_a_snapshot_waits_for_a_counter_that_is_down_and_for_nothing_else(city: City) -> None:
    async with city.registry(), city.fanout():
        node = await city.node("n1")
        node.want(HOT, QUIET)
        await city.crowd.act([HOT], 10)
        await node.assert_exact(city.crowd, HOT)
        assert not node.updates(QUIET)
        async with city.counter():
            assert (await node.update(QUIET, 0)).version == 0


async def test_a_snapshot_has_the_changes_in_it_that_the_counter_has_not_counted_yet(city: City) -> None:
    deaf = StalledLog(city.log)
    async with city.registry(), city.counter(deaf), city.fanout():
        one, two = await city.node("n1"), await city.node("n2")
        one.want(HOT)
        await one.update(HOT, 0)
        await city.crowd.act([QUIET], 10)  # without subscribers
        await city.crowd.act([HOT], 10)
        await one.assert_exact(city.crowd, HOT)
        two.want(HOT, QUIET)
        await two.assert_exact(city.crowd, HOT, QUIET)
        assert (len(two.updates(HOT)), len(two.updates(QUIET))) == (1, 1)


async def test_deliveries_in_flight_when_the_stream_broke_are_sent_again(whole: City) -> None:
    node = await whole.node("n1")
    node.want(("default", "users/alice"), QUIET)
    await node.update(QUIET, 0)
    node.receiver.whole.clear()
    before = node.receiver.streams
    await whole.crowd.append([whole.crowd.toggle(HOT, "alice", emoji) for emoji in "👍❤😆"])

    async def broke() -> bool:
        return node.receiver.streams > before

    await eventually(broke)
    node.receiver.whole.set()

    async def told() -> bool:
        return [one.version for _, one in node.receiver.got if one.type == "own_reaction_update"] == [1, 2, 3]

    await eventually(told)


async def test_changes_while_fan_out_is_down_are_in_the_state_it_brings_when_it_is_back(city: City) -> None:
    async with city.registry(), city.counter():
        node = await city.node("n1")
        node.want(HOT)
        async with city.fanout():
            await city.crowd.act([HOT], 10)
            await node.assert_exact(city.crowd, HOT)
        await city.crowd.act([HOT], 10)
        async with city.fanout():
            await node.assert_exact(city.crowd, HOT)


async def test_after_a_restart_of_the_registry_changes_arrive_again(city: City) -> None:
    async with city.counter(), city.fanout():
        async with city.registry() as address:
            node = await city.node("n1")
            node.want(HOT)
            await node.update(HOT, 0)
        await city.crowd.act([HOT], 10)
        async with city.registry(address):
            await city.crowd.act([HOT], 10)
            await node.assert_exact(city.crowd, HOT)
            await city.crowd.act([HOT], 10)
            await node.assert_exact(city.crowd, HOT)


async def test_a_node_that_subscribes_again_at_once_gets_a_snapshot_again(whole: City) -> None:
    node = await whole.node("n1")
    node.want(HOT)
    await node.update(HOT, 0)
    node.registration.unsubscribe(*HOT)  # the last viewer leaves and another one comes, in the same moment
    node.registration.subscribe(*HOT)

    async def again() -> bool:
        return len(node.updates(HOT)) == 2

    await eventually(again)


async def test_a_node_that_does_not_answer_gets_a_new_stream_and_snapshots(city: City) -> None:
    async with city.registry(), city.counter(), city.fanout(Config(answer_seconds=0.05)):
        node = await city.node("n1")
        node.want(HOT)
        await node.update(HOT, 0)
        node.receiver.open.clear()
        await city.crowd.act([HOT], 10)
        before = node.receiver.streams

        async def called_anew() -> bool:
            return node.receiver.streams > before

        await eventually(called_anew)
        node.receiver.open.set()
        await node.assert_exact(city.crowd, HOT)


async def test_a_node_that_lags_far_gets_snapshots_of_all_topics(city: City) -> None:
    async with city.registry(), city.counter(), city.fanout(Config(send_queue_deliveries=512, batches_in_flight=1)):
        node = await city.node("n1")
        keys: list[TargetKey] = [("default", f"messages/{n}") for n in range(1_000)]
        node.want(*keys)
        for key in keys:
            await node.update(key, 0)
        node.receiver.open.clear()
        for start in range(0, 1_000, 100):
            await city.crowd.append([city.crowd.toggle(key, "alice", "👍") for key in keys[start : start + 100]])
        mesh = await city.mesh()
        request = pb.DescribeTopicsRequest(tenant="default", topics=[key[1] for key in keys]).SerializeToString()

        async def all_sent() -> bool:
            found = pb.DescribeTopicsResponse.FromString(await mesh.call(DESCRIBE, request)).topics
            return all(one.sent_version == 1 for one in found)

        await eventually(all_sent)
        node.receiver.open.set()
        await node.assert_exact(city.crowd, *keys)


async def test_if_the_log_was_trimmed_after_the_position_all_nodes_get_snapshots(city: City) -> None:
    deaf = StalledLog(city.log)
    fanout = city.served(FANOUT, lambda mesh: fanout_svc.app.opened(Config(), mesh, Engines(city.folder, deaf)))
    async with city.registry(), city.counter(), fanout:
        node = await city.node("n1")
        node.want(HOT, QUIET)
        await node.update(HOT, 0)
        await city.crowd.act([HOT], 10)
        last = await city.crowd.act([QUIET], 10)
        await city.log.trim("reactions", last)
        deaf.listening.set()
        await node.assert_exact(city.crowd, HOT, QUIET)


async def test_repeated_entries_are_sent_once(whole: City) -> None:
    node = await whole.node("n1")
    node.want(("default", "users/alice"), QUIET)
    await node.update(QUIET, 0)
    crowd = whole.crowd
    entries = [(crowd.next_name(), crowd.entry([crowd.toggle(HOT, "alice", emoji)])) for emoji in "👍❤😆"]
    for name, entry in (*entries, *entries[1:]):
        await whole.log.append("reactions", name, entry)
    await crowd.append([crowd.toggle(QUIET, "alice", "👍")])
    await node.assert_exact(crowd, QUIET)
    own = [(one.key, one.version) for _, one in node.receiver.got if one.type == "own_reaction_update"]
    assert [version for _, version in own] == [1, 2, 3, 1]


async def test_after_a_missing_entry_all_nodes_get_snapshots(city: City) -> None:
    async with city.registry(), city.counter(), city.fanout():
        node = await city.node("n1")
        node.want(HOT)
        await city.crowd.act([HOT], 10)
        await node.assert_exact(city.crowd, HOT)
        city.crowd.some([HOT], 10)
        city.crowd.next_name()  # the entry with them never comes
        request = counter_pb.RebuildRequest(tenant="default", targets=[HOT[1]]).SerializeToString()
        await (await city.mesh()).call(REBUILD, request, timeout=20)
        await city.crowd.act([QUIET], 1)
        await node.assert_exact(city.crowd, HOT)


async def test_a_restored_ledger_is_followed_from_its_first_entry(whole: City) -> None:
    node = await whole.node("n1")
    node.want(HOT, QUIET)
    await node.update(HOT, 0)
    for _ in range(3):
        await whole.crowd.act([HOT, QUIET], 10)
    await node.assert_exact(whole.crowd, HOT, QUIET)
    whole.crowd.restore()
    await whole.crowd.act([HOT, QUIET], 10)
    await node.assert_exact(whole.crowd, HOT, QUIET)


async def test_the_subscribers_of_a_topic_are_described(whole: City) -> None:
    node = await whole.node("n1")
    node.want(HOT)
    await whole.crowd.act([HOT], 150)
    await node.assert_exact(whole.crowd, HOT)
    request = pb.DescribeTopicsRequest(tenant="default", topics=[HOT[1], QUIET[1]])
    mesh = await whole.mesh()
    found = pb.DescribeTopicsResponse.FromString(await mesh.call(DESCRIBE, request.SerializeToString())).topics
    assert [(one.topic, list(one.node_ids), one.sent_version) for one in found] == [
        (HOT[1], ["n1"], 150),
        (QUIET[1], [], 0),
    ]


async def test_a_node_that_unsubscribed_gets_no_updates(whole: City) -> None:
    node = await whole.node("n1")
    node.want(HOT, QUIET)
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
