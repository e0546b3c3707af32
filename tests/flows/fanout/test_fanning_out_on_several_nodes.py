"""Several fan-outs over one log in Kafka: each delivers its partitions, and those of a node that is gone."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fanout_svc.app
from fanout_svc.config import Config
from kit.adapters.engines import Engines
from kit.adapters.kafka.event_log import KafkaLog, open_kafka
from kit.auth.keys import open_keys
from kit.cluster.partitions import Partitions
from kit.errors import Unavailable
from kit.rpc.server import Hosted, serving
from kit.target import partition_of
from kit.tenant_keys import TargetKey
from plaudit.event.v1 import dead_letter_pb2
from plaudit.fanout.v1 import updates_pb2
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from tests import engines as servers
from tests.flows.counting.counters import PartitionedCrowd
from tests.flows.crowd import CrowdServicer, eventually
from tests.flows.fanout.fanout_system import FANOUT, LIMITS, REACTION, FanoutSystem, GatewayNode
from tests.topics import topics

PARTITIONS = 4
TOPICS = {"reactions": PARTITIONS, "dead-letters": 1}
KEYS: list[TargetKey] = [("default", f"messages/{n}") for n in range(40)]
ALICE: TargetKey = ("default", "users/alice")
HASTY = Config(window_seconds=0.05, commit_seconds=0.05)


class LogOfNode:
    """The log as a process reaches it that may be killed: from then on nothing gets there, and nothing comes."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        if self.dead and name != "leave":
            raise Unavailable("this process was killed")
        return getattr(self._log, name)


@dataclass
class FanoutNode:
    """One fan-out."""

    address: str
    log: LogOfNode
    stack: AsyncExitStack
    partitions: Partitions


@dataclass
class FanoutNodes:
    """The system, and the fan-outs in it."""

    system: FanoutSystem
    log: KafkaLog

    async def join(self) -> FanoutNode:
        stack, log = AsyncExitStack(), LogOfNode(self.log)
        mesh = await self.system.mesh(stack)
        mesh.shares_work = True
        log_of_node: Any = log
        opened = fanout_svc.app.opened(HASTY, mesh, Engines(self.system.folder, log_of_node))
        hosted = await stack.enter_async_context(opened)
        server = await stack.enter_async_context(serving(hosted, verifier=self.system.keys.verifier(), limits=LIMITS))
        mesh.own_address = server.address
        self.system.addresses_of[FANOUT] = tuple(sorted([*self.system.addresses_of.get(FANOUT, ()), server.address]))
        partitions = Partitions(mesh.addresses, FANOUT, lambda: mesh.own_address, PARTITIONS)
        self.system.stack.push_async_callback(stack.aclose)
        return FanoutNode(server.address, log, stack, partitions)

    async def kill(self, one: FanoutNode) -> None:
        """In the middle of whatever it does; the others see it a moment later."""
        one.log.dead = True
        await one.stack.aclose()
        self.system.addresses_of[FANOUT] = tuple(
            address for address in self.system.addresses_of[FANOUT] if address != one.address
        )


@pytest.fixture(name="fanouts")
async def fixture_fanouts(tmp_path: Path, engines: servers.Engines) -> AsyncIterator[FanoutNodes]:
    async with topics(engines.kafka(), TOPICS) as url, open_kafka(url, TOPICS) as log, AsyncExitStack() as stack:
        crowd = PartitionedCrowd(log)
        any_log: Any = log
        system = FanoutSystem(tmp_path, any_log, open_keys(tmp_path / "keys"), stack, crowd)
        records: Any = CrowdServicer(crowd)
        peer = Hosted(records, reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
        server = await stack.enter_async_context(serving([peer], verifier=system.keys.verifier(), limits=LIMITS))
        system.addresses_of[REACTION] = (server.address,)
        async with system.registry(), system.counter():
            yield FanoutNodes(system, log)


async def greeted(node: GatewayNode, keys: Sequence[TargetKey] = KEYS) -> None:
    node.subscribe(*keys, ALICE)
    for key in keys:
        await node.update(key, 0)


def own_versions(node: GatewayNode) -> dict[str, list[int]]:
    """The own updates of alice: per target, the versions in the order of arrival."""
    found: dict[str, list[int]] = defaultdict(list)
    for _, one in node.receiver.got:
        if one.topic == ALICE[1] and one.type:
            update = updates_pb2.OwnReactionUpdate.FromString(one.payload)
            found[update.target].append(update.version)
    return found


class Changing:
    """Alice taps on everything, over and over, each time with another emoji: no change says what another one says."""

    def __init__(self, fanouts: FanoutNodes) -> None:
        self._fanouts = fanouts
        self.made: dict[str, list[int]] = defaultdict(list)
        self.rounds = 0

    async def once(self) -> None:
        changes = [self._fanouts.system.crowd.toggle(key, "alice", f"emoji-{self.rounds}") for key in KEYS]
        for change in changes:
            self.made[change.target].append(change.version)
        await self._fanouts.system.crowd.append(changes)
        self.rounds += 1

    async def until(self, stopped: asyncio.Event) -> None:
        while not stopped.is_set():
            await self.once()
            await asyncio.sleep(0.01)

    async def round(self, number: int) -> None:
        async def are_made() -> bool:
            return self.rounds >= number

        await eventually(are_made)

    async def assert_all_received(self, node: GatewayNode) -> None:
        """No change was skipped, and the counts shown last are the true ones."""

        async def received() -> bool:
            own = own_versions(node)
            return all(set(own[target]) >= set(versions) for target, versions in self.made.items())

        try:
            await eventually(received, 20.0)
        except TimeoutError:
            own = own_versions(node)
            missing = {t: sorted(set(v) - set(own[t])) for t, v in self.made.items() if set(v) - set(own[t])}
            raise AssertionError(f"never told: {missing}") from None
        crowd = self._fanouts.system.crowd
        for key in KEYS:
            update = await node.update(key, crowd.versions[key])
            assert (update.version, {one.emoji: one.count for one in update.reactions}) == crowd.truth(key)


async def test_each_fan_out_node_delivers_its_partitions_and_nothing_arrives_twice(fanouts: FanoutNodes) -> None:
    fanout_nodes = [await fanouts.join(), await fanouts.join()]
    node = await fanouts.system.node("n1")
    await greeted(node)
    assert sorted(p for one in fanout_nodes for p in one.partitions.assigned()) == list(range(PARTITIONS))
    assert {len(node.updates(key)) for key in KEYS} == {1}
    changing = Changing(fanouts)
    await changing.once()
    await changing.assert_all_received(node)
    assert own_versions(node) == changing.made
    await node.assert_exact(fanouts.system.crowd, *KEYS)


async def test_updates_of_a_killed_fan_out_node_are_sent_by_the_others_and_versions_never_decrease(
    fanouts: FanoutNodes,
) -> None:
    lost, _ = await fanouts.join(), await fanouts.join()
    node = await fanouts.system.node("n1")
    await greeted(node)
    changing, stopped = Changing(fanouts), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(changing.until(stopped))
        await changing.round(30)
        await fanouts.kill(lost)
        await changing.round(changing.rounds + 30)
        stopped.set()
    await changing.assert_all_received(node)
    await node.assert_exact(fanouts.system.crowd, *KEYS)


async def test_a_fan_out_that_joins_is_assigned_its_share_and_skips_no_entry(fanouts: FanoutNodes) -> None:
    first = await fanouts.join()
    node = await fanouts.system.node("n1")
    await greeted(node)
    changing, stopped = Changing(fanouts), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(changing.until(stopped))
        await changing.round(20)
        assert len(first.partitions.assigned()) == PARTITIONS
        while len(first.partitions.assigned()) == PARTITIONS:  # addresses are chance: one more may get nothing
            await fanouts.join()
        await changing.round(changing.rounds + 30)
        stopped.set()
    await changing.assert_all_received(node)


async def test_changes_while_there_was_no_fan_out_are_sent_by_the_next_one(fanouts: FanoutNodes) -> None:
    only = await fanouts.join()
    node = await fanouts.system.node("n1")
    await greeted(node)
    changing = Changing(fanouts)
    await changing.once()
    await changing.assert_all_received(node)

    async def committed() -> bool:
        positions = [await fanouts.log.committed("fanout", "reactions", p) for p in range(PARTITIONS)]
        return all(positions)

    await eventually(committed)
    await fanouts.kill(only)
    for _ in range(5):
        await changing.once()
    await fanouts.join()
    await changing.assert_all_received(node)


async def test_an_undecodable_record_becomes_a_dead_letter_and_its_partition_continues(fanouts: FanoutNodes) -> None:
    await fanouts.join()
    node = await fanouts.system.node("n1")
    await greeted(node)
    partition = partition_of(*KEYS[0], PARTITIONS)
    name = fanouts.system.crowd.next_name(partition)
    at = await fanouts.log.append("reactions", name, b"\xff not a record", partition)
    changing = Changing(fanouts)
    await changing.once()
    await changing.assert_all_received(node)
    letters = [
        dead_letter_pb2.DeadLetter.FromString(one.payload) for one in await fanouts.log.read("dead-letters", 0, 10)
    ]
    found = {(one.reader, one.partition, one.position, one.payload) for one in letters}
    assert ("fanout", partition, at, b"\xff not a record") in found
