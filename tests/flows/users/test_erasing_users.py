"""What is left of a user after its erasure."""

from __future__ import annotations

import uuid

import aiohttp

from tests.flows.clients import new_user
from tests.flows.messages.test_chat_seed_requests import Api, reason_of
from tests.running import Stack


async def test_an_erased_user_is_gone_with_its_names_and_blocks(shared_stack: Stack) -> None:
    name = uuid.uuid4().hex
    async with aiohttp.ClientSession() as http:
        alice, bob = Api(shared_stack, http, new_user("alice")), Api(shared_stack, http, new_user("bob"))
        await alice.ask("PATCH", "/api/v1/profile", {"username": name})
        await alice.ask("PUT", f"/api/v1/contacts/{bob.user}")
        await alice.ask("PUT", f"/api/v1/blocks/{bob.user}")
        message = {"recipient_id": alice.user, "content": "Hi!"}
        assert (await bob.ask("POST", "/api/v1/messages", message))[0] == 403
        erased = shared_stack.run("erase", "person", alice.user, "--yes")
        assert erased.stdout == f"{alice.user} erased: 3 records\n"
        status, answer = await bob.ask("GET", f"/api/v1/users/{alice.user}")
        assert (status, reason_of(answer)) == (404, "USER_NOT_FOUND")
        # The username is free, and the block has gone with its owner.
        assert (await bob.ask("PATCH", "/api/v1/profile", {"username": name}))[0] == 200
        assert (await bob.ask("POST", "/api/v1/messages", message))[0] == 202
        _, profile = await alice.ask("GET", "/api/v1/profile")
        assert (profile["user"]["user_id"], profile["user"]["username"]) == (alice.user, "")
        _, contacts = await alice.ask("GET", "/api/v1/contacts")
        assert contacts["contacts"] == []
