"""Who may call what: every rpc of every contract times every kind of caller, generated from the descriptors.

An rpc that is added to the contracts is tested here without a change; one without an `access` option is refused to all
callers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import protovalidate
import pytest
import pytest_asyncio
from google.protobuf import empty_pb2, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default

from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.clock import ManualClock
from kit.cluster.nodes import StaticNodes
from kit.errors import RemoteError
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from plaudit.counter.v1 import counter_service_pb2
from plaudit.edge.v1 import options_pb2
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_pb2
from tests.wire.registry.registering import status_in

ROOT = Path(__file__).parents[3]
PUBLIC, USER, SERVICE, NODE = (
    options_pb2.ACCESS_PUBLIC, options_pb2.ACCESS_USER, options_pb2.ACCESS_SERVICE, options_pb2.ACCESS_NODE,
)  # fmt: skip
OK, UNAUTHENTICATED = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
DENIED, INVALID = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT
CALL_STREAM = "plaudit.edge.v1.CallService"
NOBODYS = "plaudit.test.v1.UndescribedService"


def _services() -> list[ServiceDescriptor]:
    """Every service of the contracts, from the protoset; importing a file's stubs puts it into the pool."""
    found = []
    for file in FileDescriptorSet.FromString((ROOT / "gen" / "plaudit" / "plaudit.protoset").read_bytes()).file:
        if file.name.startswith("plaudit/"):
            import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
            found += [Default().FindServiceByName(f"{file.package}.{service.name}") for service in file.service]
    return found


SERVICES = _services()
METHODS = [method for service in SERVICES for method in service.methods]
STREAMS = [
    method for method in METHODS if method.server_streaming and method.containing_service.full_name != CALL_STREAM
]
# Where nothing is no valid request.
FIRST: dict[str, Any] = {
    "WatchCounts": counter_service_pb2.WatchCountsRequest(targets=["messages/1"]),
    "StreamReactions": changes_pb.StreamReactionsRequest(changes=[reaction_pb2.Change()]),
}
UNARY = [method for method in METHODS if not method.client_streaming and not method.server_streaming]


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def access_of(method: MethodDescriptor) -> int:
    access: int = method.GetOptions().Extensions[options_pb2.access]
    return access


def scope_of(method: MethodDescriptor) -> str:
    scope: str = method.GetOptions().Extensions[options_pb2.scope]
    return scope


def _hosted(service: ServiceDescriptor, *, is_endless: bool = False) -> Hosted:
    """A servicer that answers everything it is let through to; where it `is_endless`, no stream ends by itself."""

    def answering(method: MethodDescriptor) -> Any:
        response = message_factory.GetMessageClass(method.output_type)

        async def unary(request: Any, context: Any) -> Any:
            return response()

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            if method.client_streaming:
                async for _ in request:
                    yield response()
            else:
                yield response()
            if is_endless:
                await asyncio.Event().wait()

        return staticmethod(stream if method.server_streaming else unary)

    module = import_module(service.file.name.removesuffix(".proto").replace("/", ".") + "_pb2_grpc")
    base = getattr(module, f"{service.name}Servicer")
    servicer = type(service.name, (base,), {method.name: answering(method) for method in service.methods})
    return Hosted(servicer(), getattr(module, f"add_{service.name}Servicer_to_server"))


def _undescribed() -> Hosted:
    """A service that no contract knows: nothing says who may call it."""

    async def call(request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    handler = grpc.unary_unary_rpc_method_handler(call, empty_pb2.Empty.FromString, empty_pb2.Empty.SerializeToString)

    def add(servicer: object, server: Any) -> None:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NOBODYS, {"Call": handler}),))
        server.add_registered_method_handlers(NOBODYS, {"Call": handler})

    return Hosted(object(), add)


@dataclass(frozen=True)
class Called:
    """A server that hosts everything, and the keys it trusts."""

    address: str
    keys: Keys
    channel: Any


@pytest_asyncio.fixture(name="called", scope="module", loop_scope="module")
async def fixture_called(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Called]:
    keys = open_keys(tmp_path_factory.mktemp("authorization") / "keys")
    hosted = [_hosted(service) for service in SERVICES if service.full_name != CALL_STREAM] + [_undescribed()]
    async with (
        serving(hosted, verifier=keys.verifier(), limits=ServerLimits(grace=0.5)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Called(server.address, keys, channel)


Metadata = tuple[tuple[str, str], ...]


def metadata_of(kind: str, keys: Keys, method: str = "", scope: str = "") -> Metadata:
    """What a caller of this kind sends to the method, whose contract asks for that scope."""

    def bearer(token: str) -> tuple[str, str]:
        return ("authorization", f"Bearer {token}")

    minter = keys.minter()
    bob = ("plaudit-user", "bob")
    return {
        "anonymous": (),
        "anonymous who names a user": (bob,),
        "garbage token": (bearer("garbage"),),
        "garbage token that names a user": (bearer("garbage"), bob),
        "user": (bearer(minter.mint_user("alice")),),
        "user who names another": (bearer(minter.mint_user("alice")), bob),
        "user who names himself": (bearer(minter.mint_user("bob")), bob),
        "service": (bearer(minter.mint_service("bench", ())),),
        "service without act-as that names a user": (bearer(minter.mint_service("bench", ())), bob),
        "service with another scope that names a user": (bearer(minter.mint_service("bench", ("act-as-not",))), bob),
        "service with the scope": (bearer(minter.mint_service("bench", (scope,))),),
        "service with the scope and act-as that names a user": (
            bearer(minter.mint_service("bench", (scope, "act-as"))),
            bob,
        ),
        "service with every other scope": (
            bearer(minter.mint_service("bench", tuple({"act-as", "tenants", "audit", "sessions"} - {scope}))),
        ),
        "service that calls itself a node": (bearer(minter.mint_service("bench", ("node", "act-as", "tenants"))),),
        "node": (bearer(minter.mint_node("n1", method)),),
        "node that names a user": (bearer(minter.mint_node("n1", method)), bob),
        "node with the token of another method": (bearer(minter.mint_node("n1", f"{method}s")),),
        "node whose token lives too long": (bearer(minter.mint_node("n1", method, ttl=3_600)),),
        "act-as service": (bearer(minter.mint_service("bench")),),
        "act-as service that names a user": (bearer(minter.mint_service("bench")), bob),
        "act-as service that names nonsense": (bearer(minter.mint_service("bench")), ("plaudit-user", "../root")),
        "act-as service that names two users": (
            bearer(minter.mint_service("bench")),
            ("plaudit-user", "alice"),
            bob,
        ),
        "two tokens": (bearer(minter.mint_user("alice")), bearer(minter.mint_service("bench"))),
    }[kind]


def by_access(user: grpc.StatusCode, service: grpc.StatusCode, node: grpc.StatusCode) -> dict[int, grpc.StatusCode]:
    return {PUBLIC: OK, USER: user, SERVICE: service, NODE: node}


# What each kind of caller is answered, by the rpc's access; OK means that the request itself is looked at.
EXPECTED: dict[str, dict[int, grpc.StatusCode]] = {
    "anonymous": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "anonymous who names a user": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "garbage token": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
    "garbage token that names a user": {
        PUBLIC: OK,
        USER: UNAUTHENTICATED,
        SERVICE: UNAUTHENTICATED,
        NODE: UNAUTHENTICATED,
    },
    "user": by_access(OK, DENIED, DENIED),
    "user who names another": by_access(DENIED, DENIED, DENIED),
    "user who names himself": by_access(DENIED, DENIED, DENIED),
    # Services of the system read for themselves, counts for example: their own name is no user's.
    "service": by_access(OK, DENIED, DENIED),
    "service without act-as that names a user": by_access(DENIED, DENIED, DENIED),
    "service with another scope that names a user": by_access(DENIED, DENIED, DENIED),
    "service with the scope": by_access(OK, OK, DENIED),
    "service with the scope and act-as that names a user": by_access(OK, OK, DENIED),
    "service with every other scope": by_access(OK, DENIED, DENIED),
    "service that calls itself a node": {
        PUBLIC: OK,
        USER: UNAUTHENTICATED,
        SERVICE: UNAUTHENTICATED,
        NODE: UNAUTHENTICATED,
    },
    "node": by_access(OK, OK, OK),
    "node that names a user": by_access(OK, OK, DENIED),
    "node with the token of another method": {
        PUBLIC: OK,
        USER: UNAUTHENTICATED,
        SERVICE: UNAUTHENTICATED,
        NODE: UNAUTHENTICATED,
    },
    "node whose token lives too long": {
        PUBLIC: OK,
        USER: UNAUTHENTICATED,
        SERVICE: UNAUTHENTICATED,
        NODE: UNAUTHENTICATED,
    },
    "act-as service": by_access(OK, DENIED, DENIED),
    "act-as service that names a user": by_access(OK, DENIED, DENIED),
    "act-as service that names nonsense": by_access(INVALID, INVALID, INVALID),
    "act-as service that names two users": by_access(INVALID, INVALID, INVALID),
    "two tokens": by_access(UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED),
}


def _admitted(method: MethodDescriptor) -> tuple[grpc.StatusCode, str]:
    """The answer to an empty request of a caller with access: it is valid or not."""
    if method.client_streaming:
        return OK, ""
    try:
        protovalidate.validate(message_factory.GetMessageClass(method.input_type)())
    except protovalidate.ValidationError:
        return INVALID, "INVALID_REQUEST"
    return OK, ""


async def _answer(channel: Any, method: MethodDescriptor, metadata: Metadata) -> tuple[Any, str]:
    """Code and reason for an empty request, or for a stream without any."""
    try:
        async with asyncio.timeout(10.0):
            if method.client_streaming:
                streamed = channel.stream_stream(path_of(method))(metadata=metadata)
                await streamed.done_writing()
                async for _ in streamed:
                    pass
            elif method.server_streaming:
                async for _ in channel.unary_stream(path_of(method))(b"", metadata=metadata):
                    pass
            else:
                await channel.unary_unary(path_of(method))(b"", metadata=metadata)
    except grpc.aio.AioRpcError as error:
        found = status_in(error)
        return found.code, found.reason
    return OK, ""


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("method", METHODS, ids=path_of)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_rpc_is_open_to_the_callers_of_its_contract(
    called: Called, method: MethodDescriptor, kind: str
) -> None:
    expected = EXPECTED[kind][access_of(method)]
    code, reason = await _answer(
        called.channel, method, metadata_of(kind, called.keys, path_of(method), scope_of(method))
    )
    if expected is OK:
        assert (code, reason) == _admitted(method)
    else:
        assert code == expected
        assert (
            reason
            in {
                UNAUTHENTICATED: ("INVALID_TOKEN",),
                DENIED: ("ACCESS_DENIED", "ACT_AS_REQUIRED"),
                INVALID: ("INVALID_REQUEST",),
            }[expected]
        )


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_rpc_without_access_is_refused_to_all_callers(called: Called, kind: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await called.channel.unary_unary(f"/{NOBODYS}/Call")(
            b"", metadata=metadata_of(kind, called.keys, f"/{NOBODYS}/Call")
        )
    assert caught.value.code() in (UNAUTHENTICATED, DENIED, INVALID)


@pytest.mark.parametrize(
    ("method", "kind", "expected"),
    [
        ("/grpc.health.v1.Health/Check", "anonymous", OK),
        ("/grpc.channelz.v1.Channelz/GetServers", "anonymous", UNAUTHENTICATED),
        ("/grpc.channelz.v1.Channelz/GetServers", "user", DENIED),
        ("/grpc.channelz.v1.Channelz/GetServers", "service", DENIED),
        ("/grpc.channelz.v1.Channelz/GetServers", "service with the scope", OK),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_health_is_for_all_and_what_shows_the_inside_is_for_services(
    called: Called, method: str, kind: str, expected: grpc.StatusCode
) -> None:
    try:
        await called.channel.unary_unary(method)(b"", metadata=metadata_of(kind, called.keys, method, "audit"))
        code = OK
    except grpc.aio.AioRpcError as error:
        code = error.code()
    assert code == expected


async def _forwarded(mesh: Mesh, method: MethodDescriptor, **who: Any) -> tuple[grpc.StatusCode, str]:
    """Code and reason for an empty request on the call stream."""
    try:
        await mesh.call(path_of(method), b"", timeout=10.0, **who)
    except RemoteError as error:
        return error.code, error.reason
    return OK, ""


@pytest.mark.parametrize("method", UNARY, ids=path_of)
@pytest.mark.asyncio(loop_scope="module")
async def test_the_call_stream_opens_no_rpc_to_anyone_who_may_not_call_it_directly(
    called: Called, method: MethodDescriptor
) -> None:
    for_users = access_of(method) == USER
    async with connected(StaticNodes(called.address), NodeTokens(called.keys.minter())) as edge:
        admitted, denied = _admitted(method), (DENIED, "ACCESS_DENIED")
        # A user that the edge forwards has a user's rights, and none of the edge's.
        assert await _forwarded(edge, method, user="bob", tenant="acme") == (admitted if for_users else denied)
        # A node on its own account, for itself or for a user.
        assert await _forwarded(edge, method) == admitted
        for_person = denied if access_of(method) == NODE else admitted
        assert await _forwarded(edge, method, user="bob", tenant="acme", unlimited=True) == for_person
        # Names are names also here.
        for nonsense in ("../root", "a b", "x" * 65, "bob\n"):
            code, reason = await _forwarded(edge, method, user=nonsense, tenant="acme")
            assert (code, reason) == (INVALID, "INVALID_REQUEST")
            code, reason = await _forwarded(edge, method, user="bob", tenant=nonsense)
            assert (code, reason) == (INVALID, "INVALID_REQUEST")


@pytest.mark.parametrize("end", ["expiry", "revocation"])
@pytest.mark.parametrize("method", STREAMS, ids=path_of)
async def test_a_stream_ends_with_the_token_that_opened_it_and_a_nodes_goes_on(
    tmp_path: Path, method: MethodDescriptor, end: str
) -> None:
    keys, clock = open_keys(tmp_path), ManualClock(time.time())
    hosted = [_hosted(service, is_endless=True) for service in SERVICES if service.full_name != CALL_STREAM]
    minter, path = keys.minter(), path_of(method)
    request = FIRST[method.name].SerializeToString() if method.name in FIRST else b""
    is_for_nodes = access_of(method) == NODE
    token = minter.mint_node("n1", path, ttl=60) if is_for_nodes else minter.mint_user("alice", ttl=60)
    async with (
        serving(hosted, verifier=keys.verifier(), limits=ServerLimits(grace=0.1), clock=clock) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        metadata = (("authorization", f"Bearer {token}"),)
        opener: Any = channel.stream_stream(path) if method.client_streaming else channel.unary_stream(path)
        call = opener(*(() if method.client_streaming else (request,)), metadata=metadata)
        if method.client_streaming:
            await call.write(request)
        assert await asyncio.wait_for(call.read(), 5) == b""
        if end == "expiry":
            clock.advance(61)
        else:
            (keys.folder / "revoked").write_text(keys.verifier().verify(token).token_id)
            clock.advance(1.1)
        if is_for_nodes:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(call.read()), 1.2)
            call.cancel()
            return
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await asyncio.wait_for(call.read(), 2)
        reason = "TOKEN_EXPIRED" if end == "expiry" else "INVALID_TOKEN"
        assert (status_in(ended.value).code, status_in(ended.value).reason) == (UNAUTHENTICATED, reason)


def test_the_matrix_knows_all_there_is() -> None:
    assert len(METHODS) >= 18
    assert {access_of(method) for method in METHODS} <= {PUBLIC, USER, SERVICE, NODE}, (
        "an rpc without the access option"
    )
    assert all(row.keys() == {PUBLIC, USER, SERVICE, NODE} for row in EXPECTED.values())
    for method in METHODS:
        assert bool(scope_of(method)) == (access_of(method) == SERVICE), f"{path_of(method)} and its scope"
