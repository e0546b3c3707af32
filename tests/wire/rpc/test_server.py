"""The server bootstrap, seen from outside: a real server, a small servicer, real tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from kit.auth.caller import Caller, caller
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.errors import Problem, RemoteError, remote_error
from kit.limits.server_limits import AdmissionLimits, ServerLimits
from kit.rpc.call_stream import EXCHANGE
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, Server, serving
from plaudit.edge.v1 import call_service_pb2 as call_pb
from plaudit.edge.v1 import call_service_pb2_grpc as call_pb_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc

TOGGLE = "/plaudit.reaction.v1.ReactionService/ToggleReaction"
OWN = "/plaudit.reaction.v1.ReactionService/BatchGetOwnReactions"
TALLY = "/plaudit.reaction.v1.ReactionService/TallyReactions"
SERVICE = "plaudit.reaction.v1.ReactionService"


class Sulky(Problem):
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
            raise Sulky("not now", field="emoji", retry_after=1.5)
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
        {Sulky: (grpc.StatusCode.FAILED_PRECONDITION, "SULKY")},
        {"ToggleReaction": servicer.toggles},
        servicer.drain,
    )
    async with serving([hosted], verifier=keys.verifier(), limits=ServerLimits(grace=0.2, **limits)) as server:
        yield server, servicer


class Fixed:
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
    async with connected(Fixed(*addresses), NodeTokens(keys.minter(), "gateway")) as mesh:
        yield mesh


def status_in(error: grpc.aio.AioRpcError) -> RemoteError:
    details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    return remote_error(status_pb2.Status.FromString(details))


async def test_a_user_calls_with_a_token_and_is_known(keys: Keys) -> None:
    async with echoing(keys) as (server, _), grpc.aio.insecure_channel(server.address) as channel:
        stub = pb_grpc.ReactionServiceStub(channel)
        bearer = (("authorization", f"Bearer {keys.minter().mint_user('alice', 'acme')}"),)
        answer = await stub.ToggleReaction(
            changes_pb.ToggleReactionRequest(target="messages/1", emoji="x"), metadata=bearer
        )
        assert answer.reactions[0].emoji == "acme/alice//False"


async def test_failures_carry_reason_field_and_time(keys: Keys) -> None:
    async with echoing(keys) as (server, _), grpc.aio.insecure_channel(server.address) as channel:
        stub = pb_grpc.ReactionServiceStub(channel)
        bearer = (("authorization", f"Bearer {keys.minter().mint_user('alice')}"),)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ToggleReaction(
                changes_pb.ToggleReactionRequest(target="messages/1", emoji="sulk"), metadata=bearer
            )
        found = status_in(caught.value)
        assert (found.code, found.reason, found.field, found.retry_after) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "SULKY",
            "emoji",
            1.5,
        )


async def test_an_unexpected_error_is_internal_without_detail(keys: Keys) -> None:
    async with echoing(keys) as (server, _), mesh_to(keys, server.address) as mesh:
        request = changes_pb.ToggleReactionRequest(target="messages/1", emoji="crash").SerializeToString()
        with pytest.raises(RemoteError) as caught:
            await mesh.call(TOGGLE, request, user="alice")
        assert (caught.value.code, caught.value.message) == (grpc.StatusCode.INTERNAL, "internal error")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (changes_pb.ToggleReactionRequest(target="Messages/1", emoji="x"), "target"),
        (changes_pb.ToggleReactionRequest(target="messages/1"), "emoji"),
        (changes_pb.ToggleReactionRequest(target="messages/1", emoji="x", op_id="a b"), "op_id"),
    ],
)
async def test_a_malformed_request_is_refused_with_its_field_on_both_ways(
    keys: Keys, request_: changes_pb.ToggleReactionRequest, field: str
) -> None:
    async with (
        echoing(keys) as (server, _),
        mesh_to(keys, server.address) as mesh,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        with pytest.raises(RemoteError) as streamed:
            await mesh.call(TOGGLE, request_.SerializeToString(), user="alice")
        with pytest.raises(grpc.aio.AioRpcError) as direct:
            await pb_grpc.ReactionServiceStub(channel).ToggleReaction(request_, metadata=mesh.metadata(TOGGLE))
        for found in (streamed.value, status_in(direct.value)):
            assert (found.code, found.reason, found.field) == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "INVALID_REQUEST",
                field,
            )


async def test_garbage_bytes_are_an_invalid_argument_on_both_ways(keys: Keys) -> None:
    async with (
        echoing(keys) as (server, _),
        mesh_to(keys, server.address) as mesh,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        raw: Any = channel.unary_unary(TOGGLE)
        with pytest.raises(RemoteError) as streamed:
            await mesh.call(TOGGLE, b"\xff\xff\xff", user="alice")
        with pytest.raises(grpc.aio.AioRpcError) as direct:
            await raw(b"\xff\xff\xff", metadata=mesh.metadata(TOGGLE))
        assert streamed.value.code == direct.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_calls_of_many_users_share_batches_and_each_keeps_its_identity(keys: Keys) -> None:
    async with echoing(keys) as (server, servicer), mesh_to(keys, server.address) as mesh:
        requests = [
            (f"u{i}", changes_pb.ToggleReactionRequest(target=f"messages/{i}", emoji="x").SerializeToString())
            for i in range(1000)
        ]
        answers = await asyncio.gather(
            *[mesh.call(TOGGLE, request, tenant="acme", user=user) for user, request in requests]
        )
        seen = [changes_pb.ToggleReactionResponse.FromString(answer).reactions[0].emoji for answer in answers]
        assert seen == [f"acme/u{i}//False" for i in range(1000)]
        assert len(servicer.batches) < 100


async def test_a_batch_holds_no_more_calls_than_the_contract_says(keys: Keys) -> None:
    toggle = changes_pb.ToggleReactionRequest(target="messages/1", emoji="x")
    call = call_pb.Call(method=TOGGLE, request=toggle.SerializeToString())
    async with (
        echoing(keys) as (server, servicer),
        mesh_to(keys, server.address) as mesh,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        exchange = call_pb_grpc.CallServiceStub(channel).Exchange

        async def replies_to(size: int) -> int:
            batch = call_pb.ExchangeRequest(calls=[call] * size)
            stream = exchange(iter([batch]), metadata=mesh.metadata(EXCHANGE))
            return sum([len(response.replies) async for response in stream])

        assert await replies_to(512) == 512
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await replies_to(513)
        assert status_in(refused.value).field == "calls"
    assert sum(servicer.batches) == 512


async def test_a_node_is_reached_by_one_stream_however_often_it_was_idle(keys: Keys) -> None:
    asked: list[str] = []

    def token(method: str) -> str:  # asked for with each new stream
        asked.append(keys.minter().mint_node("node", method))
        return asked[-1]

    async with echoing(keys) as (server, _), connected(Fixed(server.address), token) as mesh:
        for _ in range(3):
            await mesh.call(
                TOGGLE, changes_pb.ToggleReactionRequest(target="messages/1", emoji="👍").SerializeToString()
            )
    assert len(asked) == 1


async def test_a_call_that_waits_does_not_delay_the_others_of_its_batch(keys: Keys) -> None:
    async with echoing(keys) as (server, servicer), mesh_to(keys, server.address) as mesh:
        late, *soon = [
            changes_pb.ToggleReactionRequest(target="messages/1", emoji=emoji) for emoji in ("later", "x", "y")
        ]
        waiting = asyncio.create_task(mesh.call(TOGGLE, late.SerializeToString(), user="alice"))
        hurried = asyncio.create_task(mesh.call(TOGGLE, late.SerializeToString(), user="alice", timeout=0.01))
        await asyncio.gather(*[mesh.call(TOGGLE, one.SerializeToString(), user="alice") for one in soon])
        with pytest.raises(RemoteError) as caught:
            await hurried
        assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
        assert not waiting.done()
        servicer.late_gate.set()
        assert await waiting


async def test_services_drain_once_when_the_server_begins_to_stop(keys: Keys) -> None:
    async with echoing(keys) as (_, servicer):
        assert servicer.drained == 0
    assert servicer.drained == 1


async def test_a_service_acting_for_a_user_is_not_held_to_the_users_limits(keys: Keys) -> None:
    async with echoing(keys) as (server, _), mesh_to(keys, server.address) as mesh:
        request = changes_pb.ToggleReactionRequest(target="messages/1", emoji="x").SerializeToString()
        answer = changes_pb.ToggleReactionResponse.FromString(
            await mesh.call(TOGGLE, request, user="bob", unlimited=True)
        )
        assert answer.reactions[0].emoji == "default/bob/gateway/True"


async def test_a_forwarded_user_may_not_call_what_is_for_services(keys: Keys) -> None:
    async with echoing(keys) as (server, _), mesh_to(keys, server.address) as mesh:
        with pytest.raises(RemoteError) as caught:
            await mesh.call(TALLY, b"", user="alice")
        assert caught.value.code == grpc.StatusCode.PERMISSION_DENIED


async def test_an_unknown_method_and_a_service_without_nodes_are_errors(keys: Keys) -> None:
    async with echoing(keys) as (server, _), mesh_to(keys, server.address) as mesh, mesh_to(keys) as lonely:
        with pytest.raises(RemoteError) as unknown:
            await mesh.call(f"/{SERVICE}/Nonsense", b"", user="alice")
        with pytest.raises(RemoteError) as nowhere:
            await lonely.call(TOGGLE, b"", user="alice")
        assert unknown.value.code == grpc.StatusCode.UNIMPLEMENTED
        assert (nowhere.value.code, nowhere.value.reason) == (grpc.StatusCode.UNAVAILABLE, "NO_NODE")


async def test_a_broken_stream_leaves_an_unknown_outcome_and_the_next_call_goes_through(keys: Keys) -> None:
    request = changes_pb.ToggleReactionRequest(target="messages/1", emoji="x").SerializeToString()
    async with echoing(keys) as (server, servicer):
        async with mesh_to(keys, server.address) as mesh:
            await mesh.call(TOGGLE, request, user="alice")
            servicer.gate.clear()
            servicer.entered.clear()
            stuck = asyncio.create_task(mesh.call(TOGGLE, request, user="alice", timeout=30))
            await servicer.entered.wait()
        with pytest.raises(RemoteError) as caught:
            await stuck
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN")
        servicer.gate.set()


async def test_a_call_without_an_answer_in_time_has_an_unknown_outcome(keys: Keys) -> None:
    request = changes_pb.ToggleReactionRequest(target="messages/1", emoji="x").SerializeToString()
    async with echoing(keys) as (server, servicer), mesh_to(keys, server.address) as mesh:
        servicer.gate.clear()
        with pytest.raises(RemoteError) as caught:
            await mesh.call(TOGGLE, request, user="alice", timeout=0.05)
        assert caught.value.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        servicer.gate.set()


async def test_a_node_that_is_not_there_did_nothing(keys: Keys) -> None:
    async with mesh_to(keys, "127.0.0.1:1") as mesh:
        with pytest.raises(RemoteError) as caught:
            await mesh.call(TOGGLE, b"", user="alice", timeout=0.05)
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "NODE_UNREACHABLE")


async def test_too_many_unary_calls_are_refused_at_once(keys: Keys) -> None:
    none = AdmissionLimits(most=0)
    async with echoing(keys, unary=none) as (server, _), grpc.aio.insecure_channel(server.address) as channel:
        bearer = (("authorization", f"Bearer {keys.minter().mint_user('alice')}"),)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.ReactionServiceStub(channel).ToggleReaction(
                changes_pb.ToggleReactionRequest(), metadata=bearer
            )
        found = status_in(caught.value)
        assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert found.retry_after


async def test_health_answers_for_the_server_and_each_service(keys: Keys) -> None:
    async with echoing(keys) as (server, _), grpc.aio.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        server.not_ready()
        answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("version", ["v1alpha", "v1"])
async def test_reflection_resolves_a_method_as_ghz_asks_for_it(keys: Keys, version: str) -> None:
    async with echoing(keys) as (server, _), grpc.aio.insecure_channel(server.address) as channel:
        ask: Any = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        questions = [
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"{SERVICE}.ToggleReaction"),
            reflection_pb2.ServerReflectionRequest(list_services=""),
        ]
        method, services = [answer async for answer in ask(iter(questions))]
        assert method.file_descriptor_response.file_descriptor_proto
        names = {one.name for one in services.list_services_response.service}
        assert {SERVICE, "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"} <= names


async def test_a_port_that_is_taken_is_said_so(keys: Keys) -> None:
    async with echoing(keys) as (server, _):
        with pytest.raises(OSError, match="cannot listen on"):
            async with serving([], verifier=keys.verifier(), listen=server.address):
                pass
