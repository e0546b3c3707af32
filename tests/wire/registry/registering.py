"""A session registry on a real port, and what nodes and watchers do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import status_pb2

from kit.auth.keys import Keys
from kit.auth.tokens import NodeTokens
from kit.clock import Clock, ManualClock
from kit.cluster.nodes import StaticNodes
from kit.cluster.registration import Registration
from kit.errors import RemoteError, remote_error
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Server, serving
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry.app import opened
from session_registry.config import Config

ECHO = "plaudit.echo.v1.EchoService"
REGISTRY = "/plaudit.session.v1.SessionRegistryService"
CONFIG = Config(sweep_seconds=0.01)
TIMEOUT = 20.0


async def until(true: Callable[[], Any], what: str = "") -> None:
    """Lets the loop go on until something is true."""
    try:
        async with asyncio.timeout(TIMEOUT):
            while not true():  # noqa: ASYNC110 - what is waited for is any condition at all
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"did not come true: {what or true}") from None


@asynccontextmanager
async def registry(
    keys: Keys, *, config: Config = CONFIG, clock: Clock | None = None, listen: str = "127.0.0.1:0"
) -> AsyncIterator[Server]:
    """A registry whose clock does not move unless given; a stop may take 30 s, so one that hangs is detected."""
    async with (
        opened(config, clock or ManualClock()) as hosted,
        serving(hosted, verifier=keys.verifier(), listen=listen, limits=ServerLimits(grace=30.0)) as server,
    ):
        yield server


@asynccontextmanager
async def mesh(keys: Keys) -> AsyncIterator[Mesh]:
    """A service's way to others; it has channels of its own."""
    async with connected(StaticNodes(), NodeTokens(keys.minter())) as made:
        yield made


@dataclass
class Gateway:
    """A node with a registration, and the sessions that it was requested to close."""

    registration: Registration
    fenced: list[str] = field(default_factory=list)
    logged_out: list[str] = field(default_factory=list)


@asynccontextmanager
async def gateway(mesh: Mesh, address: str, name: str) -> AsyncIterator[Gateway]:
    """A node that is attached for the block."""
    node = Gateway(Registration(name))
    node.registration.on_fenced(lambda session_ids: node.fenced.extend(session_ids))
    node.registration.on_logged_out(lambda session_ids: node.logged_out.extend(session_ids))
    async with node.registration.running(mesh, address, f"{name}:1", [ECHO]):
        async with asyncio.timeout(TIMEOUT):
            await node.registration.attached()
        yield node


@dataclass
class Watcher:
    """A watch, and the state that its responses describe."""

    nodes: dict[str, str] = field(default_factory=dict)
    interests: set[tuple[str, str]] = field(default_factory=set)
    synced: bool = False
    error: RemoteError | None = None
    responses: int = 0

    def receive(self, response: pb.WatchResponse) -> None:
        """Applies the changes in their order."""
        self.responses += bool(response.ByteSize())  # the others are signs of life
        for node_id in response.down:
            del self.nodes[node_id]
            self.interests = {pair for pair in self.interests if pair[0] != node_id}
        for node in response.up:
            self.nodes[node.node_id] = node.address
        for interest in response.interests:
            pair = (interest.node_id, interest.topic.name)
            assert (pair in self.interests) != interest.wanted
            (self.interests.add if interest.wanted else self.interests.remove)(pair)
        self.synced = self.synced or response.synced


@asynccontextmanager
async def watching(mesh: Mesh, address: str, *, topics: bool = True) -> AsyncIterator[Watcher]:
    """A watch for the block; its first state is complete when the block begins."""
    watcher = Watcher()
    call = pb_grpc.SessionRegistryServiceStub(mesh.channel(address)).Watch(
        pb.WatchRequest(topics=topics), metadata=mesh.metadata(f"{REGISTRY}/Watch")
    )

    async def read() -> None:
        try:
            async for response in call:
                watcher.receive(response)
        except grpc.aio.AioRpcError as error:
            watcher.error = status_in(error)

    reader = asyncio.create_task(read())
    try:
        await until(lambda: watcher.synced or watcher.error, "the first state")
        yield watcher
    finally:
        call.cancel()
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def sessions_of(mesh: Mesh, address: str, user: str, tenant: str = "acme") -> Sequence[tuple[str, str]]:
    """(node id, session id) of the user's live sessions, oldest first."""
    stub: Any = pb_grpc.SessionRegistryServiceStub(mesh.channel(address))
    request = pb.GetSessionsRequest(tenant=tenant, user=user)
    found = await stub.GetSessions(request, metadata=mesh.metadata(f"{REGISTRY}/GetSessions"))
    return [(one.node_id, one.session_id) for one in found.sessions]


async def owner_is(mesh: Mesh, address: str, user: str, *expected: tuple[str, str]) -> None:
    """Waits until the registry has exactly these sessions of a user."""
    found: Sequence[tuple[str, str]] = ()
    for _ in range(2_000):
        found = await sessions_of(mesh, address, user)
        if list(found) == list(expected):
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"{user} has {found}")


class RawNode:
    """A node that speaks the contract by hand."""

    def __init__(self, mesh: Mesh, address: str) -> None:
        stub: Any = pb_grpc.SessionRegistryServiceStub(mesh.channel(address))
        self.call = stub.Attach(metadata=mesh.metadata(f"{REGISTRY}/Attach"))

    async def attach(self, name: str) -> pb.AttachResponse:
        """Attaches and returns the first response."""
        node = session_pb2.Node(node_id=name, address=f"{name}:1", services=[ECHO])
        return await self.report(pb.AttachRequest(node=node))

    async def report(self, request: pb.AttachRequest) -> pb.AttachResponse:
        """Sends a request and returns the next response."""
        await self.call.write(request)
        response: pb.AttachResponse = await self.call.read()
        return response

    async def failure(self) -> RemoteError:
        """The status the stream ends with; raises AssertionError where it ends well."""
        try:
            async with asyncio.timeout(TIMEOUT):
                while await self.call.read() is not grpc.aio.EOF:
                    pass
        except grpc.aio.AioRpcError as error:
            return status_in(error)
        raise AssertionError("the stream ended well")


def status_in(error: grpc.aio.AioRpcError) -> RemoteError:
    """The typed failure in an rpc's trailing metadata."""
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    assert isinstance(details, bytes)
    if not details:
        return remote_error(status_pb2.Status(code=error.code().value[0], message=error.details() or ""))
    return remote_error(status_pb2.Status.FromString(details))
