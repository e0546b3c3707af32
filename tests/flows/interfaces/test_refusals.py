"""A refusal has the same code, reason and field by every interface."""

from __future__ import annotations

import time

import aiohttp
import grpc
import pytest
from google.rpc import status_pb2

from kit.errors import remote_error
from kit.ledger.op_ids import timed_at
from plaudit.gateway.v1 import frames_pb2
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_pb2
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from tests.flows.clients import new_target, new_user, raw_socket
from tests.running import Stack

EXPIRED = ("FAILED_PRECONDITION", "OP_ID_EXPIRED", "op_id")


def told(status: status_pb2.Status) -> tuple[str, str, str]:
    """Code, reason and field."""
    error = remote_error(status)
    return error.code.name, error.reason, error.field


def long_ago() -> str:
    """An operation id of the day before yesterday: answers are kept for a day."""
    return timed_at(int((time.time() - 2 * 86_400) * 1000))


async def test_an_operation_id_that_is_too_old_is_refused_in_the_same_way_by_every_interface(
    shared_stack: Stack,
) -> None:
    user, on, op_id = new_user("alice"), new_target(), long_ago()
    bearer = f"Bearer {shared_stack.token(user)}"
    request = pb.ToggleReactionRequest(target=on, emoji="👍", op_id=op_id)

    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        stub = pb_grpc.ReactionServiceStub(channel)
        metadata = (("authorization", bearer),)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.ToggleReaction(request, metadata=metadata)
        details = dict(failed.value.trailing_metadata() or ())["grpc-status-details-bin"]
        assert isinstance(details, bytes)
        assert told(status_pb2.Status.FromString(details)) == EXPIRED
        change = reaction_pb2.Change(target=on, emoji="👍", action=reaction_pb2.ACTION_ADD, op_id=op_id)
        batch = await stub.BatchChangeReactions(pb.BatchChangeReactionsRequest(changes=[change]), metadata=metadata)
        assert told(batch.outcomes[0].error)[:2] == EXPIRED[:2]

    async with aiohttp.ClientSession(headers={"Authorization": bearer}) as http:
        body = {"target": on, "emoji": "👍", "op_id": op_id}
        async with http.post(f"{shared_stack.http_url}/api/v1/reactions", json=body) as response:
            refused = await response.json()
            assert response.status == 400
            reasons = [detail.get("reason") for detail in refused["details"]]
            assert "OP_ID_EXPIRED" in reasons

    async with (
        aiohttp.ClientSession(headers={"Authorization": bearer}) as http,
        http.ws_connect(shared_stack.ws_url, protocols=("plaudit.v1.proto",)) as socket,
    ):
        hello = frames_pb2.ClientFrame(id=1, hello=session_pb.Hello())
        await socket.send_bytes(hello.SerializeToString())
        await socket.receive_bytes(timeout=5)
        call = frames_pb2.CallFrame(type="toggle_reaction", request=request.SerializeToString())
        await socket.send_bytes(frames_pb2.ClientFrame(id=2, call=call).SerializeToString())
        answer = frames_pb2.ServerFrame.FromString(await socket.receive_bytes(timeout=5))
        assert (answer.id, answer.error.code, answer.error.reason, answer.error.field) == (2, *EXPIRED)

    async with raw_socket(shared_stack, user) as wired:
        error = await wired.ask("toggle_reaction", target=on, emoji="👍", op_id=op_id)
        assert (error["code"], error["reason"], error["field"]) == EXPIRED
