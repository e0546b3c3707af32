"""The requests and frames of the write-ups on chat, as they write them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway.contracts.tables import read_tables
from plaudit.gateway.v1 import frames_pb2, session_frames_pb2
from plaudit.message.v1 import message_changes_pb2, updates_pb2
from tests.flows.clients import new_user
from tests.running import Stack


class Api:
    """REST and the socket as one person uses them."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, user: str, *scopes: str) -> None:
        self._stack = stack
        self._http = http
        self.user = user
        self._headers = {"Authorization": f"Bearer {stack.token(user, 'default', *scopes)}"}

    async def ask(self, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._http.request(verb, self._stack.http_url + path, json=body, headers=self._headers) as answer:
            return answer.status, await answer.json()

    async def direct(self, other: str) -> str:
        """The id of the direct conversation."""
        _, answer = await self.ask("POST", "/api/v1/conversations", {"participant_ids": [self.user, other]})
        return str(answer["conversation_id"])

    @asynccontextmanager
    async def raw_socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A socket without a session."""
        protocols = ("plaudit.v1.json",)
        async with self._http.ws_connect(self._stack.ws_url, headers=self._headers, protocols=protocols) as socket:
            yield socket

    @asynccontextmanager
    async def socket(self, subprotocol: str = "plaudit.v1.json") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A socket whose session is open."""
        async with self._http.ws_connect(self._stack.ws_url, headers=self._headers, protocols=(subprotocol,)) as socket:
            if subprotocol == "plaudit.v1.json":
                await socket.send_json({"type": "hello", "id": 1})
            else:
                hello = frames_pb2.ClientFrame(id=1, hello=session_frames_pb2.Hello())
                await socket.send_bytes(hello.SerializeToString())
            await asyncio.wait_for(socket.receive(), 10)
            yield socket


@pytest.fixture(name="http")
async def fixture_http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture(name="alice")
def fixture_alice(shared_stack: Stack, http: aiohttp.ClientSession) -> Api:
    return Api(shared_stack, http, new_user("alice"))


@pytest.fixture(name="bob")
def fixture_bob(shared_stack: Stack, http: aiohttp.ClientSession) -> Api:
    return Api(shared_stack, http, new_user("bob"))


async def received(socket: aiohttp.ClientWebSocketResponse) -> Any:
    return await asyncio.wait_for(socket.receive_json(), 10)


def reason_of(answer: Any) -> str:
    return str(next(detail["reason"] for detail in answer["details"] if "reason" in detail))


async def test_a_frame_send_message_without_id_is_answered_by_a_receipt(alice: Api, bob: Api) -> None:
    conversation_id = await alice.direct(bob.user)
    frame = {
        "type": "send_message",
        "conversation_id": conversation_id,
        "content": "Hello!",
        "content_type": "text",
        "client_msg_id": "uuid-456",
    }
    async with alice.socket() as socket:
        await socket.send_json(frame)
        receipt = await received(socket)
        assert receipt["type"] == "receipt"
        assert receipt["status"] == "sent"
        assert receipt["client_msg_id"] == "uuid-456"
        assert isinstance(receipt["timestamp"], int)
        assert receipt["timestamp"] > 1_600_000_000_000
        # The retry of a client that did not hear it is the same message.
        await socket.send_json(frame)
        assert await received(socket) == receipt
        # With an id it is a call like any other.
        await socket.send_json({**frame, "id": 7})
        ack = await received(socket)
        assert (ack["type"], ack["id"], ack["message_id"]) == ("ack", 7, receipt["message_id"])
        await socket.send_json({**frame, "content": "Bye!"})
        error = await received(socket)
        assert (error["type"], error["id"], error["reason"]) == ("error", 0, "MESSAGE_CONFLICT")
    status, page = await bob.ask("GET", f"/api/v1/conversations/{conversation_id}/messages?limit=50")
    assert status == 200
    (message,) = page["messages"]
    assert message["message_id"] == receipt["message_id"]
    assert (message["sender_id"], message["content"], message["timestamp"]) == (
        alice.user,
        "Hello!",
        receipt["timestamp"],
    )


async def test_a_binary_frame_without_id_is_answered_by_the_same_receipt(alice: Api, bob: Api) -> None:
    conversation_id = await alice.direct(bob.user)
    request = message_changes_pb2.SendMessageRequest(
        conversation_id=conversation_id, content="Hello!", content_type="text", client_msg_id="uuid-456"
    )
    call = frames_pb2.CallFrame(type="send_message", request=request.SerializeToString())
    async with alice.socket("plaudit.v1.proto") as socket:
        await socket.send_bytes(frames_pb2.ClientFrame(call=call).SerializeToString())
        frame = frames_pb2.ServerFrame.FromString(await asyncio.wait_for(socket.receive_bytes(), 10))
        assert (frame.push.type, frame.push.topic, frame.push.seq) == ("receipt", "", 0)
        receipt = updates_pb2.Receipt.FromString(frame.push.payload)
        assert (receipt.status, receipt.client_msg_id) == ("sent", "uuid-456")
        assert receipt.conversation_id == conversation_id


async def test_a_hundred_concurrent_calls_create_one_direct_conversation(alice: Api, bob: Api) -> None:
    racers = [(alice, bob), (bob, alice)] * 50
    answers = await asyncio.gather(
        *(
            one.ask("POST", "/api/v1/conversations", {"participant_ids": [one.user, other.user]})
            for one, other in racers
        )
    )
    assert {status for status, _ in answers} == {200}
    assert len({answer["conversation_id"] for _, answer in answers}) == 1
    _, listed = await bob.ask("GET", "/api/v1/conversations")
    (conversation,) = listed["conversations"]
    assert (conversation["type"], conversation["peer_id"]) == ("CONVERSATION_TYPE_DIRECT", alice.user)


async def test_the_list_has_the_preview_of_the_last_message_and_the_unread_ones(alice: Api, bob: Api) -> None:
    conversation_id = await alice.direct(bob.user)
    for number in range(3):
        await alice.ask("POST", f"/api/v1/conversations/{conversation_id}/messages", {"content": f"{number}" * 1_000})
    status, listed = await bob.ask("GET", "/api/v1/conversations")
    assert status == 200
    (conversation,) = listed["conversations"]
    assert (conversation["conversation_id"], conversation["unread_count"]) == (conversation_id, 3)
    assert conversation["last_message"]["content"] == "2" * 200
    message_id = conversation["last_message"]["message_id"]
    async with bob.socket() as socket:
        await socket.send_json(
            {"type": "mark_read", "id": 2, "conversation_id": conversation_id, "message_id": message_id}
        )
        answer = await received(socket)
        assert (answer["type"], answer["unread_count"]) == ("ack", 0)
    _, receipts = await alice.ask("GET", f"/api/v1/conversations/{conversation_id}/receipts")
    assert [(one["user_id"], one["read_message_id"]) for one in receipts["receipts"]] == [(bob.user, message_id)]


async def test_history_is_read_backwards_by_a_cursor(alice: Api, bob: Api) -> None:
    conversation_id = await alice.direct(bob.user)
    path = f"/api/v1/conversations/{conversation_id}/messages"
    for number in range(7):
        await alice.ask("POST", path, {"content": f"{number}", "client_msg_id": f"{number}"})
    found: list[str] = []
    cursor = ""
    while True:
        status, page = await bob.ask("GET", f"{path}?before={cursor}&limit=3")
        assert status == 200
        found = [*(message["content"] for message in page["messages"]), *found]
        cursor = page["older_page_token"]
        if not cursor:
            break
    assert found == [f"{number}" for number in range(7)]
    # The cursor of one person is nobody else's.
    _, page = await bob.ask("GET", f"{path}?limit=3")
    status, answer = await alice.ask("GET", f"{path}?before={page['older_page_token']}&limit=3")
    assert (status, reason_of(answer)) == (400, "INVALID_CURSOR")


async def test_a_group_is_created_with_its_members(alice: Api) -> None:
    others = [new_user("u1"), new_user("u2"), new_user("u3")]
    body = {"name": "Project Team", "member_ids": others}
    status, answer = await alice.ask("POST", "/api/v1/groups", body)
    assert status == 200
    group = answer["conversation"]
    assert group["conversation_id"] == answer["conversation_id"]
    assert (group["name"], group["type"], group["member_count"]) == ("Project Team", "CONVERSATION_TYPE_GROUP", 4)
    _, members = await alice.ask("GET", f"/api/v1/conversations/{answer['conversation_id']}/members")
    assert {one["user_id"]: one["role"] for one in members["members"]} == {
        alice.user: "ROLE_ADMIN",
        **dict.fromkeys(others, "ROLE_MEMBER"),
    }
    # Without an operation id a retry makes another group, with one it is the same.
    assert (await alice.ask("POST", "/api/v1/groups", body))[1]["conversation_id"] != answer["conversation_id"]
    first = await alice.ask("POST", "/api/v1/groups", {**body, "op_id": "once"})
    again = await alice.ask("POST", "/api/v1/groups", {**body, "member_ids": others[::-1], "op_id": "once"})
    assert first == again
    status, answer = await alice.ask("POST", "/api/v1/groups", {**body, "name": "Other", "op_id": "once"})
    assert (status, reason_of(answer)) == (409, "OP_CONFLICT")


async def test_a_message_to_a_recipient_is_accepted_with_202(alice: Api, bob: Api) -> None:
    body = {"recipient_id": bob.user, "content": "Hello!", "client_msg_id": "uuid-1"}
    status, answer = await alice.ask("POST", "/api/v1/messages", body)
    assert (status, answer["status"], answer["client_msg_id"]) == (202, "sent", "uuid-1")
    assert answer["conversation_id"] == await bob.direct(alice.user)
    assert await alice.ask("POST", "/api/v1/messages", body) == (202, answer)
    status, conflict = await alice.ask("POST", "/api/v1/messages", {**body, "content": "Bye!"})
    assert (status, reason_of(conflict)) == (409, "MESSAGE_CONFLICT")
    # The other one's message with the same id is another message of the same conversation.
    status, other = await bob.ask("POST", "/api/v1/messages", {**body, "recipient_id": alice.user})
    assert (status, other["conversation_id"]) == (202, answer["conversation_id"])
    assert other["message_seq"] == answer["message_seq"] + 1


@pytest.mark.parametrize("content_type", ["image", "video", "file"])
async def test_media_is_refused_without_a_media_service(alice: Api, bob: Api, content_type: str) -> None:
    body = {"recipient_id": bob.user, "content": "x", "content_type": content_type}
    status, answer = await alice.ask("POST", "/api/v1/messages", body)
    assert (status, reason_of(answer)) == (400, "MEDIA_UNAVAILABLE")


async def test_users_who_are_not_members_get_not_found_by_every_interface(
    alice: Api, bob: Api, shared_stack: Stack, http: aiohttp.ClientSession
) -> None:
    conversation_id = await alice.direct(bob.user)
    _, sent = await alice.ask("POST", f"/api/v1/conversations/{conversation_id}/messages", {"content": "secret"})
    eve = Api(shared_stack, http, new_user("eve"))
    fields: dict[str, Any] = {
        "conversation_id": conversation_id,
        "message_id": sent["message_id"],
        "user_id": bob.user,
        "user_ids": [eve.user],
        "content": "x",
        "role": "ROLE_ADMIN",
        "reason": "REPORT_REASON_SPAM",
    }
    tables = read_tables()
    frames = {
        name: rpc
        for name, rpc in tables.frames.items()
        if rpc.method.startswith("/plaudit.message.")
        and "conversation_id" in rpc.request.fields_by_name
        and not rpc.scope
    }
    assert len(frames) == 24
    async with eve.socket() as socket:
        for name, rpc in frames.items():
            body = {field: value for field, value in fields.items() if field in rpc.request.fields_by_name}
            await socket.send_json({"type": name, "id": 5, **body})
            answer = await received(socket)
            assert (answer["type"], answer.get("reason")) == ("error", "CONVERSATION_NOT_FOUND"), (name, answer)
            assert "secret" not in json.dumps(answer)
    for route in tables.routes:
        if route.rpc.frame not in frames or "{conversation_id}" not in route.template.text:
            continue
        path = route.template.text
        for name in route.template.variables:
            path = path.replace(f"{{{name}}}", fields[name])
        names = route.rpc.request.fields_by_name
        inside = {
            name: value for name, value in fields.items() if name in names and f"{{{name}}}" not in route.template.text
        }
        status, answer = await eve.ask(route.verb, path, inside if route.body else None)
        assert (status, reason_of(answer)) == (404, "CONVERSATION_NOT_FOUND"), path
