"""Two registries and two gateways on Cassandra and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from kit.adapters.cassandra.schema import migrate
from kit.auth.keys import Keys, open_keys
from kit.cluster.nodes import RegistryNodes
from kit.cluster.registry_endpoints import problem_of
from kit.errors import RemoteError
from kit.rpc.mesh import Mesh
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry.adapters.cassandra_lease import SCHEMA
from tests.engines import Engines
from tests.ownredis import OwnRedis, own_redis
from tests.registryprocess import registry
from tests.wire.registry.registering import ECHO, REGISTRY, Gateway, RawNode, gateway, mesh, until


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


async def connected_at(reach: Mesh, address: str, *users: str) -> pb.FindConnectedUsersResponse:
    """Which users are connected, as one registry says."""
    request = pb.FindConnectedUsersRequest(users=[session_pb2.User(tenant="acme", user_id=user) for user in users])
    answer: pb.FindConnectedUsersResponse = await stub(reach, address).FindConnectedUsers(
        request, metadata=reach.metadata(f"{REGISTRY}/FindConnectedUsers"), timeout=2.0
    )
    return answer


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


class ObservedNodes:
    """Every set of nodes that a process has seen since the first complete one."""

    def __init__(self, nodes: RegistryNodes) -> None:
        self.nodes = nodes
        self.seen: set[tuple[str, ...]] = set()
        self._looking = asyncio.create_task(self._observe())

    async def _observe(self) -> None:
        while True:
            self.seen.add(self.nodes.addresses(ECHO))
            await asyncio.sleep(0.005)

    def end(self) -> None:
        self._looking.cancel()


@asynccontextmanager
async def observed_nodes(reach: Mesh, addresses: Sequence[str], count: int) -> AsyncIterator[ObservedNodes]:
    nodes = RegistryNodes(grace=0.5)
    async with nodes.running(reach, addresses):
        await until(lambda: len(nodes.addresses(ECHO)) == count)
        seen = ObservedNodes(nodes)
        try:
            yield seen
        finally:
            seen.end()
