"""An erasure ends also where the process is killed in the middle of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from kit.adapters.sqlite.file import connect, scalar
from plaudit.message.v1 import message_changes_pb2, message_service_pb2_grpc
from plaudit.message.v1 import user_service_pb2 as pb
from plaudit.message.v1 import user_service_pb2_grpc as pb_grpc
from tests.flows.crowd import eventually
from tests.flows.people.persons import Traces
from tests.running import Stack

MESSAGES = 3_000


async def send_many(stack: Stack, user: str, conversation_id: str) -> None:
    metadata = (("authorization", f"Bearer {stack.service_token()}"), ("plaudit-user", user))
    async with grpc.aio.insecure_channel(stack.grpc_address) as channel:
        stub: Any = message_service_pb2_grpc.MessageServiceStub(channel)
        request = message_changes_pb2.SendMessageRequest(conversation_id=conversation_id, content="many")
        for _ in range(MESSAGES // 500):
            await asyncio.gather(*(stub.SendMessage(request, metadata=metadata, timeout=60) for _ in range(500)))


def count(stack: Stack, file: str, sql: str, *values: Any) -> int:
    """A number in a file of the stack."""
    connection = connect(next(stack.data.rglob(file)))
    try:
        return int(scalar(connection, sql, values))
    finally:
        connection.close()


def left(stack: Stack, user: str) -> int:
    """Messages of the user that are not deleted."""
    return count(stack, "messages.db", "SELECT count(*) FROM item WHERE actor = ? AND type = 2 AND delete_ms = 0", user)


@pytest.mark.timeout(180)
async def test_a_killed_process_finishes_the_erasure_after_its_restart(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        async with aiohttp.ClientSession() as http:
            traces = Traces(stack, http)
            await traces.leave_all()
            person = traces.person.user
            await send_many(stack, person, traces.group)
            metadata = (("authorization", f"Bearer {stack.service_token(scopes=('erase',))}"),)
            async with grpc.aio.insecure_channel(stack.grpc_address) as channel:
                stub: Any = pb_grpc.UserServiceStub(channel)
                call = stub.ErasePerson(pb.ErasePersonRequest(user=person), metadata=metadata, timeout=60)
                call_task = asyncio.ensure_future(call)

                async def is_in_the_middle() -> bool:
                    return 0 < left(stack, person) < MESSAGES - 200

                await eventually(is_in_the_middle)
                stack.kill()
                await asyncio.gather(call_task, return_exceptions=True)
            assert left(stack, person) > 0, "the kill was too late"
            assert count(stack, "users.db", "SELECT count(*) FROM erasure") == 1
            stack.restart()

            async def is_done() -> bool:
                return count(stack, "users.db", "SELECT count(*) FROM erasure") == 0

            await eventually(is_done)  # no one asks for it again
            assert left(stack, person) == 0
            assert count(stack, "users.db", "SELECT count(*) FROM user WHERE user = ?", person) == 0
            assert count(stack, "messages.db", "SELECT count(*) FROM member WHERE user = ?", person) == 1  # direct
            assert count(stack, "reactions.db", "SELECT count(*) FROM record WHERE user = ?", person) == 0
            for conversation_id in (traces.direct, traces.group, traces.left, traces.channel):
                assert traces.secret not in str(await traces.history(traces.friend, conversation_id))
            sql = "SELECT max(last_seq) - count(*) FROM conversation JOIN item ON item.conversation = id WHERE name = ?"
            assert count(stack, "messages.db", sql, traces.group) == 0, "numbers have a gap"
