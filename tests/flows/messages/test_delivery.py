"""What members hear on their sockets of what others do in a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.flows.clients import new_user
from tests.flows.messages.test_chat_seed_requests import Api, received
from tests.running import Stack


class Talk:
    """People with a subscribed socket each."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, sockets: AsyncExitStack) -> None:
        self._stack, self._http, self._sockets = stack, http, sockets

    async def joined(self, name: str) -> tuple[Api, Any]:
        """A user, and a socket that gets the pushes for it."""
        user = Api(self._stack, self._http, new_user(name))
        return user, await self.socket_of(user)

    async def socket_of(self, user: Api) -> Any:
        """One more socket of the user."""
        socket = await self._sockets.enter_async_context(user.socket())
        await socket.send_json({"type": "subscribe", "id": 2, "topics": [f"users/{user.user}"]})
        assert (await received(socket))["type"] == "subscribed"
        return socket


@pytest.fixture(name="talk")
async def fixture_talk(shared_stack: Stack) -> AsyncIterator[Talk]:
    async with aiohttp.ClientSession() as http, AsyncExitStack() as sockets:
        yield Talk(shared_stack, http, sockets)


async def test_two_users_exchange_messages_over_sockets(talk: Talk) -> None:
    (alice, of_alice), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    other_device = await talk.socket_of(alice)
    conversation_id = await alice.direct(bob.user)
    for socket in (of_alice, of_bob, other_device):
        created = await received(socket)
        assert (created["type"], created["conversation_id"]) == ("member_changed", conversation_id)
    frame = {"type": "send_message", "conversation_id": conversation_id, "content": "Hello!", "client_msg_id": "1"}
    await of_alice.send_json(frame)
    first, second = await received(of_alice), await received(of_alice)
    receipt, own = (first, second) if first["type"] == "receipt" else (second, first)
    for push in (own, await received(of_bob), await received(other_device)):
        assert push["type"] == "new_message"
        assert push["topic"].startswith("users/")
        assert push["message_id"] == receipt["message_id"]
        assert (push["conversation_id"], push["sender_id"]) == (conversation_id, alice.user)
        assert (push["content"], push["timestamp"]) == ("Hello!", receipt["timestamp"])
    # A retry is no second message, so the next push is the answer.
    await of_alice.send_json(frame)
    assert (await received(of_alice))["message_id"] == receipt["message_id"]
    await bob.ask("POST", f"/api/v1/conversations/{conversation_id}/messages", {"content": "Hi!"})
    answer = await received(other_device)
    assert (answer["sender_id"], answer["content"], answer["message_seq"]) == (bob.user, "Hi!", 3)


async def test_edits_deletions_and_members_are_pushed_to_members_only(talk: Talk) -> None:
    (alice, _), (bob, of_bob), (eve, of_eve) = [await talk.joined(name) for name in ("alice", "bob", "eve")]
    _, made = await alice.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": [bob.user]})
    path = f"/api/v1/conversations/{made['conversation_id']}"
    _, sent = await alice.ask("POST", f"{path}/messages", {"content": "secret"})
    await alice.ask("PATCH", f"{path}/messages/{sent['message_id']}", {"content": "edited"})
    await alice.ask("POST", f"{path}/members", {"user_ids": [eve.user]})
    await alice.ask("DELETE", f"{path}/messages/{sent['message_id']}")
    await alice.ask("DELETE", f"{path}/members/{eve.user}")
    await alice.ask("POST", f"{path}/messages", {"content": "without eve"})
    pushes = [await received(of_bob) for _ in range(7)]
    assert [push["type"] for push in pushes] == [
        "member_changed", "new_message", "message_changed", "member_changed", "message_changed", "member_changed",
        "new_message",
    ]  # fmt: skip
    assert pushes[2]["change"]["message"]["content"] == "edited"
    assert pushes[4]["change"]["message"]["delete_time"]
    assert pushes[5]["member_count"] == 2
    heard = [await received(of_eve) for _ in range(3)]
    assert [push["type"] for push in heard] == ["member_changed", "message_changed", "member_changed"]
    assert heard[2]["change"]["type"] == "CHANGE_TYPE_MEMBER_REMOVED"
    assert "secret" not in str(heard)
    # Nothing more comes: a ping is answered next.
    await of_eve.send_json({"type": "ping", "id": 9})
    assert (await received(of_eve))["type"] == "pong"


async def test_each_member_gets_items_in_one_order(talk: Talk) -> None:
    (alice, of_alice), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    path = f"/api/v1/conversations/{conversation_id}/messages"
    await asyncio.gather(*(one.ask("POST", path, {"content": f"{n}"}) for n in range(20) for one in (alice, bob)))
    heard = [[(await received(socket)).get("message_seq", 1) for _ in range(41)] for socket in (of_alice, of_bob)]
    assert heard == [list(range(1, 42))] * 2
