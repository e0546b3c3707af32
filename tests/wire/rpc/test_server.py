"""The server bootstrap, seen from outside: a real server, a small servicer, real tokens."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from kit.auth.keys import Keys
from kit.errors import RemoteError
from kit.limits.server_limits import AdmissionLimits
from kit.rpc.server import serving
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from tests.wire.rpc.echo_server import SERVICE, TOGGLE, echoing, fixture_keys, mesh_to, status_in

__all__ = ["fixture_keys"]

OWN = "/plaudit.reaction.v1.ReactionService/BatchGetOwnReactions"


async def test_the_caller_is_the_user_of_the_token(keys: Keys) -> None:
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
async def test_a_malformed_unary_or_streamed_request_is_refused_with_its_field(
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


async def test_undecodable_bytes_are_an_invalid_argument_of_unary_and_streamed_calls(keys: Keys) -> None:
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


async def test_services_drain_once_when_the_server_begins_to_stop(keys: Keys) -> None:
    async with echoing(keys) as (_, servicer):
        assert servicer.drained == 0
    assert servicer.drained == 1


async def test_too_many_unary_calls_are_refused_immediately(keys: Keys) -> None:
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
async def test_reflection_resolves_a_method_as_ghz_requests_it(keys: Keys, version: str) -> None:
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


async def test_a_port_in_use_is_reported(keys: Keys) -> None:
    async with echoing(keys) as (server, _):
        with pytest.raises(OSError, match="cannot listen on"):
            async with serving([], verifier=keys.verifier(), listen=server.address):
                pass
