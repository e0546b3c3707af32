"""What users do with a conversation for themselves: their other devices hear of it, and nobody else."""

from __future__ import annotations

from typing import Any

from tests.flows.messages.test_chat_seed_requests import Api, received
from tests.flows.messages.test_delivery import Talk, fixture_talk  # noqa: F401 - a fixture
from tests.flows.messages.test_receipts import nothing_more, sent


async def membership_on(socket: Any) -> Any:
    """The next push about a membership; other pushes are skipped."""
    while (frame := await received(socket))["type"] != "membership_changed":
        pass
    return frame


async def listed(user: Api, query: str = "") -> list[str]:
    _, answer = await user.ask("GET", f"/api/v1/conversations{query}")
    return [one["conversation_id"] for one in answer["conversations"]]


async def until_pushed(socket: Any, **fields: object) -> Any:
    """The push that has these fields; within a second several changes are one push."""
    while True:
        push = await membership_on(socket)
        if push["membership"].items() >= fields.items():
            return push


async def test_each_device_of_a_member_hears_of_its_changes_and_no_one_else(talk: Talk) -> None:
    (alice, of_alice), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    other_device = await talk.socket_of(alice)
    assert (await received(of_bob))["type"] == "member_changed"
    path = f"/api/v1/conversations/{conversation_id}/membership"
    for fields in ({"pinned": True}, {"mute_until_ms": 9_000_000_000_000}, {"archived": True}, {"marked_unread": True}):
        _, answer = await alice.ask("PATCH", path, fields)
        assert answer["membership"].items() >= fields.items()
        for socket in (of_alice, other_device):
            push = await until_pushed(socket, **fields)
            assert "seq" not in push
            assert (push["conversation_id"], push["topic"]) == (conversation_id, f"users/{alice.user}")
    await nothing_more(of_bob)


async def test_what_is_read_on_one_device_is_read_on_the_others(talk: Talk) -> None:
    (alice, _), (bob, of_bob) = await talk.joined("alice"), await talk.joined("bob")
    conversation_id = await alice.direct(bob.user)
    message = await sent(alice, conversation_id)
    path = f"/api/v1/conversations/{conversation_id}"
    await bob.ask("PATCH", f"{path}/membership", {"marked_unread": True})
    await bob.ask("POST", f"{path}/read", {"message_id": message["message_id"], "private": True})
    await until_pushed(of_bob, read_seq=message["message_seq"], marked_unread=False)


async def test_archived_conversations_have_a_list_of_their_own(talk: Talk) -> None:
    (alice, _), (bob, _), (carol, _) = [await talk.joined(name) for name in ("alice", "bob", "carol")]
    with_bob, with_carol = await alice.direct(bob.user), await alice.direct(carol.user)
    await alice.ask("PATCH", f"/api/v1/conversations/{with_bob}/membership", {"archived": True})
    assert await listed(alice) == [with_carol]
    assert await listed(alice, "?archived=true") == [with_bob]
    assert await listed(bob) == [with_bob]
    await sent(bob, with_bob)
    assert await listed(alice) == [with_bob, with_carol]
    assert await listed(alice, "?archived=true") == []
    _, found = await alice.ask("GET", f"/api/v1/conversations/{with_bob}")
    assert found["conversation"]["membership"]["archived"] is False
