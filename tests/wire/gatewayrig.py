"""A real gateway in front of a real gRPC server with the servicers of a test, and clients for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import status_pb2
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway.app import Gateway, opened
from gateway.config import Config
from gateway.fanout.delivery import Delivery
from kit.auth.caller import caller
from kit.auth.identity import IssuerSettings
from kit.auth.issuers import open_issuers
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.registration import LeaseStatus
from kit.errors import ErrorTable, Forbidden, Overloaded
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, Server, serving
from plaudit.gateway.v1 import frames_pb2, node_service_pb2, node_service_pb2_grpc
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_pb2, reaction_service_pb2, reaction_service_pb2_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb

TIMEOUT = 5.0
NODE_ID = "node-1"
JSON = "plaudit.v1.json"
PROTO = "plaudit.v1.proto"


class TooFast(Overloaded):
    """A failure that only the table of the service knows."""


ERRORS: ErrorTable = {TooFast: (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")}


class Reactions(reaction_service_pb2_grpc.ReactionServiceServicer):
    """Keeps reactions in a dict: enough to check that a call arrived unchanged and for its user."""

    def __init__(self) -> None:
        self.by_user: dict[tuple[str, str], set[str]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = 0

    def _change(self, target: str, emoji: str, on: bool | None) -> bool:
        emojis = self.by_user.setdefault((target, caller().user), set())
        on = emoji not in emojis if on is None else on
        (emojis.add if on else emojis.discard)(emoji)
        return on

    async def ToggleReaction(self, request: Any, context: Any) -> Any:
        self.entered += 1
        await self.gate.wait()
        if request.emoji == "limited":
            raise TooFast("too much", retry_after=1.25, field="emoji")
        if request.emoji == "forbidden":
            raise Forbidden("not you")
        if request.emoji == "crash":
            raise ZeroDivisionError("secret")
        on = self._change(request.target, request.emoji, None)
        response = changes_pb.ToggleReactionResponse(on=on, version=1 << 60)
        response.reactions.add(emoji=request.emoji, count=1)
        return response

    async def SetReaction(self, request: Any, context: Any) -> Any:
        return changes_pb.SetReactionResponse(on=self._change(request.target, request.emoji, request.on))

    async def ClearReactions(self, request: Any, context: Any) -> Any:
        if request.emoji:
            self._change(request.target, request.emoji, False)
        else:
            self.by_user.pop((request.target, caller().user), None)
        return changes_pb.ClearReactionsResponse(version=7)

    async def BatchGetOwnReactions(self, request: Any, context: Any) -> Any:
        return reaction_service_pb2.BatchGetOwnReactionsResponse(
            own_reactions=[
                reaction_pb2.OwnReactions(target=target, emojis=sorted(self.by_user.get((target, caller().user), ())))
                for target in request.targets
            ]
        )

    async def BatchChangeReactions(self, request: Any, context: Any) -> Any:
        return changes_pb.BatchChangeReactionsResponse()

    async def StreamReactions(self, request_iterator: Any, context: Any) -> Any:
        async for _ in request_iterator:
            yield changes_pb.StreamReactionsResponse()

    async def TallyReactions(self, request: Any, context: Any) -> Any:
        return tally_pb.TallyReactionsResponse()

    async def ListReactors(self, request: Any, context: Any) -> Any:
        reactor = reaction_pb2.Reactor(user=f"{request.page_size}:{request.page_token}", emoji=request.emoji)
        reactor.create_time.FromSeconds(0)
        return reaction_service_pb2.ListReactorsResponse(reactors=[reactor])


@dataclass
class RecordingDirectory:
    """A directory that records its calls."""

    events: list[tuple[str, ...]] = field(default_factory=list)
    fence: Callable[[Sequence[str]], None] = lambda _: None
    log_out: Callable[[Sequence[str]], None] = lambda _: None
    on_subscribe: Callable[[str, str], None] = lambda tenant, topic: None

    def on_fenced(self, callback: Callable[[Sequence[str]], None]) -> None:
        self.fence = callback

    def on_logged_out(self, callback: Callable[[Sequence[str]], None]) -> None:
        self.log_out = callback

    def opened(self, session_id: str, tenant: str, user: str, device: str, *, token_issued: int | None = None) -> None:
        self.events.append(("opened", session_id, tenant, user, device))

    def closed(self, session_id: str) -> None:
        self.events.append(("closed", session_id))

    def is_attached(self) -> bool:
        return True

    def lease_status(self) -> LeaseStatus:
        return LeaseStatus(1, 10.0, 0.0, True)

    def subscribe(self, tenant: str, topic: str) -> None:
        self.events.append(("subscribed", tenant, topic))
        self.on_subscribe(tenant, topic)

    def unsubscribe(self, tenant: str, topic: str) -> None:
        self.events.append(("unsubscribed", tenant, topic))


@dataclass
class SingleServer:
    """Every service is at the same address."""

    address: str = ""

    def addresses(self, service: str) -> tuple[str, ...]:
        return (self.address,)

    def address_of(self, node_id: str) -> str:
        return ""


@dataclass
class Rig:
    """A running gateway and its collaborators."""

    gateway: Gateway
    server: Server
    mesh: Mesh
    keys: Keys
    reactions: Reactions
    directory: RecordingDirectory

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.gateway.listener.port}"

    def token(self, user: str = "alice", **options: Any) -> str:
        return self.keys.minter().mint_user(user, **options)

    @asynccontextmanager
    async def socket(
        self, user: str = "alice", subprotocol: str = JSON, hello: bool = True, **options: Any
    ) -> AsyncIterator[Client]:
        """A client; `hello`: after its `hello` was answered."""
        headers = {"Authorization": f"Bearer {self.token(user)}", **options.pop("headers", {})}
        url = self.http.replace("http", "ws") + "/ws/connect"
        offered = [Subprotocol(subprotocol)]
        async with connect(
            url,
            additional_headers=headers,
            subprotocols=offered,
            compression=None,
            proxy=None,
            max_queue=None,
            **options,
        ) as socket:
            client = Client(socket)
            if hello:
                await client.hello()
            yield client

    async def deliver(self, *deliveries: node_service_pb2.Delivery, sequence: str = "") -> int:
        """Delivers pushes as fan-out does; returns the number of sockets they were queued for."""
        stub: Any = node_service_pb2_grpc.NodeServiceStub(self.mesh.channel(self.server.address))
        call = stub.Deliver(metadata=self.mesh.metadata("/plaudit.gateway.v1.NodeService/Deliver"))
        await call.write(node_service_pb2.DeliverRequest(deliveries=deliveries, sequence=sequence))
        answer = await asyncio.wait_for(call.read(), TIMEOUT)
        await call.done_writing()
        assert answer is not grpc.aio.EOF, await call.details()
        return int(answer.sockets)


class Client:
    """A socket that uses JSON or protobuf, by its subprotocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.is_json = socket.subprotocol != PROTO

    async def hello(self, **fields: Any) -> Any:
        if self.is_json:
            return await self.ask({"type": "hello", "id": 1, **fields})
        await self.socket.send(frames_pb2.ClientFrame(id=1, hello=session_pb.Hello(**fields)).SerializeToString())
        return await self.next()

    async def ask(self, frame: dict[str, Any] | str | bytes | frames_pb2.ClientFrame) -> Any:
        """Sends a frame and returns the next one received."""
        if isinstance(frame, dict):
            frame = json.dumps(frame)
        elif isinstance(frame, frames_pb2.ClientFrame):
            frame = frame.SerializeToString()
        await self.socket.send(frame)
        return await self.next()

    async def next(self) -> Any:
        """The next frame: a dict, or a ServerFrame."""
        message = await asyncio.wait_for(self.socket.recv(), TIMEOUT)
        if isinstance(message, bytes):
            return frames_pb2.ServerFrame.FromString(message)
        return json.loads(message)

    async def closed(self) -> int:
        """Waits until the socket has closed and returns the code."""
        await asyncio.wait_for(self.socket.wait_closed(), TIMEOUT)
        assert self.socket.close_code is not None
        return self.socket.close_code


@asynccontextmanager
async def running(
    folder: Path,
    *,
    config: Config | None = None,
    more: Iterable[Hosted] = (),
    contracts: Sequence[FileDescriptorSet] = (),
    issuers: Sequence[IssuerSettings] = (),
    is_confirming: bool = True,
    **options: Any,
) -> AsyncIterator[Rig]:
    """A gateway on a free port; its server hosts `Reactions`, the node itself, and `more`.

    `is_confirming`: a sender confirms every durable topic at once.
    """
    keys = open_keys(folder / "keys")
    nodes, directory, reactions = SingleServer(), RecordingDirectory(), Reactions()
    config = (config or Config()).model_copy(update={"port": 0})
    async with AsyncExitStack() as stack:
        verifier = keys.verifier(await stack.enter_async_context(open_issuers(issuers)))
        mesh = await stack.enter_async_context(connected(nodes, NodeTokens(keys.minter())))
        gateway = await stack.enter_async_context(
            opened(config, mesh, verifier, directory, node_id=NODE_ID, contracts=contracts, **options)
        )
        if is_confirming:
            sender = object()
            gateway.node.durable.stream_continues(sender, "")
            directory.on_subscribe = lambda tenant, topic: confirm(gateway, sender, tenant, topic)
        hosted = Hosted(reactions, reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server, ERRORS)
        server = await stack.enter_async_context(serving([hosted, *gateway.hosted, *more], verifier=verifier))
        nodes.address = server.address
        yield Rig(gateway, server, mesh, keys, reactions, directory)


def confirm(gateway: Gateway, stream: object, tenant: str, topic: str) -> None:
    """Announces on a sender's stream that it delivers a topic to the node, as fan-out does for users' topics."""
    if gateway.node.durable.is_durable(topic):
        gateway.node.durable.deliver(stream, Delivery(tenant, topic, key=NODE_ID))


async def until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.005)


def status_in(body: Any) -> status_pb2.Status:
    """The google.rpc.Status of an HTTP error."""
    return json_format.ParseDict(body, status_pb2.Status())
