"""Authorization on call streams, and of health checks and reflection."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from kit.auth.keys import open_keys
from kit.auth.tokens import NodeTokens
from kit.clock import ManualClock
from kit.cluster.nodes import StaticNodes
from kit.errors import RemoteError
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import serving
from plaudit.counter.v1 import counter_service_pb2
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_pb2
from tests.wire.auth.callers import (
    CALL_STREAM,
    DENIED,
    INVALID,
    METHODS,
    NODE,
    OK,
    SCOPE,
    SERVICES,
    UNAUTHENTICATED,
    USER,
    HostedServices,
    access_of,
    admitted,
    fixture_called,
    hosted,
    metadata_of,
    path_of,
    scope_of,
)
from tests.wire.registry.registering import status_in

__all__ = ["fixture_called"]

STREAMS = [
    method for method in METHODS if method.server_streaming and method.containing_service.full_name != CALL_STREAM
]
# Where nothing is no valid request.
FIRST: dict[str, Any] = {
    "WatchCounts": counter_service_pb2.WatchCountsRequest(targets=["messages/1"]),
    "StreamReactions": changes_pb.StreamReactionsRequest(changes=[reaction_pb2.Change()]),
}
UNARY = [method for method in METHODS if not method.client_streaming and not method.server_streaming]


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
async def test_health_is_public_and_internal_rpcs_are_for_services(
    called: HostedServices, method: str, kind: str, expected: grpc.StatusCode
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
async def test_the_call_stream_grants_no_access_beyond_that_of_direct_calls(
    called: HostedServices, method: MethodDescriptor
) -> None:
    for_users, for_scope = access_of(method) == USER, access_of(method) == SCOPE
    async with connected(StaticNodes(called.address), NodeTokens(called.keys.minter())) as edge:
        expected, denied = admitted(method), (DENIED, "ACCESS_DENIED")
        # A user that the edge forwards has a user's rights, and none of the edge's.
        assert await _forwarded(edge, method, user="bob", tenant="acme") == (expected if for_users else denied)
        scope = scope_of(method) if for_scope else ""
        with_scope = await _forwarded(edge, method, user="bob", tenant="acme", scope=scope)
        assert with_scope == (expected if for_users or for_scope else denied)
        # A node on its own account, for itself or for a user.
        assert await _forwarded(edge, method) == (denied if for_scope else expected)
        for_person = denied if for_scope or access_of(method) == NODE else expected
        assert await _forwarded(edge, method, user="bob", tenant="acme", unlimited=True) == for_person
        # Names are names also here.
        for nonsense in ("../root", "a b", "x" * 65, "bob\n"):
            code, reason = await _forwarded(edge, method, user=nonsense, tenant="acme")
            assert (code, reason) == (INVALID, "INVALID_REQUEST")
            code, reason = await _forwarded(edge, method, user="bob", tenant=nonsense)
            assert (code, reason) == (INVALID, "INVALID_REQUEST")


@pytest.mark.parametrize("end", ["expiry", "revocation"])
@pytest.mark.parametrize("method", STREAMS, ids=path_of)
async def test_a_stream_ends_when_its_token_expires_and_a_stream_of_a_node_continues(
    tmp_path: Path, method: MethodDescriptor, end: str
) -> None:
    keys, clock = open_keys(tmp_path), ManualClock(time.time())
    endless = [hosted(service, is_endless=True) for service in SERVICES if service.full_name != CALL_STREAM]
    minter, path = keys.minter(), path_of(method)
    request = FIRST[method.name].SerializeToString() if method.name in FIRST else b""
    is_for_nodes = access_of(method) == NODE
    token = minter.mint_node("n1", path, ttl=60) if is_for_nodes else minter.mint_user("alice", ttl=60)
    async with (
        serving(endless, verifier=keys.verifier(), limits=ServerLimits(grace=0.1), clock=clock) as server,
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
