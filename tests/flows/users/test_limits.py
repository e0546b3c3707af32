"""How often a user may send messages and create conversations, through every interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import grpc
import pytest

from plaudit.message.v1 import conversation_service_pb2 as conversations_pb
from plaudit.message.v1 import conversation_service_pb2_grpc, message_service_pb2_grpc
from plaudit.message.v1 import message_service_pb2 as messages_pb
from tests.flows.clients import RawSocket, new_user, raw_socket
from tests.flows.interfaces.every_interface import TABLES, Answer, Interfaces
from tests.running import Stack

LIMITED = Answer("RESOURCE_EXHAUSTED", "RATE_LIMITED")
FEW = {
    "MESSAGE__SENDS_PER_SECOND": "0.01",
    "MESSAGE__SENDS_AT_ONCE": "2",
    "MESSAGE__CREATIONS_PER_HOUR": "3",
    "MESSAGE__PHONE_LOOKUPS_PER_HOUR": "2",
}


@pytest.fixture(name="strict", scope="module")
def fixture_strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("strict") / "data", **FEW) as stack:
        yield stack


async def all_asked(stack: Stack, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Answer]]:
    """The answers of each interface to each frame, one call after the other, all of one user."""
    async with Interfaces(stack, None, new_user("eager")) as interfaces:
        return [await interfaces.ask(TABLES.frames[frame], fields) for frame, fields in calls]


async def test_messages_and_edits_above_the_limit_are_refused_by_every_interface(strict: Stack) -> None:
    message = {"recipient_id": "bob", "content": "Hi!"}
    edit = {"conversation_id": "conv_" + "0" * 26, "message_id": "msg_" + "0" * 26 + "_1", "content": "Hi!"}
    first, *later = await all_asked(
        strict, ("send_message", message), ("send_message", message), ("edit_message", edit)
    )
    assert len(first) >= 4
    assert [answer.code for answer in first.values()][:2] == ["OK", "OK"]
    for answers in later:
        assert answers == dict.fromkeys(answers, LIMITED)


async def test_new_conversations_above_the_limit_are_refused_by_every_interface(strict: Stack) -> None:
    creations: list[tuple[str, dict[str, Any]]] = [
        ("create_conversation", {"participant_ids": ["bob"]}),
        ("create_conversation", {"participant_ids": ["bob"]}),  # exists, which is not counted
        ("create_conversation", {"participant_ids": ["carol"]}),
        ("create_group", {"name": "Team"}),
        ("create_group", {"name": "Team"}),
        ("create_conversation", {"participant_ids": ["dave"]}),
        ("create_conversation", {"participant_ids": ["bob"]}),
    ]
    first, again, carol, team, *refused, at_last = await all_asked(strict, *creations)
    for answers in (first, again, carol, at_last):
        assert {answer.code for answer in answers.values()} == {"OK"}
    assert [answer.code for answer in team.values()].count("OK") == 1
    for answers in refused:
        assert answers == dict.fromkeys(answers, LIMITED)


async def test_phone_numbers_above_the_limit_are_not_looked_up(strict: Stack) -> None:
    first, second = await all_asked(strict, *[("look_up_phone", {"phone": "+4930123456"})] * 2)
    assert [answer.code for answer in first.values()][:2] == ["NOT_FOUND"] * 2
    assert second == dict.fromkeys(second, LIMITED)


async def test_a_refusal_has_a_retry_delay(strict: Stack) -> None:
    async with raw_socket(strict, new_user("eager")) as socket:
        asked: list[Any] = [await sent(socket) for _ in range(3)]
    assert [answer["type"] for answer in asked] == ["ack", "ack", "error"]
    assert 0 < asked[2]["retry_after_ms"] <= 100_000


async def sent(socket: RawSocket) -> Any:
    return await socket.ask("send_message", recipient_id="bob", content="Hi!")


async def test_a_service_that_acts_for_a_user_is_not_limited(strict: Stack) -> None:
    metadata = (("authorization", f"Bearer {strict.service_token()}"), ("plaudit-user", new_user("bot")))
    async with grpc.aio.insecure_channel(strict.grpc_address) as channel:
        conversations: Any = conversation_service_pb2_grpc.ConversationServiceStub(channel)
        messages: Any = message_service_pb2_grpc.MessageServiceStub(channel)
        made = await asyncio.gather(
            *(
                conversations.CreateConversation(
                    conversations_pb.CreateConversationRequest(participant_ids=[f"user-{number}"]), metadata=metadata
                )
                for number in range(10)
            )
        )
        for each in made:
            request = messages_pb.SendMessageRequest(conversation_id=each.conversation_id, content="Hi!")
            await messages.SendMessage(request, metadata=metadata)


async def test_the_default_limits_let_a_queue_of_messages_pass(shared_stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {shared_stack.token(new_user('alice'))}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        url = f"{shared_stack.http_url}/api/v1/messages"

        async def status() -> int:
            async with http.post(url, json={"recipient_id": "bob", "content": "Hi!"}) as answer:
                return answer.status

        statuses = [await status() for _ in range(100)]
    assert set(statuses) == {202}
