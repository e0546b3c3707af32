"""A server with a small servicer and real tokens, and call streams to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

from kit.auth.caller import Caller, caller
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.errors import Problem, RemoteError, remote_error
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, Server, serving
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc

TOGGLE = "/plaudit.reaction.v1.ReactionService/ToggleReaction"
SERVICE = "plaudit.reaction.v1.ReactionService"


class RefusedWithRetry(Problem):
    """Refuses with a field and a time."""


class EchoingServicer(pb_grpc.ReactionServiceServicer):
    """Answers with what it was asked, so that the way there and back can be seen."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.late_gate = asyncio.Event()
        self.drained = 0

    def drain(self) -> None:
        self.drained += 1

    async def ToggleReaction(
        self, request: changes_pb.ToggleReactionRequest, context: Any
    ) -> changes_pb.ToggleReactionResponse:
        return self._toggled(request, caller())

    def _toggled(self, request: changes_pb.ToggleReactionRequest, who: Caller) -> changes_pb.ToggleReactionResponse:
        if request.emoji == "sulk":
            raise RefusedWithRetry("not now", field="emoji", retry_after=1.5)
        if request.emoji == "crash":
            raise ZeroDivisionError("secret detail")
        response = changes_pb.ToggleReactionResponse(on=True, version=len(request.op_id))
        response.reactions.add(emoji=f"{who.tenant}/{who.user}/{who.service}/{who.unlimited}", count=1)
        return response

    async def toggles(self, calls: Sequence[tuple[changes_pb.ToggleReactionRequest, Caller]]) -> list[Any]:
        self.batches.append(len(calls))
        self.entered.set()
        await self.gate.wait()
        answers: list[Any] = []
        for request, who in calls:
            if request.emoji == "later":
                answers.append(self._later(request, who))
                continue
            try:
                answers.append(self._toggled(request, who))
            except Exception as error:
                answers.append(error)
        return answers

    async def _later(self, request: changes_pb.ToggleReactionRequest, who: Caller) -> changes_pb.ToggleReactionResponse:
        await self.late_gate.wait()
        return self._toggled(request, who)

    async def BatchGetOwnReactions(
        self, request: pb.BatchGetOwnReactionsRequest, context: Any
    ) -> pb.BatchGetOwnReactionsResponse:
        who = caller()
        response = pb.BatchGetOwnReactionsResponse()
        response.own_reactions.add(target=f"{who.tenant}/{who.user}")
        return response

    async def StreamReactions(
        self, request_iterator: AsyncIterator[changes_pb.StreamReactionsRequest], context: Any
    ) -> AsyncIterator[changes_pb.StreamReactionsResponse]:
        async for request in request_iterator:
            response = changes_pb.StreamReactionsResponse()
            for _ in request.changes:
                response.outcomes.add(on=True)
            yield response


@asynccontextmanager
async def echoing(keys: Keys, **limits: Any) -> AsyncIterator[tuple[Server, EchoingServicer]]:
    servicer = EchoingServicer()
    hosted = Hosted(
        servicer,
        pb_grpc.add_ReactionServiceServicer_to_server,
        {RefusedWithRetry: (grpc.StatusCode.FAILED_PRECONDITION, "SULKY")},
        {"ToggleReaction": servicer.toggles},
        servicer.drain,
    )
    async with serving([hosted], verifier=keys.verifier(), limits=ServerLimits(grace=0.2, **limits)) as server:
        yield server, servicer


class FixedNode:
    """One node for everything."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    def addresses(self, service: str) -> tuple[str, ...]:
        return self._addresses

    def address_of(self, node_id: str) -> str:
        return ""


@pytest.fixture(name="keys")
def fixture_keys(tmp_path: Path) -> Keys:
    return open_keys(tmp_path / "keys")


@asynccontextmanager
async def mesh_to(keys: Keys, *addresses: str) -> AsyncIterator[Mesh]:
    async with connected(FixedNode(*addresses), NodeTokens(keys.minter(), "gateway")) as mesh:
        yield mesh


def status_in(error: grpc.aio.AioRpcError) -> RemoteError:
    details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    return remote_error(status_pb2.Status.FromString(details))
