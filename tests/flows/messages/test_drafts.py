"""What a user writes on one device and does not send is there on its other devices, and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.flows.messages.test_chat_seed_requests import Api, received
from tests.flows.messages.test_delivery import Talk, fixture_talk  # noqa: F401 - a fixture
from tests.flows.messages.test_receipts import nothing_more, sent


async def draft_on(socket: Any) -> Any:
    """The next push about a draft; other pushes are skipped."""
    while (frame := await received(socket))["type"] != "draft_changed":
        pass
    return frame


async def write(user: Api, conversation_id: str, content: str) -> Any:
    body = {"content": content, "device_id": "phone"}
    status, answer = await user.ask("PUT", f"/api/v1/conversations/{conversation_id}/draft", body)
    assert status == 200, answer
    return answer


async def drafts_of(user: Api, conversation_id: str) -> set[str]:
    """The draft as the conversation and the list of conversations have it: the same one."""
    _, found = await user.ask("GET", f"/api/v1/conversations/{conversation_id}")
    _, page = await user.ask("GET", "/api/v1/conversations")
    listed = [one for one in page["conversations"] if one["conversation_id"] == conversation_id]
    return {one["draft"] for one in (found["conversation"], *listed)}


async def test_another_device_gets_the_draft_and_no_one_else_does(talk: Talk) -> None:
    (alice, of_alice), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    assert (await received(of_bob))["type"] == "member_changed"
    other_device = await talk.socket_of(alice)
    answer = await write(alice, conversation_id, "See you at")
    for socket in (of_alice, other_device):
        push = await draft_on(socket)
        assert "seq" not in push
        assert (push["topic"], push["conversation_id"]) == (f"users/{alice.user}", conversation_id)
        assert (push["content"], push["timestamp"], push["device_id"]) == ("See you at", answer["timestamp"], "phone")
    assert await drafts_of(alice, conversation_id) == {"See you at"}
    assert await drafts_of(bob, conversation_id) == {""}
    await nothing_more(of_bob)


async def test_a_sent_message_removes_the_draft_on_all_devices(talk: Talk) -> None:
    (alice, of_alice), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    await write(alice, conversation_id, "See you at")
    assert (await draft_on(of_alice))["content"] == "See you at"
    await sent(alice, conversation_id, "something else")
    assert await drafts_of(alice, conversation_id) == {"See you at"}
    message = {"type": "send_message", "conversation_id": conversation_id, "content": "See you", "clear_draft": True}
    await of_alice.send_json(message)
    push = await draft_on(of_alice)
    assert (push["conversation_id"], push["content"]) == (conversation_id, "")
    assert await drafts_of(alice, conversation_id) == {""}


async def test_a_removed_member_has_no_draft_even_after_it_has_come_back(talk: Talk) -> None:
    (alice, _), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    _, made = await alice.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": [bob.user]})
    path = f"/api/v1/conversations/{made['conversation_id']}"
    await write(bob, made["conversation_id"], "See you at")
    await alice.ask("DELETE", f"{path}/members/{bob.user}")
    assert await drafts_of(bob, made["conversation_id"]) == {""}
    status, _ = await bob.ask("PUT", f"{path}/draft", {"content": "See you"})
    assert status == 404
    await alice.ask("POST", f"{path}/members", {"user_ids": [bob.user]})
    assert await drafts_of(bob, made["conversation_id"]) == {""}


async def test_a_user_that_sets_drafts_too_often_is_told_to_wait(talk: Talk) -> None:
    (alice, _), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    path = f"/api/v1/conversations/{await alice.direct(bob.user)}/draft"
    answers = await asyncio.gather(*(alice.ask("PUT", path, {"content": f"{n}"}) for n in range(60)))
    refused = [answer for status, answer in answers if status == 429]
    assert refused
    assert all("RATE_LIMITED" in str(answer) for answer in refused)
