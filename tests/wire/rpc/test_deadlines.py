"""A handler knows how long its caller waits, whichever way the call has come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from kit.auth.caller import Caller
from kit.auth.keys import open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.limits.server_limits import ServerLimits
from kit.rpc.deadline import remaining
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc

SERVICE = "/plaudit.reaction.v1.ReactionService"
REQUEST = pb.ToggleReactionRequest(target="messages/1", emoji="👍")
CLEAR = pb.ClearReactionsRequest(target="messages/1")
MOST = 60.0
TIMEOUT = 40.0
"""Of a caller. A machine may stand still for some seconds of it, and be told from `MOST` all the same."""


class RemainingTime(pb_grpc.ReactionServiceServicer):
    """Answers with the milliseconds that are left."""

    async def ToggleReaction(self, request: pb.ToggleReactionRequest, context: Any) -> pb.ToggleReactionResponse:
        return pb.ToggleReactionResponse(version=round(remaining(MOST) * 1000))

    async def ClearReactions(self, request: pb.ClearReactionsRequest, context: Any) -> pb.ClearReactionsResponse:
        return pb.ClearReactionsResponse(version=round(remaining(MOST) * 1000))

    async def StreamReactions(
        self, request_iterator: AsyncIterator[pb.StreamReactionsRequest], context: Any
    ) -> AsyncIterator[pb.StreamReactionsResponse]:
        async for _ in request_iterator:
            response = pb.StreamReactionsResponse()
            response.outcomes.add(version=round(remaining(MOST) * 1000))
            yield response

    async def toggles(self, calls: Sequence[tuple[pb.ToggleReactionRequest, Caller]]) -> list[Any]:
        return [pb.ToggleReactionResponse(version=round(remaining(MOST) * 1000)) for _ in calls]


def is_of_caller(milliseconds: int) -> bool:
    """Whether the time that is left is that of `TIMEOUT`: gRPC rounds a timeout up to a tenth of a second."""
    return TIMEOUT * 500 < milliseconds <= TIMEOUT * 1_000 + 200


@pytest.fixture(name="ways")
async def fixture_ways(tmp_path: Path) -> AsyncIterator[tuple[Any, Mesh]]:
    keys = open_keys(tmp_path / "keys")
    servicer = RemainingTime()
    hosted = Hosted(
        servicer, pb_grpc.add_ReactionServiceServicer_to_server, batches={"ToggleReaction": servicer.toggles}
    )
    async with (
        serving([hosted], verifier=keys.verifier(), limits=ServerLimits(grace=0.2)) as server,
        connected(StaticNodes(server.address), NodeTokens(keys.minter())) as mesh,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield pb_grpc.ReactionServiceStub(channel), mesh


async def test_a_unary_call_has_the_timeout_of_its_caller(ways: tuple[Any, Mesh]) -> None:
    stub, mesh = ways
    answer = await stub.ToggleReaction(REQUEST, metadata=mesh.metadata(f"{SERVICE}/ToggleReaction"), timeout=TIMEOUT)
    assert is_of_caller(answer.version)
    assert (
        await stub.ToggleReaction(REQUEST, metadata=mesh.metadata(f"{SERVICE}/ToggleReaction"))
    ).version == MOST * 1000


async def test_a_stream_has_the_timeout_of_its_caller(ways: tuple[Any, Mesh]) -> None:
    stub, mesh = ways
    request = pb.StreamReactionsRequest()
    request.changes.add(target="messages/1")
    call = stub.StreamReactions(iter([request]), metadata=mesh.metadata(f"{SERVICE}/StreamReactions"), timeout=TIMEOUT)
    versions = [response.outcomes[0].version async for response in call]
    assert list(map(is_of_caller, versions)) == [True]


@pytest.mark.parametrize(("method", "request_"), [("ToggleReaction", REQUEST), ("ClearReactions", CLEAR)])
async def test_a_call_of_a_call_stream_has_the_timeout_of_its_caller(
    ways: tuple[Any, Mesh], method: str, request_: Any
) -> None:
    _, mesh = ways
    answer = await mesh.call(f"{SERVICE}/{method}", request_.SerializeToString(), user="alice", timeout=TIMEOUT)
    response = pb.ToggleReactionResponse if method == "ToggleReaction" else pb.ClearReactionsResponse
    assert is_of_caller(response.FromString(answer).version)
