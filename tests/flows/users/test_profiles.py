"""Users and their profiles, as clients read and change them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.flows.clients import new_user
from tests.flows.messages.test_chat_seed_requests import Api, reason_of
from tests.naughty import NAUGHTY
from tests.running import Stack


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


def unused_phone() -> str:
    return f"+49{uuid.uuid4().int % 10**12:012}"


async def changed(user: Api, **fields: str) -> Any:
    """The user's profile after a change."""
    status, answer = await user.ask("PATCH", "/api/v1/profile", fields)
    assert status == 200, answer
    return answer["user"]


async def test_a_user_exists_from_its_first_call_and_not_by_its_name(alice: Api, bob: Api) -> None:
    conversation_id = await alice.direct(bob.user)
    status, answer = await alice.ask("GET", f"/api/v1/users/{bob.user}")
    assert (status, reason_of(answer)) == (404, "USER_NOT_FOUND")
    _, found = await bob.ask("GET", f"/api/v1/users/{alice.user}")
    assert found["user"]["user_id"] == alice.user
    assert found["user"]["create_time"]
    await bob.ask("POST", f"/api/v1/conversations/{conversation_id}/messages", {"content": "Hi!"})
    status, _ = await alice.ask("GET", f"/api/v1/users/{bob.user}")
    assert status == 200


async def test_the_first_message_makes_its_sender_exist(alice: Api, bob: Api) -> None:
    await alice.ask("POST", "/api/v1/messages", {"recipient_id": bob.user, "content": "Hi!"})
    status, _ = await bob.ask("GET", f"/api/v1/users/{alice.user}")
    assert status == 200


async def test_only_the_owner_sees_phone_language_and_time_zone(alice: Api, bob: Api) -> None:
    phone = unused_phone()
    fields = {
        "display_name": "Alice",
        "phone": phone,
        "avatar_url": "https://example.com/a.png",
        "locale": "de-AT",
        "time_zone": "Europe/Vienna",
    }
    own = await changed(alice, **fields)
    assert {name: own[name] for name in fields} == fields
    for path in ("profile", f"users/{alice.user}"):
        _, answer = await alice.ask("GET", f"/api/v1/{path}")
        assert answer["user"] == own
    _, seen = await bob.ask("GET", f"/api/v1/users/{alice.user}")
    assert seen["user"] == {**own, "phone": "", "locale": "", "time_zone": ""}
    _, batch = await bob.ask("GET", f"/api/v1/users:batch?user_ids={alice.user}")
    assert batch["users"] == [seen["user"]]
    _, looked_up = await bob.ask("POST", "/api/v1/users:lookUpPhone", {"phone": phone})
    assert looked_up["user"] == seen["user"]
    assert phone not in str([seen, batch, looked_up])


async def test_a_batch_omits_users_who_do_not_exist(alice: Api, bob: Api) -> None:
    await alice.ask("GET", "/api/v1/profile")
    await bob.ask("GET", "/api/v1/profile")
    asked = [bob.user, "unknown", alice.user, bob.user]
    _, found = await alice.ask("POST", "/api/v1/users:batch", {"user_ids": asked})
    assert [user["user_id"] for user in found["users"]] == [bob.user, alice.user]
    status, refused = await alice.ask("POST", "/api/v1/users:batch", {"user_ids": ["u"] * 201})
    assert (status, reason_of(refused)) == (400, "INVALID_REQUEST")


async def test_one_of_a_hundred_racers_gets_a_username(shared_stack: Stack, http: aiohttp.ClientSession) -> None:
    racers = [Api(shared_stack, http, new_user("racer")) for _ in range(100)]
    name = uuid.uuid4().hex
    answers = await asyncio.gather(*(one.ask("PATCH", "/api/v1/profile", {"username": name}) for one in racers))
    assert sorted(status for status, _ in answers) == [200] + [409] * 99
    assert {reason_of(answer) for status, answer in answers if status == 409} == {"USERNAME_TAKEN"}
    _, found = await racers[0].ask("GET", f"/api/v1/users?username_prefix={name}")
    assert len(found["users"]) == 1


async def test_usernames_that_differ_only_in_case_and_form_are_one(alice: Api, bob: Api) -> None:
    name = "Straße" + uuid.uuid4().hex
    assert (await changed(alice, username=name))["username"] == name.lower().replace("ß", "ss")
    for same in (name.upper(), name.replace("S", "Ｓ"), name.replace("ß", "ẞ")):
        status, refused = await bob.ask("PATCH", "/api/v1/profile", {"username": same})
        assert (status, reason_of(refused)) == (409, "USERNAME_TAKEN"), same
    _, found = await bob.ask("GET", f"/api/v1/users?username_prefix={name.upper()}")
    assert [user["user_id"] for user in found["users"]] == [alice.user]


async def test_a_search_continues_page_by_page(shared_stack: Stack, http: aiohttp.ClientSession) -> None:
    prefix = uuid.uuid4().hex
    users = [Api(shared_stack, http, new_user("found")) for _ in range(5)]
    for number, user in enumerate(users):
        await changed(user, username=f"{prefix}{number}")
    seen: list[str] = []
    cursor = ""
    while True:
        path = f"/api/v1/users?username_prefix={prefix}&limit=2&cursor={cursor}"
        _, page = await users[0].ask("GET", path)
        seen += [user["user_id"] for user in page["users"]]
        cursor = page["next_page_token"]
        if not cursor:
            break
        status, refused = await users[1].ask("GET", f"/api/v1/users?username_prefix={prefix}&cursor={cursor}")
        assert (status, reason_of(refused)) == (400, "INVALID_CURSOR")  # it is another user's
    assert seen == [user.user for user in users]


async def test_a_number_that_may_not_be_looked_up_is_answered_as_an_unknown_one(alice: Api, bob: Api) -> None:
    phone = unused_phone()
    unknown = await bob.ask("POST", "/api/v1/users:lookUpPhone", {"phone": phone})
    assert (unknown[0], reason_of(unknown[1])) == (404, "USER_NOT_FOUND")
    await changed(alice, phone=phone)
    await alice.ask("PATCH", "/api/v1/preferences", {"phone_lookup": False})
    assert await bob.ask("POST", "/api/v1/users:lookUpPhone", {"phone": phone}) == unknown
    status, refused = await bob.ask("PATCH", "/api/v1/profile", {"phone": phone})
    assert (status, reason_of(refused)) == (409, "PHONE_TAKEN")


@pytest.mark.parametrize(
    "phone", ["0301234", "+0123456", "+1", "+49 30 1234", "+4930123456789012", "+49３０１", "tel:+49301"]
)
async def test_a_number_that_is_not_of_e164_is_refused(alice: Api, phone: str) -> None:
    status, refused = await alice.ask("PATCH", "/api/v1/profile", {"phone": phone})
    assert (status, reason_of(refused)) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "url", ["http://example.com/a", "https://", "javascript:alert(1)", "https://a b", "https://" + "a" * 500]
)
async def test_a_picture_is_an_https_url(alice: Api, url: str) -> None:
    status, refused = await alice.ask("PATCH", "/api/v1/profile", {"avatar_url": url})
    assert (status, reason_of(refused)) == (400, "INVALID_REQUEST")


async def test_any_text_is_stored_as_it_was_sent_or_refused(alice: Api, bob: Api) -> None:
    outcomes = {}
    for text in NAUGHTY:
        status, answer = await alice.ask("PATCH", "/api/v1/profile", {"display_name": text})
        outcomes[text] = status
        if status == 200:
            _, seen = await bob.ask("GET", f"/api/v1/users/{alice.user}")
            assert seen["user"]["display_name"] == answer["user"]["display_name"] == text
        else:
            assert (status, reason_of(answer)) == (400, "INVALID_REQUEST"), text
        for field in ("username", "phone", "locale", "time_zone", "avatar_url"):
            status, answer = await alice.ask("PATCH", "/api/v1/profile", {field: text})
            assert status in (200, 400), (field, text)
        status, answer = await alice.ask("GET", "/api/v1/users", None)
        assert status == 400  # without a prefix
    assert {text for text, status in outcomes.items() if status == 400} == {
        text for text in NAUGHTY if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text)
    }
