"""Calls on the call stream: batches, identities, deadlines, and streams that break."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from kit.auth.keys import Keys
from kit.errors import RemoteError
from kit.rpc.call_stream import EXCHANGE
from kit.rpc.mesh import connected
from plaudit.edge.v1 import call_service_pb2 as call_pb
from plaudit.edge.v1 import call_service_pb2_grpc as call_pb_grpc
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from tests.wire.rpc.echo_server import SERVICE, TOGGLE, FixedNode, echoing, fixture_keys, mesh_to, status_in

__all__ = ["fixture_keys"]

TALLY = "/plaudit.reaction.v1.ReactionService/TallyReactions"


async def test_calls_of_many_users_share_batches_and_each_has_its_identity(keys: Keys) -> None:
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


async def test_a_batch_has_no_more_calls_than_the_contract_allows(keys: Keys) -> None:
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

    async with echoing(keys) as (server, _), connected(FixedNode(server.address), token) as mesh:
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


async def test_a_service_acting_for_a_user_does_not_have_the_limits_of_the_user(keys: Keys) -> None:
    async with echoing(keys) as (server, _), mesh_to(keys, server.address) as mesh:
        request = changes_pb.ToggleReactionRequest(target="messages/1", emoji="x").SerializeToString()
        answer = changes_pb.ToggleReactionResponse.FromString(
            await mesh.call(TOGGLE, request, user="bob", unlimited=True)
        )
        assert answer.reactions[0].emoji == "default/bob/gateway/True"


async def test_a_forwarded_user_may_not_call_rpcs_of_services(keys: Keys) -> None:
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


async def test_after_a_broken_stream_the_outcome_is_unknown_and_the_next_call_succeeds(keys: Keys) -> None:
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


async def test_a_call_to_an_unreachable_node_changes_nothing(keys: Keys) -> None:
    async with mesh_to(keys, "127.0.0.1:1") as mesh:
        with pytest.raises(RemoteError) as caught:
            await mesh.call(TOGGLE, b"", user="alice", timeout=0.05)
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "NODE_UNREACHABLE")
