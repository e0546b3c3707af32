"""What is left of a user after its erasure."""

from __future__ import annotations

import uuid
from typing import Any

import aiohttp
import grpc
import pytest

from plaudit.message.v1 import user_service_pb2 as pb
from plaudit.message.v1 import user_service_pb2_grpc as pb_grpc
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
        assert erased.stdout == f"the profile and 0 reactions of {alice.user} erased\n"
        status, answer = await bob.ask("GET", f"/api/v1/users/{alice.user}")
        assert (status, reason_of(answer)) == (404, "USER_NOT_FOUND")
        # The username is free, and the block has gone with its owner.
        assert (await bob.ask("PATCH", "/api/v1/profile", {"username": name}))[0] == 200
        assert (await bob.ask("POST", "/api/v1/messages", message))[0] == 202
        _, profile = await alice.ask("GET", "/api/v1/profile")
        assert (profile["user"]["user_id"], profile["user"]["username"]) == (alice.user, "")
        _, contacts = await alice.ask("GET", "/api/v1/contacts")
        assert contacts["contacts"] == []


@pytest.mark.parametrize(
    ("scopes", "tenant", "expected"),
    [
        (("erase",), "", grpc.StatusCode.OK),
        (("erase",), "other", grpc.StatusCode.PERMISSION_DENIED),
        (("erase", "tenants"), "other", grpc.StatusCode.OK),
        (("act-as",), "", grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_only_a_service_with_the_scope_erases_and_in_its_own_tenant(
    shared_stack: Stack, scopes: tuple[str, ...], tenant: str, expected: grpc.StatusCode
) -> None:
    metadata = (("authorization", f"Bearer {shared_stack.service_token(scopes=scopes)}"),)
    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        stub: Any = pb_grpc.UserServiceStub(channel)
        call = stub.ErasePerson(pb.ErasePersonRequest(tenant=tenant, user=new_user("alice")), metadata=metadata)
        assert await call.code() is expected
