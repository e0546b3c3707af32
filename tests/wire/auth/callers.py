"""Every rpc of the contracts on a server, and every kind of caller."""

from __future__ import annotations

import asyncio
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
from kit.limits.server_limits import ServerLimits
from kit.rpc.server import Hosted, serving
from plaudit.edge.v1 import options_pb2

ROOT = Path(__file__).parents[3]
PUBLIC, USER, SERVICE, NODE, SCOPE = (
    options_pb2.ACCESS_PUBLIC, options_pb2.ACCESS_USER, options_pb2.ACCESS_SERVICE, options_pb2.ACCESS_NODE,
    options_pb2.ACCESS_SCOPE,
)  # fmt: skip
OK, UNAUTHENTICATED = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
DENIED, INVALID = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT
CALL_STREAM = "plaudit.edge.v1.CallService"
NOBODYS = "plaudit.test.v1.UndescribedService"


def services() -> list[ServiceDescriptor]:
    """Every service of the contracts, from the protoset; importing a file's stubs puts it into the pool."""
    found = []
    for file in FileDescriptorSet.FromString((ROOT / "gen" / "plaudit" / "plaudit.protoset").read_bytes()).file:
        if file.name.startswith("plaudit/"):
            import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
            found += [Default().FindServiceByName(f"{file.package}.{service.name}") for service in file.service]
    return found


SERVICES = services()
METHODS = [method for service in SERVICES for method in service.methods]


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def access_of(method: MethodDescriptor) -> int:
    access: int = method.GetOptions().Extensions[options_pb2.access]
    return access


def scope_of(method: MethodDescriptor) -> str:
    scope: str = method.GetOptions().Extensions[options_pb2.scope]
    return scope


def hosted(service: ServiceDescriptor, *, is_endless: bool = False) -> Hosted:
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


def undescribed() -> Hosted:
    """A service that no contract knows: nothing says who may call it."""

    async def call(request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    handler = grpc.unary_unary_rpc_method_handler(call, empty_pb2.Empty.FromString, empty_pb2.Empty.SerializeToString)

    def add(servicer: object, server: Any) -> None:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NOBODYS, {"Call": handler}),))
        server.add_registered_method_handlers(NOBODYS, {"Call": handler})

    return Hosted(object(), add)


@dataclass(frozen=True)
class HostedServices:
    """A server that hosts everything, and the keys it trusts."""

    address: str
    keys: Keys
    channel: Any


@pytest_asyncio.fixture(name="called", scope="module", loop_scope="module")
async def fixture_called(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostedServices]:
    keys = open_keys(tmp_path_factory.mktemp("authorization") / "keys")
    services = [hosted(service) for service in SERVICES if service.full_name != CALL_STREAM] + [undescribed()]
    async with (
        serving(services, verifier=keys.verifier(), limits=ServerLimits(grace=0.5)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield HostedServices(server.address, keys, channel)


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
        "user with the scope": (bearer(minter.mint_user("alice", scopes=(scope,))),),
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


def admitted(method: MethodDescriptor) -> tuple[grpc.StatusCode, str]:
    """The answer to an empty request of a caller with access: it is valid or not."""
    if method.client_streaming:
        return OK, ""
    try:
        protovalidate.validate(message_factory.GetMessageClass(method.input_type)())
    except protovalidate.ValidationError:
        return INVALID, "INVALID_REQUEST"
    return OK, ""
