"""What users who block each other, or allow little, cannot do to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.flows.clients import new_user
from tests.flows.messages.test_chat_seed_requests import Api, reason_of
from tests.running import Stack


class Three:
    """Three users who have not met."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self.alice, self.bob, self.carol = (Api(stack, http, new_user(name)) for name in ("alice", "bob", "carol"))


@pytest.fixture(name="three")
async def fixture_three(shared_stack: Stack) -> AsyncIterator[Three]:
    async with aiohttp.ClientSession() as http:
        yield Three(shared_stack, http)


async def refusal(user: Api, verb: str, path: str, body: Any = None) -> tuple[int, str]:
    status, answer = await user.ask(verb, path, body)
    assert status >= 400, answer
    return status, reason_of(answer)


async def sends(user: Api, conversation_id: str, **fields: str) -> str:
    """The id of a message that was sent; "": it was refused."""
    body = {"content": "Hi!", **fields}
    status, answer = await user.ask("POST", f"/api/v1/conversations/{conversation_id}/messages", body)
    if status == 403:
        assert reason_of(answer) == "CANNOT_MESSAGE_USER"
        return ""
    assert status < 300, answer
    return str(answer["message_id"])


async def contents(user: Api, conversation_id: str) -> list[str]:
    _, page = await user.ask("GET", f"/api/v1/conversations/{conversation_id}/messages")
    return [message["content"] for message in page["messages"]]


async def test_a_block_ends_messages_of_both_until_it_ends(three: Three) -> None:
    alice, bob = three.alice, three.bob
    conversation_id = await alice.direct(bob.user)
    message_id = await sends(bob, conversation_id, content="before", client_msg_id="1")
    status, answer = await alice.ask("PUT", f"/api/v1/blocks/{bob.user}")
    assert (status, answer["blocked_user"]["user_id"]) == (200, bob.user)
    assert await sends(bob, conversation_id, content="in between", client_msg_id="2") == ""
    assert await sends(alice, conversation_id, content="in between") == ""
    edit = ("PATCH", f"/api/v1/conversations/{conversation_id}/messages/{message_id}", {"content": "edited"})
    assert await refusal(bob, *edit) == (403, "CANNOT_MESSAGE_USER")
    direct = {"recipient_id": alice.user, "content": "in between"}
    assert await refusal(bob, "POST", "/api/v1/messages", direct) == (403, "CANNOT_MESSAGE_USER")
    # What was sent before is not refused to a retry, and both can read on.
    assert await sends(bob, conversation_id, content="before", client_msg_id="1") == message_id
    assert await bob.direct(alice.user) == conversation_id
    for _ in range(2):
        await alice.ask("DELETE", f"/api/v1/blocks/{bob.user}")
    # A refusal is the answer to that message for ever, and a refused message never appears.
    assert await sends(bob, conversation_id, content="in between", client_msg_id="2") == ""
    assert await sends(bob, conversation_id, content="after")
    for user in (alice, bob):
        assert await contents(user, conversation_id) == ["before", "after"]


async def test_users_who_block_each_other_cannot_create_a_conversation(three: Three) -> None:
    alice, bob, carol = three.alice, three.bob, three.carol
    await alice.ask("PUT", f"/api/v1/blocks/{bob.user}")
    for one, other in ((alice, bob), (bob, alice)):
        participants = {"participant_ids": [other.user]}
        assert await refusal(one, "POST", "/api/v1/conversations", participants) == (403, "CANNOT_MESSAGE_USER")
        message = {"recipient_id": other.user, "content": "Hi!"}
        assert await refusal(one, "POST", "/api/v1/messages", message) == (403, "CANNOT_MESSAGE_USER")
        group = {"name": "Team", "member_ids": [carol.user, other.user]}
        assert await refusal(one, "POST", "/api/v1/groups", group) == (403, "CANNOT_ADD_USER")
        _, made = await one.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": [carol.user]})
        path = f"/api/v1/conversations/{made['conversation_id']}/members"
        status, refused = await one.ask("POST", path, {"user_ids": [other.user]})
        assert (status, reason_of(refused)) == (403, "CANNOT_ADD_USER")
        assert other.user in str(refused["details"])
    # Somebody else may, and in a common group both are heard.
    _, made = await carol.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": [alice.user, bob.user]})
    assert await sends(bob, made["conversation_id"], content="Hi, all!")
    assert await contents(alice, made["conversation_id"]) == ["Hi, all!"]


async def test_a_block_is_indistinguishable_from_a_preference(three: Three) -> None:
    alice, bob, carol = three.alice, three.bob, three.carol
    await alice.ask("PUT", f"/api/v1/blocks/{bob.user}")
    await carol.ask("PATCH", "/api/v1/preferences", {"who_may_write": "AUDIENCE_NOBODY"})
    answers = [
        await bob.ask("POST", "/api/v1/conversations", {"participant_ids": [other.user]}) for other in (alice, carol)
    ]
    assert answers[0] == answers[1]


async def test_permission_to_write_is_checked_for_new_conversations_only(three: Three) -> None:
    alice, bob, carol = three.alice, three.bob, three.carol
    known = await bob.direct(alice.user)
    changed = await alice.ask("PATCH", "/api/v1/preferences", {"who_may_write": "AUDIENCE_CONTACTS"})
    assert changed[1]["preferences"]["who_may_write"] == "AUDIENCE_CONTACTS"
    assert await sends(bob, known)
    participants = {"participant_ids": [alice.user]}
    assert await refusal(carol, "POST", "/api/v1/conversations", participants) == (403, "CANNOT_MESSAGE_USER")
    await alice.ask("PUT", f"/api/v1/contacts/{carol.user}")
    status, _ = await carol.ask("POST", "/api/v1/messages", {"recipient_id": alice.user, "content": "Hi!"})
    assert status == 202
    # Alice writes to whom she wants.
    assert await alice.direct(new_user("dave"))


async def test_permission_to_add_is_checked_for_new_members_only(three: Three) -> None:
    alice, bob, carol = three.alice, three.bob, three.carol
    _, made = await bob.ask("POST", "/api/v1/groups", {"name": "Team", "member_ids": [alice.user]})
    path = f"/api/v1/conversations/{made['conversation_id']}/members"
    await alice.ask("PATCH", "/api/v1/preferences", {"who_may_add": "AUDIENCE_NOBODY"})
    await carol.ask("PATCH", "/api/v1/preferences", {"who_may_add": "AUDIENCE_CONTACTS"})
    # Alice is a member already.
    status, _ = await bob.ask("POST", path, {"user_ids": [alice.user]})
    assert status == 200
    addition = {"user_ids": [alice.user, carol.user]}
    assert await refusal(bob, "POST", path, addition) == (403, "CANNOT_ADD_USER")
    await carol.ask("PUT", f"/api/v1/contacts/{bob.user}")
    status, _ = await bob.ask("POST", path, addition)
    assert status == 200
    await bob.ask("DELETE", f"{path}/{alice.user}")
    assert await refusal(bob, "POST", path, {"user_ids": [alice.user]}) == (403, "CANNOT_ADD_USER")


async def test_without_read_receipts_no_one_gets_what_a_user_has_read(three: Three) -> None:
    alice, bob = three.alice, three.bob
    conversation_id = await alice.direct(bob.user)
    path = f"/api/v1/conversations/{conversation_id}"
    await bob.ask("PATCH", "/api/v1/preferences", {"read_receipts": False})
    message_id = await sends(alice, conversation_id)
    _, read = await bob.ask("POST", f"{path}/read", {"message_id": message_id})
    assert (read["read_seq"], read["unread_count"]) == (2, 0)
    _, receipts = await alice.ask("GET", f"{path}/receipts")
    assert [receipt["read_seq"] for receipt in receipts["receipts"]] == [0]
    await bob.ask("PATCH", "/api/v1/preferences", {"read_receipts": True})
    await bob.ask("POST", f"{path}/read", {"message_id": await sends(alice, conversation_id)})
    _, receipts = await alice.ask("GET", f"{path}/receipts")
    assert [receipt["read_seq"] for receipt in receipts["receipts"]] == [3]


async def test_contacts_and_blocked_users_are_lists_of_their_owner(three: Three) -> None:
    alice, bob = three.alice, three.bob
    for kind, field in (("contacts", "contacts"), ("blocks", "blocked_users")):
        for other in ("zoe", "adam", "mia", "adam"):
            status, _ = await alice.ask("PUT", f"/api/v1/{kind}/{other}")
            assert status == 200
        _, first = await alice.ask("GET", f"/api/v1/{kind}?limit=2")
        _, second = await alice.ask("GET", f"/api/v1/{kind}?limit=2&cursor={first['next_page_token']}")
        assert [one["user_id"] for one in first[field] + second[field]] == ["adam", "mia", "zoe"]
        assert second["next_page_token"] == ""
        await alice.ask("DELETE", f"/api/v1/{kind}/mia")
        _, left = await alice.ask("GET", f"/api/v1/{kind}")
        assert [one["user_id"] for one in left[field]] == ["adam", "zoe"]
        _, of_bob = await bob.ask("GET", f"/api/v1/{kind}")
        assert of_bob[field] == []
        assert await refusal(alice, "PUT", f"/api/v1/{kind}/{alice.user}") == (400, "INVALID_REQUEST")
