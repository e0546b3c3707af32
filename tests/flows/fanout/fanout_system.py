"""The fan-out with a log, a counter and a registry, over real gRPC, and gateway nodes that receive."""

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
from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import node_service_pb2 as node_pb
from plaudit.gateway.v1 import node_service_pb2_grpc
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from session_registry.config import Config as RegistryConfig
from tests.flows.crowd import Crowd, CrowdServicer, eventually

REGISTRY = "plaudit.session.v1.SessionRegistryService"
COUNTER = "plaudit.counter.v1.CounterService"
FANOUT = "plaudit.fanout.v1.FanoutService"
REACTION = "plaudit.reaction.v1.ReactionService"
DESCRIBE = f"/{FANOUT}/DescribeTopics"
GATEWAY = "plaudit.gateway.v1.NodeService"
HOT: TargetKey = ("default", "messages/hot")
QUIET: TargetKey = ("default", "messages/quiet")
LIMITS = ServerLimits(grace=0.1)


class InjectedFailure(Problem):
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
                raise InjectedFailure("not now")
            self.got += [(time.monotonic(), delivery) for delivery in request.deliveries]
            yield node_pb.DeliverResponse(sockets=1)


@dataclass
class GatewayNode:
    """A node as fan-out sees it, and what it received."""

    receiver: Receiver
    registration: Registration

    def subscribe(self, *keys: TargetKey) -> None:
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
class FanoutSystem:
    """All services, each with its own server; servers can be stopped and started."""

    folder: Path
    log: SqliteLog
    keys: Keys
    stack: AsyncExitStack
    crowd: Crowd
    addresses_of: dict[str, Sequence[str]] = field(default_factory=dict)

    async def mesh(self, stack: AsyncExitStack | None = None) -> Mesh:
        system = self

        class AddressesByService:
            def addresses(self, service: str) -> tuple[str, ...]:
                return tuple(system.addresses_of.get(service, ()))

            def address_of(self, node_id: str) -> str:
                return ""

        return await (stack or self.stack).enter_async_context(
            connected(AddressesByService(), NodeTokens(self.keys.minter()))
        )

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
            mesh.own_address, self.addresses_of[service] = server.address, (server.address,)
            try:
                yield server.address
            finally:
                self.addresses_of[service] = ()

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
        hosted = Hosted(receiver, add, {InjectedFailure: (grpc.StatusCode.UNAVAILABLE, "BROKEN")})
        server = await self.stack.enter_async_context(serving([hosted], verifier=self.keys.verifier(), limits=LIMITS))
        registration = Registration(name)
        (registry,) = self.addresses_of[REGISTRY]
        running = registration.running(await self.mesh(), registry, server.address, [GATEWAY])
        await self.stack.enter_async_context(running)
        await registration.attached()
        return GatewayNode(receiver, registration)


@pytest.fixture(name="system")
async def fixture_system(tmp_path: Path) -> AsyncIterator[FanoutSystem]:
    async with open_sqlite_log(tmp_path / "reactions.db") as log, AsyncExitStack() as stack:
        crowd = Crowd(log)
        system = FanoutSystem(tmp_path, log, open_keys(tmp_path / "keys"), stack, crowd)
        records: Any = CrowdServicer(crowd)
        peer = Hosted(records, reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
        server = await stack.enter_async_context(serving([peer], verifier=system.keys.verifier(), limits=LIMITS))
        system.addresses_of[REACTION] = (server.address,)
        yield system


@pytest.fixture(name="whole")
async def fixture_whole(system: FanoutSystem) -> AsyncIterator[FanoutSystem]:
    async with system.registry(), system.counter(), system.fanout():
        yield system
