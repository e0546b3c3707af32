"""Pinned and forwarded messages, as members and others see them."""

from __future__ import annotations

from typing import Any

from tests.flows.messages.test_chat_seed_requests import Api, reason_of, received
from tests.flows.messages.test_delivery import Talk, fixture_talk  # noqa: F401 - a fixture
from tests.flows.messages.test_receipts import sent


async def next_push(socket: Any, kind: str) -> Any:
    """The next push of a type; others are skipped."""
    while (frame := await received(socket))["type"] != kind:
        pass
    return frame


async def pinned(user: Api, conversation_id: str) -> list[tuple[str, str, str]]:
    _, answer = await user.ask("GET", f"/api/v1/conversations/{conversation_id}/pins")
    rows = answer["pinned_messages"]
    return [(row["message"]["message_id"], row["message"]["content"], row["pinned_by"]) for row in rows]


async def test_members_hear_of_pins_and_list_them(talk: Talk) -> None:
    (alice, _), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    _, made = await alice.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": [bob.user]})
    conversation_id = made["conversation_id"]
    path = f"/api/v1/conversations/{conversation_id}"
    first, second = [(await sent(bob, conversation_id, text))["message_id"] for text in ("one", "two")]
    for message in (first, second):
        assert (await alice.ask("PUT", f"{path}/pins/{message}", {}))[0] == 200
        push = await next_push(of_bob, "message_changed")
        assert push["change"]["type"] == "CHANGE_TYPE_MESSAGE_PINNED"
        assert (push["change"]["actor_id"], push["change"]["message"]["message_id"]) == (alice.user, message)
        assert "edit_time" not in push["change"]["message"]
    status, answer = await bob.ask("PUT", f"{path}/pins/{first}", {})
    assert (status, reason_of(answer)) == (403, "ADMINS_ONLY")
    assert await pinned(bob, conversation_id) == [(second, "two", alice.user), (first, "one", alice.user)]
    await alice.ask("DELETE", f"{path}/pins/{first}")
    push = await next_push(of_bob, "message_changed")
    assert push["change"]["type"] == "CHANGE_TYPE_MESSAGE_UNPINNED"
    await bob.ask("DELETE", f"{path}/messages/{second}")
    assert await pinned(bob, conversation_id) == []
    _, listed = await bob.ask("GET", f"{path}/changes?after_seq=3")
    assert [change["message"]["message_id"] for change in listed["changes"]] == [first, second, first, second]


async def test_a_new_member_does_not_see_a_pin_of_what_was_written_before(talk: Talk) -> None:
    (alice, _), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    _, made = await alice.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": []})
    conversation_id = made["conversation_id"]
    path = f"/api/v1/conversations/{conversation_id}"
    message = (await sent(alice, conversation_id, "before"))["message_id"]
    await alice.ask("POST", f"{path}/members", {"user_ids": [bob.user]})
    await alice.ask("PUT", f"{path}/pins/{message}", {})
    assert [row[0] for row in await pinned(alice, conversation_id)] == [message]
    assert await pinned(bob, conversation_id) == []


async def test_a_forwarded_message_has_the_content_and_tells_neither_author_nor_place(talk: Talk) -> None:
    (alice, _), (bob, _), (carol, of_carol) = [await talk.joined(name) for name in ("alice", "bob", "carol")]
    with_bob = await alice.direct(bob.user)
    body = {"content": "*secret*", "content_type": "markdown", "mentions": [alice.user], "metadata": {"a": "b"}}
    _, origin = await bob.ask("POST", f"/api/v1/conversations/{with_bob}/messages", body)
    forward = {"recipient_id": carol.user, "forward_of": origin["message_id"], "client_msg_id": "1"}
    status, answer = await alice.ask("POST", "/api/v1/messages", forward)
    assert status == 202
    push = await next_push(of_carol, "new_message")
    assert (push["message_id"], push["content"], push["content_type"]) == (answer["message_id"], "*secret*", "markdown")
    assert (push["sender_id"], push["forward_count"]) == (alice.user, 1)
    assert (push.get("mentions") or [], push.get("metadata") or {}) == ([], {})
    assert bob.user not in str(push)
    assert with_bob not in str(push)
    # A retry is the same message, also when there is nothing to forward any more.
    await bob.ask("DELETE", f"/api/v1/conversations/{with_bob}/messages/{origin['message_id']}")
    assert (await alice.ask("POST", "/api/v1/messages", forward))[1] == answer
    status, refused = await alice.ask("POST", "/api/v1/messages", {**forward, "client_msg_id": "2"})
    assert (status, reason_of(refused)) == (404, "MESSAGE_NOT_FOUND")


async def test_what_is_forwarded_again_and_again_was_forwarded_many_times(talk: Talk) -> None:
    (alice, _), (bob, _) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    message = (await sent(alice, conversation_id))["message_id"]
    path = f"/api/v1/conversations/{conversation_id}/messages"
    for _ in range(6):
        message = (await alice.ask("POST", path, {"forward_of": message}))[1]["message_id"]
    _, page = await bob.ask("GET", path)
    assert [row["forward_count"] for row in page["messages"]] == [0, 1, 2, 3, 4, 5, 5]
    assert {row["content"] for row in page["messages"]} == {"Hello!"}


async def test_a_message_that_one_may_not_see_cannot_be_forwarded(talk: Talk) -> None:
    (alice, _), (bob, _), (eve, _) = [await talk.joined(name) for name in ("alice", "bob", "eve")]
    conversation_id = await alice.direct(bob.user)
    message = (await sent(alice, conversation_id))["message_id"]
    created = f"msg_{conversation_id.removeprefix('conv_')}_1"
    for user, origin in ((eve, message), (alice, created), (alice, f"{message}0"), (alice, "msg_1"), (alice, "x")):
        status, answer = await user.ask("POST", "/api/v1/messages", {"recipient_id": bob.user, "forward_of": origin})
        assert (status, reason_of(answer)) == (404, "MESSAGE_NOT_FOUND"), origin
