"""Calls of a process to itself: the checks and answers of a call stream, without a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from kit.auth.caller import Caller
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.errors import Problem, RemoteError, Unauthenticated, Unavailable
from kit.limits.server_limits import ServerLimits
from kit.rpc.call_stream import EXCHANGE
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc

SERVICE = "plaudit.reaction.v1.ReactionService"
TOGGLE = f"/{SERVICE}/ToggleReaction"
REQUEST = pb.ToggleReactionRequest(target="messages/1", emoji="👍").SerializeToString()


class Batches(pb_grpc.ReactionServiceServicer):
    """Takes toggles by batches and keeps who called."""

    def __init__(self) -> None:
        self.seen: list[list[Caller]] = []
        self.answer: Problem | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def many(self, calls: Sequence[tuple[pb.ToggleReactionRequest, Caller]]) -> Sequence[Any]:
        self.seen.append([who for _, who in calls])
        await self.gate.wait()
        return [self.answer or pb.ToggleReactionResponse(on=True) for _ in calls]


@pytest.fixture(name="keys")
def fixture_keys(tmp_path: Path) -> Keys:
    return open_keys(tmp_path / "keys")


@asynccontextmanager
async def rig(keys: Keys) -> AsyncIterator[tuple[Mesh, Batches]]:
    """A process that serves and calls itself; there is no network."""
    servicer = Batches()
    hosted = Hosted(servicer, pb_grpc.add_ReactionServiceServicer_to_server, batches={"ToggleReaction": servicer.many})
    async with (
        connected(StaticNodes("localhost:1"), NodeTokens(keys.minter())) as mesh,
        serving([hosted], verifier=keys.verifier(), limits=ServerLimits(grace=0.2)) as server,
    ):
        mesh.own_address = "localhost:1"
        mesh.own_calls = server.local_calls(mesh.metadata(EXCHANGE))
        yield mesh, servicer


async def toggle(mesh: Mesh, user: str = "alice", request: bytes = REQUEST, timeout: float = 5.0) -> bool:
    answer = await mesh.call(TOGGLE, request, user=user, tenant="default", timeout=timeout)
    return pb.ToggleReactionResponse.FromString(answer).on


async def test_calls_of_one_turn_are_one_batch_and_each_has_its_caller(keys: Keys) -> None:
    async with rig(keys) as (mesh, servicer):
        assert await asyncio.gather(*(toggle(mesh, f"user{n}") for n in range(3))) == [True] * 3
        assert [[who.user for who in batch] for batch in servicer.seen] == [["user0", "user1", "user2"]]
        # The user's own call, with nothing of the service's rights.
        assert servicer.seen[0][0] == Caller("default", "user0")


def results(code: str) -> float:
    """How many calls of the method were answered with a code."""
    labels = {"method": TOGGLE, "code": code}
    return REGISTRY.get_sample_value("plaudit_rpc_results_total", labels) or 0.0


async def test_calls_of_a_batch_are_counted_by_status_code(keys: Keys) -> None:
    async with rig(keys) as (mesh, servicer):
        ok, unavailable, invalid = results("OK"), results("UNAVAILABLE"), results("INVALID_ARGUMENT")
        await asyncio.gather(*(toggle(mesh, f"user{n}") for n in range(3)))
        assert results("OK") == ok + 3
        servicer.answer = Unavailable("the change could not be saved", detail="database or disk is full")
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh)
        assert caught.value.message == "the change could not be saved"
        with pytest.raises(RemoteError):
            await toggle(mesh, request=b"\xff")
        assert results("OK") == ok + 3
        assert results("UNAVAILABLE") == unavailable + 1
        assert results("INVALID_ARGUMENT") == invalid + 1


async def test_the_reply_never_comes_from_within_submit(keys: Keys) -> None:
    async with rig(keys) as (mesh, _):
        heard: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        mesh.submit(TOGGLE, REQUEST, lambda response, _: heard.set_result(response), user="alice", tenant="default")
        assert not heard.done()
        assert await heard


@pytest.mark.parametrize(
    "request_", [b"\xff\xff", pb.ToggleReactionRequest(target="").SerializeToString()], ids=["garbage", "no target"]
)
async def test_local_calls_refuse_what_a_call_stream_refuses(keys: Keys, request_: bytes) -> None:
    async with rig(keys) as (mesh, servicer):
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh, request=request_)
        assert caught.value.reason == "INVALID_REQUEST"
        assert not servicer.seen


async def test_local_calls_require_a_token(keys: Keys) -> None:
    async with serving([], verifier=keys.verifier()) as server:
        with pytest.raises(Unauthenticated):
            server.local_calls(())


async def test_a_failure_of_the_handler_is_its_own_answer(keys: Keys) -> None:
    async with rig(keys) as (mesh, servicer):
        servicer.answer = Unavailable("not now", retry_after=0.5)
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh)
        assert (caught.value.message, caught.value.retry_after) == ("not now", 0.5)


async def test_a_call_that_takes_too_long_ends_in_time(keys: Keys) -> None:
    async with rig(keys) as (mesh, servicer):
        servicer.gate.clear()
        with pytest.raises(RemoteError):
            await toggle(mesh, timeout=0.05)


async def test_a_server_that_stops_takes_no_more_and_says_that_nothing_was_done(keys: Keys) -> None:
    async with connected(StaticNodes("localhost:1"), lambda method: "") as mesh:
        servicer = Batches()
        hosted = Hosted(servicer, pb_grpc.add_ReactionServiceServicer_to_server)
        token = keys.minter().mint_node("gateway", EXCHANGE)
        async with serving([hosted], verifier=keys.verifier(), limits=ServerLimits(grace=0.2)) as server:
            mesh.own_address = "localhost:1"
            mesh.own_calls = server.local_calls((("authorization", f"Bearer {token}"),))
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh)
        assert caught.value.reason == "NODE_UNREACHABLE"
        assert len(mesh.own_calls) == 0
