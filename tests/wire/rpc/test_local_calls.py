"""Calls of services: the same checks and answers over the wire and within a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from kit.auth.caller import Caller, caller
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.errors import Problem, RemoteError, Unauthenticated, Unavailable
from kit.limits.server_limits import AdmissionLimits, ServerLimits
from kit.rpc.call_stream import EXCHANGE
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from kit.rpc.service_call import Payload, ServiceCall
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb

SERVICE = "plaudit.reaction.v1.ReactionService"
TOGGLE = f"/{SERVICE}/ToggleReaction"
SET = f"/{SERVICE}/SetReaction"
REQUEST = pb.ToggleReactionRequest(target="messages/1", emoji="👍")
NOWHERE = "localhost:1"
WAYS = ("wire", "process")


class Servicer(pb_grpc.ReactionServiceServicer):
    """Serves toggles in batches, and other changes one by one; records the callers."""

    def __init__(self) -> None:
        self.batches: list[list[Caller]] = []
        self.requests: list[pb.ToggleReactionRequest] = []
        self.problem: Problem | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def toggle_many(self, calls: Sequence[tuple[pb.ToggleReactionRequest, Caller]]) -> Sequence[Any]:
        self.batches.append([who for _, who in calls])
        self.requests += [request for request, _ in calls]
        await self.gate.wait()
        return [self._late() if request.op_id == "late" else self.problem or ANSWER for request, _ in calls]

    async def SetReaction(self, request: pb.SetReactionRequest, context: Any) -> pb.SetReactionResponse:
        self.batches.append([caller()])
        await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        return pb.SetReactionResponse(on=request.on)

    def _late(self) -> Awaitable[pb.ToggleReactionResponse]:
        async def answer() -> pb.ToggleReactionResponse:
            await asyncio.sleep(0)
            return ANSWER

        return answer()


ANSWER = pb.ToggleReactionResponse(on=True, version=7)


@pytest.fixture(name="keys")
def fixture_keys(tmp_path: Path) -> Keys:
    return open_keys(tmp_path / "keys")


@pytest.fixture(name="way", params=WAYS)
def fixture_way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def rig(keys: Keys, way: str, **limits: Any) -> AsyncIterator[tuple[Mesh, Servicer]]:
    """A process that calls its own service: over the wire, or in the process, where its address has no server."""
    servicer = Servicer()
    hosted = Hosted(
        servicer,
        pb_grpc.add_ReactionServiceServicer_to_server,
        batches={"ToggleReaction": servicer.toggle_many},
    )
    async with (
        connected(StaticNodes(NOWHERE), NodeTokens(keys.minter())) as mesh,
        serving([hosted], verifier=keys.verifier(), limits=ServerLimits(grace=0.2, **limits)) as server,
    ):
        if way == "process":
            mesh.own_address = NOWHERE
            mesh.own_calls = server.local_calls(mesh.metadata(EXCHANGE))
        else:
            mesh.set_resolver(StaticNodes(server.address))
        yield mesh, servicer


async def toggle(
    mesh: Mesh, user: str = "alice", request: Payload = REQUEST, timeout: float = 5.0, **who: Any
) -> pb.ToggleReactionResponse:
    answer = await mesh.call(TOGGLE, request, user=user, tenant="default", timeout=timeout, **who)
    return pb.ToggleReactionResponse.FromString(answer)


def results(code: str, method: str = TOGGLE) -> float:
    """How many calls of the method were answered with a code."""
    labels = {"method": method, "code": code}
    return REGISTRY.get_sample_value("plaudit_rpc_results_total", labels) or 0.0


async def test_calls_of_one_iteration_are_one_batch_and_each_has_its_caller(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, servicer):
        await toggle(mesh)  # the stream is open from here on
        assert await asyncio.gather(*(toggle(mesh, f"user{n}") for n in range(3))) == [ANSWER] * 3
        assert [[who.user for who in batch] for batch in servicer.batches[1:]] == [["user0", "user1", "user2"]]
        # The user's own call, with none of the rights of the service.
        assert servicer.batches[1][0] == Caller("default", "user0")


async def test_a_call_without_limits_has_the_rights_of_the_service(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, servicer):
        await toggle(mesh, unlimited=True)
        (who,) = servicer.batches[0]
        assert (who.user, who.unlimited) == ("alice", True)
        assert who.service


@pytest.mark.parametrize("request_", [REQUEST, REQUEST.SerializeToString()], ids=["message", "bytes"])
async def test_a_request_is_a_message_or_its_bytes(keys: Keys, way: str, request_: Payload) -> None:
    async with rig(keys, way) as (mesh, servicer):
        assert await toggle(mesh, request=request_) == ANSWER
        assert servicer.requests == [REQUEST]


async def test_within_a_process_the_service_gets_the_message_itself(keys: Keys) -> None:
    async with rig(keys, "process") as (mesh, servicer):
        await toggle(mesh)
        assert servicer.requests[0] is REQUEST


async def test_a_call_without_a_batch_handler_has_its_caller(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, servicer):
        request = pb.SetReactionRequest(target="messages/1", emoji="👍", on=True)
        answer = await mesh.call(SET, request, user="alice", tenant="default")
        assert pb.SetReactionResponse.FromString(answer).on
        assert servicer.batches == [[Caller("default", "alice")]]


async def test_a_call_that_waits_does_not_delay_its_batch(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, _):
        late = pb.ToggleReactionRequest(target="messages/1", emoji="👍", op_id="late")
        assert await asyncio.gather(*(toggle(mesh, request=each) for each in (late, REQUEST))) == [ANSWER] * 2


async def test_calls_are_counted_by_status_code(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, servicer):
        ok, unavailable, invalid = results("OK"), results("UNAVAILABLE"), results("INVALID_ARGUMENT")
        await asyncio.gather(*(toggle(mesh, f"user{n}") for n in range(3)))
        assert results("OK") == ok + 3
        servicer.problem = Unavailable("the change could not be saved", detail="database or disk is full")
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh)
        assert caught.value.message == "the change could not be saved"
        with pytest.raises(RemoteError):
            await toggle(mesh, request=b"\xff")
        assert results("OK") == ok + 3
        assert results("UNAVAILABLE") == unavailable + 1
        assert results("INVALID_ARGUMENT") == invalid + 1


async def test_submit_never_calls_the_reply_callback_itself(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, _):
        replied: asyncio.Future[Payload | None] = asyncio.get_running_loop().create_future()
        on_reply = lambda response, _: replied.set_result(response)  # noqa: E731
        mesh.submit(ServiceCall(TOGGLE, REQUEST, on_reply, user="alice", tenant="default"))
        assert not replied.done()
        assert await replied


@pytest.mark.parametrize(
    "request_",
    [b"\xff\xff", pb.ToggleReactionRequest(), pb.ToggleReactionRequest(target="Messages/1").SerializeToString()],
    ids=["garbage", "no target", "no name of a target"],
)
async def test_a_bad_request_is_refused(keys: Keys, way: str, request_: Payload) -> None:
    async with rig(keys, way) as (mesh, servicer):
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh, request=request_)
        assert caught.value.reason == "INVALID_REQUEST"
        assert not servicer.batches


async def test_another_message_than_that_of_the_method_is_read_from_its_bytes(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, servicer):
        await toggle(mesh, request=pb.SetReactionRequest(target="messages/1", emoji="👍"))
        assert [type(request) for request in servicer.requests] == [pb.ToggleReactionRequest]


async def test_an_invalid_user_id_is_refused(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, servicer):
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh, user="no name")
        assert (caught.value.reason, caught.value.field) == ("INVALID_REQUEST", "user")
        assert not servicer.batches


async def test_a_method_that_is_not_served_is_refused(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, _):
        with pytest.raises(RemoteError) as caught:
            await mesh.call(f"/{SERVICE}/Nothing", REQUEST, user="alice", tenant="default")
        assert caught.value.code.name == "UNIMPLEMENTED"


async def test_users_may_not_call_methods_of_services(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, _):
        request = tally_pb.TallyReactionsRequest(targets=["messages/1"])
        with pytest.raises(RemoteError) as caught:
            await mesh.call(f"/{SERVICE}/TallyReactions", request, user="alice", tenant="default")
        assert caught.value.code.name == "PERMISSION_DENIED"


async def test_more_calls_than_can_be_answered_are_refused(keys: Keys, way: str) -> None:
    limits = AdmissionLimits(always=1, most=1)
    async with rig(keys, way, batched=limits) as (mesh, servicer):
        servicer.gate.clear()
        first = asyncio.create_task(toggle(mesh))
        async with asyncio.timeout(5):
            while not servicer.batches:  # noqa: ASYNC110
                await asyncio.sleep(0)
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh)
        assert caught.value.reason == "OVERLOADED"
        servicer.gate.set()
        assert await first == ANSWER


async def test_only_a_node_gets_local_calls(keys: Keys) -> None:
    async with serving([], verifier=keys.verifier()) as server:
        with pytest.raises(Unauthenticated):
            server.local_calls(())


async def test_a_failure_of_the_handler_is_its_own_answer(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, servicer):
        servicer.problem = Unavailable("not now", retry_after=0.5)
        for method, request in ((TOGGLE, REQUEST), (SET, pb.SetReactionRequest(target="messages/1", emoji="👍"))):
            with pytest.raises(RemoteError) as caught:
                await mesh.call(method, request, user="alice", tenant="default")
            assert (caught.value.message, caught.value.retry_after) == ("not now", 0.5)


async def test_a_call_that_runs_too_long_ends_at_its_deadline(keys: Keys, way: str) -> None:
    async with rig(keys, way) as (mesh, servicer):
        await toggle(mesh)
        servicer.gate.clear()
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh, timeout=0.05)
        assert caught.value.code.name == "DEADLINE_EXCEEDED"


async def test_a_server_that_stops_refuses_calls_without_effect(keys: Keys) -> None:
    async with connected(StaticNodes(NOWHERE), lambda method: "") as mesh:
        servicer = Servicer()
        hosted = Hosted(servicer, pb_grpc.add_ReactionServiceServicer_to_server)
        token = keys.minter().mint_node("gateway", EXCHANGE)
        async with serving([hosted], verifier=keys.verifier(), limits=ServerLimits(grace=0.2)) as server:
            mesh.own_address = NOWHERE
            mesh.own_calls = server.local_calls((("authorization", f"Bearer {token}"),))
        with pytest.raises(RemoteError) as caught:
            await toggle(mesh)
        assert caught.value.reason == "NODE_UNREACHABLE"
        assert len(mesh.own_calls) == 0
