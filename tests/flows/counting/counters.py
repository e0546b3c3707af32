"""Several counter nodes on one log and the same engines; each may join, leave, or be killed at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from counter_svc.adapters.mesh_peers import SERVICE
from counter_svc.app import opened
from counter_svc.config import Config
from kit.adapters.engines import Engines
from kit.auth.keys import Keys
from kit.auth.tokens import NodeTokens
from kit.errors import OutcomeUnknown, Unavailable
from kit.event_log.ports import Log
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from kit.target import partition_of
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc as pb_grpc
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from tests.events import Change
from tests.flows.crowd import TOPIC, Crowd, CrowdServicer

LIMITS = ServerLimits(grace=0.5)
Counted = tuple[int, dict[str, int]]
COUNTER = "/plaudit.counter.v1.CounterService"


class PartitionedCrowd(Crowd):
    """A crowd whose log has partitions; it remembers what was true at every version."""

    def __init__(self, log: Any, seed: int = 1) -> None:
        super().__init__(log, seed)
        self.history: dict[TargetKey, dict[int, dict[str, int]]] = {}

    def toggle(self, key: TargetKey, user: str, emoji: str) -> Change:
        """See `Crowd`."""
        change = super().toggle(key, user, emoji)
        version, counts = self.truth(key)
        self.history.setdefault(key, {0: {}})[version] = counts
        return change

    async def append(self, changes: Sequence[Change]) -> int:
        """Logs events in one record for each of their partitions; returns the last position."""
        count, position = self.log.partitions(TOPIC), 0
        parted: dict[int, list[Change]] = {}
        for change in changes:
            parted.setdefault(partition_of(change.tenant, change.target, count), []).append(change)
        for partition, part in parted.items():
            position = await self._append(partition, self.entry(part))
        return position

    async def _append(self, partition: int, record: bytes) -> int:
        name = self.next_name(partition)
        while True:
            try:
                return int(await self.log.append(TOPIC, name, record, partition))
            except (Unavailable, OutcomeUnknown):  # a busy machine; an entry may be there twice
                await asyncio.sleep(0.1)

    def assert_was_true(self, key: TargetKey, counted: Counted) -> None:
        """Counts answered at a version must be those of the records at that version."""
        version, counts = counted
        assert self.history.get(key, {0: {}}).get(version) == counts, f"{key} at {version}"


class _EngineOfNode:
    """An engine as a process reaches it that may be killed: from then on no call gets there."""

    def __init__(self, engine: Any, life: Liveness) -> None:
        self._engine = engine
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if name == "script":
            return lambda *args, **options: _EngineOfNode(found(*args, **options), self._life)
        return self._checked(found) if name in ("read", "bounds", "commit", "each") else found

    def _checked(self, call: Any) -> Any:
        async def called(*args: Any, **options: Any) -> Any:
            self._life.check()
            return await call(*args, **options)

        return called


class Liveness:
    """Whether a node is alive."""

    def __init__(self) -> None:
        self.dead = False

    def check(self) -> None:
        """Raises Unavailable where it does not."""
        if self.dead:
            raise Unavailable("this process was killed")


@dataclass
class Node:
    """A counter, and a way to ask exactly this one."""

    address: str
    mesh: Mesh
    life: Liveness
    channel: grpc.aio.Channel

    async def get(
        self, keys: Sequence[TargetKey], least: Sequence[int] = (), timeout: float = 8.0
    ) -> dict[TargetKey, Counted]:
        """Version and counts of each target."""
        request = pb.GetCountsRequest(
            targets=[target for _, target in keys], tenants=[tenant for tenant, _ in keys], min_versions=least
        )
        stub: Any = pb_grpc.CounterServiceStub(self.channel)
        answer = await stub.GetCounts(request, metadata=self.mesh.metadata(f"{COUNTER}/GetCounts"), timeout=timeout)
        return {
            key: (row.version, {one.emoji: one.count for one in row.reactions})
            for key, row in zip(keys, answer.counts, strict=True)
        }

    async def rebuild(self, keys: Sequence[TargetKey] = ()) -> tuple[int, int]:
        """Recounts; returns how many targets there were, and how many had drifted."""
        request = pb.RebuildRequest(tenant="default", targets=[target for _, target in keys])
        stub: Any = pb_grpc.CounterServiceStub(self.channel)
        done = await stub.Rebuild(request, metadata=self.mesh.metadata(f"{COUNTER}/Rebuild"), timeout=30)
        return done.targets, done.drifted


@dataclass
class CounterCluster:
    """The nodes, and the records and the log they count."""

    folder: Path
    keys: Keys
    crowd: PartitionedCrowd
    log: Log
    config: Config
    redis: Any = None
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    _leaving: dict[str, AsyncExitStack] = field(default_factory=dict)
    _asking: AsyncExitStack = field(default_factory=AsyncExitStack)

    def addresses(self, service: str) -> tuple[str, ...]:
        """See `kit.rpc.mesh.Nodes`."""
        return self.places.get(service, ())

    def address_of(self, node_id: str) -> str:
        """See `kit.rpc.mesh.Nodes`."""
        return ""

    async def join(self) -> Node:
        """One more node."""
        stack, life = AsyncExitStack(), Liveness()
        mesh = await stack.enter_async_context(connected(self, NodeTokens(self.keys.minter())))
        mesh.shares_work = True
        redis: Any = _EngineOfNode(self.redis, life) if self.redis else None
        log: Any = _EngineOfNode(self.log, life)
        engines = Engines(self.folder, log, redis=redis)
        hosted = await stack.enter_async_context(opened(self.config, mesh, engines))
        server = await stack.enter_async_context(serving(hosted, verifier=self.keys.verifier(), limits=LIMITS))
        mesh.own_address = server.address
        self.places[SERVICE] = tuple(sorted([*self.addresses(SERVICE), server.address]))
        # The caller is not a part of the node, and stays when it leaves.
        channel = await self._asking.enter_async_context(grpc.aio.insecure_channel(server.address))
        node = Node(server.address, mesh, life, channel)
        self.nodes.append(node)
        self._leaving[server.address] = stack
        return node

    async def leave(self, node: Node) -> None:
        """The node leaves orderly: it is removed from the live nodes, then saves and stops."""
        self._forget(node)
        await self._leaving.pop(node.address).aclose()

    async def kill(self, node: Node) -> None:
        """The node is gone in the middle of whatever it does; the others see it."""
        node.life.dead = True
        self._forget(node)
        await self._leaving.pop(node.address).aclose()

    async def close(self) -> None:
        """All nodes leave."""
        for node in list(self.nodes):
            await self.leave(node)
        await self._asking.aclose()

    def _forget(self, node: Node) -> None:
        self.nodes.remove(node)
        self.places[SERVICE] = tuple(place for place in self.places[SERVICE] if place != node.address)


@asynccontextmanager
async def counter_cluster(
    folder: Path, keys: Keys, log: Any, config: Config, redis: Any = None
) -> AsyncIterator[CounterCluster]:
    """A cluster without nodes, whose records can be counted; nodes leave at the end of the block."""
    crowd = PartitionedCrowd(log)
    records: Any = CrowdServicer(crowd)
    peer = Hosted(records, reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
    async with serving([peer], verifier=keys.verifier(), limits=LIMITS) as server:
        here = CounterCluster(folder, keys, crowd, log, config, redis)
        here.places["plaudit.reaction.v1.ReactionService"] = (server.address,)
        try:
            yield here
        finally:
            await here.close()
