"""A server that is asked for more than it can do refuses at once, says so, and still answers health checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kit.auth.jose import UnknownKey, Unverified
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import ForeignIssuers, NodeTokens, Principal
from kit.cluster.nodes import StaticNodes
from kit.errors import RemoteError, remote_error
from kit.limits.server_limits import AdmissionLimits, ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, Server, serving
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc

TOGGLE = "/plaudit.reaction.v1.ReactionService/ToggleReaction"
REQUEST = pb.ToggleReactionRequest(target="messages/1", emoji="👍")
WATCH = counter_pb.WatchCountsRequest(targets=["messages/1"])
FEW = AdmissionLimits(always=2)


class GatedReactions(pb_grpc.ReactionServiceServicer):
    """Answers once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.entered = 0
        self.most_at_once = 0

    async def ToggleReaction(self, request: pb.ToggleReactionRequest, context: Any) -> pb.ToggleReactionResponse:
        self.entered += 1
        self.most_at_once = max(self.most_at_once, self.entered)
        try:
            await self.gate.wait()
        finally:
            self.entered -= 1
        return pb.ToggleReactionResponse(on=True)


class OpenWatches(counter_grpc.CounterServiceServicer):
    """Answers a watch once and keeps it open."""

    async def WatchCounts(self, request: Any, context: Any) -> AsyncIterator[counter_pb.WatchCountsResponse]:
        yield counter_pb.WatchCountsResponse()
        await asyncio.Event().wait()


class SlowIssuer:
    """An issuer none of whose keys is known; a fetch of them ends with the test."""

    version = 0

    def __init__(self) -> None:
        self.waiting = 0

    def names(self) -> frozenset[str]:
        return frozenset(["slow"])

    def verify(self, token: str, unverified: Unverified, now: float) -> Principal:
        raise UnknownKey(self._fetch)

    async def _fetch(self) -> None:
        self.waiting += 1
        await asyncio.Event().wait()


@pytest.fixture(name="keys")
def fixture_keys(tmp_path: Path) -> Keys:
    return open_keys(tmp_path / "keys")


@asynccontextmanager
async def blocked(
    keys: Keys, *, issuers: ForeignIssuers | None = None, **limits: Any
) -> AsyncIterator[tuple[Server, GatedReactions, grpc.aio.Channel, Mesh]]:
    servicer = GatedReactions()
    hosted = [
        Hosted(servicer, pb_grpc.add_ReactionServiceServicer_to_server),
        Hosted(OpenWatches(), counter_grpc.add_CounterServiceServicer_to_server),
    ]
    async with (
        serving(hosted, verifier=keys.verifier(issuers), limits=ServerLimits(grace=0.1, **limits)) as server,
        connected(StaticNodes(server.address), NodeTokens(keys.minter())) as mesh,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        try:
            yield server, servicer, channel, mesh
        finally:
            servicer.gate.set()


def status_in(error: grpc.aio.AioRpcError) -> RemoteError:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return remote_error(status_pb2.Status.FromString(value))
    raise AssertionError(f"{error.code()} has no details")


def bearer(keys: Keys, user: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {keys.minter().mint_user(user, ttl=60)}")]


async def is_entered(servicer: GatedReactions, calls: int) -> None:
    async with asyncio.timeout(5):
        while servicer.entered < calls:  # noqa: ASYNC110  (a counter that the server's tasks change)
            await asyncio.sleep(0)


async def test_calls_that_wait_for_the_keys_of_an_issuer_do_not_count_as_in_flight(keys: Keys) -> None:
    issuer = SlowIssuer()
    one = AdmissionLimits(always=1, most=1)
    async with blocked(keys, issuers=issuer, unary=one) as (_, servicer, channel, _mesh):
        servicer.gate.set()
        token = jwt.encode({"iss": "slow"}, b"x" * 32, headers={"kid": "unknown"})
        stub = pb_grpc.ReactionServiceStub(channel)
        calls = [stub.ToggleReaction(REQUEST, metadata=[("authorization", f"Bearer {token}")]) for _ in range(5)]
        async with asyncio.timeout(5):
            while issuer.waiting < len(calls):  # noqa: ASYNC110  (a counter that the server's tasks change)
                await asyncio.sleep(0)
        assert (await stub.ToggleReaction(REQUEST, metadata=bearer(keys, "alice"))).on
        for call in calls:
            call.cancel()


async def test_a_blocked_service_refuses_with_a_type_long_before_the_deadline(keys: Keys) -> None:
    async with blocked(keys, unary=FEW) as (_, servicer, channel, _mesh):
        toggle = pb_grpc.ReactionServiceStub(channel).ToggleReaction
        metadata = bearer(keys, "alice")
        waiting = [asyncio.ensure_future(toggle(REQUEST, metadata=metadata)) for _ in range(2)]
        await is_entered(servicer, 2)
        with pytest.raises(grpc.aio.AioRpcError):
            await toggle(REQUEST, metadata=metadata, timeout=0.2)
        async with asyncio.timeout(2):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await toggle(REQUEST, metadata=metadata, timeout=0.3)
        found = status_in(refused.value)
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert found.retry_after
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        servicer.gate.set()
        assert [answer.on for answer in await asyncio.gather(*waiting)] == [True, True]
        assert (await toggle(REQUEST, metadata=metadata, timeout=1)).on


async def test_a_call_stream_refuses_as_unary_calls_do(keys: Keys) -> None:
    async with blocked(keys, batched=FEW) as (_, servicer, _channel, mesh):
        request = REQUEST.SerializeToString()
        calls = [mesh.call(TOGGLE, request, user="alice", timeout=9) for _ in range(2)]
        waiting = asyncio.gather(*calls, return_exceptions=True)
        await is_entered(servicer, 2)
        with pytest.raises(RemoteError):
            await mesh.call(TOGGLE, request, user="alice", timeout=0.2)
        with pytest.raises(RemoteError) as refused:
            await mesh.call(TOGGLE, request, user="alice", timeout=0.3)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        servicer.gate.set()
        assert [type(answer) for answer in await waiting] == [bytes, bytes]


async def test_calls_above_the_limit_of_a_connection_wait_at_the_client_and_other_connections_continue(
    keys: Keys,
) -> None:
    async with (
        blocked(keys, calls_per_connection=3) as (server, servicer, channel, _),
        grpc.aio.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as other,
    ):
        metadata = bearer(keys, "alice")
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())  # has the server's settings
        toggle = pb_grpc.ReactionServiceStub(channel).ToggleReaction
        calls = [asyncio.ensure_future(toggle(REQUEST, metadata=metadata, timeout=9)) for _ in range(10)]
        await is_entered(servicer, 3)
        health = await health_pb2_grpc.HealthStub(other).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        servicer.gate.set()
        assert [answer.on for answer in await asyncio.gather(*calls)] == [True] * 10
        assert servicer.most_at_once == 3


async def test_a_user_with_too_many_streams_is_refused_and_another_user_is_not(keys: Keys) -> None:
    async with blocked(keys, streams_per_user=2) as (_, _servicer, channel, _mesh):
        watch = counter_grpc.CounterServiceStub(channel).WatchCounts
        alice = bearer(keys, "alice")
        kept = [watch(WATCH, metadata=alice) for _ in range(2)]
        for stream in kept:
            await stream.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await watch(WATCH, metadata=alice).read()
        found = status_in(refused.value)
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
        assert isinstance(await watch(WATCH, metadata=bearer(keys, "bob")).read(), counter_pb.WatchCountsResponse)
        kept[0].cancel()
        async with asyncio.timeout(5):
            while True:  # the place is free once the server has noticed
                try:
                    await watch(WATCH, metadata=alice).read()
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0)


async def test_the_grpc_port_closes_connections_above_its_limit(keys: Keys) -> None:
    own = [("grpc.use_local_subchannel_pool", 1)]
    # The mesh of the test has connected to nothing yet.
    async with (
        blocked(keys, connections=2) as (server, _servicer, channel, _mesh),
        grpc.aio.insecure_channel(server.address, options=own) as second,
        grpc.aio.insecure_channel(server.address, options=own) as third,
    ):
        for accepted in (channel, second):
            await health_pb2_grpc.HealthStub(accepted).Check(health_pb2.HealthCheckRequest(), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(third).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
