"""What is left of a person in all services after its erasure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest

from plaudit.message.v1 import user_service_pb2 as pb
from plaudit.message.v1 import user_service_pb2_grpc as pb_grpc
from tests.flows.clients import new_user, raw_socket
from tests.flows.crowd import eventually
from tests.flows.messages.test_chat_seed_requests import reason_of
from tests.flows.people.persons import Traces, done
from tests.running import Stack


@pytest.fixture(name="traces")
async def fixture_traces(shared_stack: Stack) -> AsyncIterator[Traces]:
    async with aiohttp.ClientSession() as http:
        found = Traces(shared_stack, http)
        await found.leave_all()
        yield found


async def erase(stack: Stack, user: str) -> int:
    """Erases until it is done; returns how much."""
    metadata = (("authorization", f"Bearer {stack.service_token(scopes=('erase',))}"),)
    async with grpc.aio.insecure_channel(stack.grpc_address) as channel:
        stub: Any = pb_grpc.UserServiceStub(channel)
        while True:
            answer = await stub.ErasePerson(pb.ErasePersonRequest(user=user), metadata=metadata, timeout=20)
            if answer.done:
                return int(answer.erased)


async def test_nothing_of_an_erased_person_is_shown_to_others(shared_stack: Stack, traces: Traces) -> None:
    person, friend = traces.person, traces.friend
    before = {name: await traces.history(friend, name) for name in (traces.direct, traces.group, traces.channel)}
    async with raw_socket(shared_stack, friend.user) as socket:
        await socket.ask("subscribe", topics=[f"users/{friend.user}"])
        assert await erase(shared_stack, person.user) > 12
        for conversation_id in (traces.direct, traces.group, traces.left, traces.channel):
            answer = await done(friend, "GET", f"/api/v1/conversations/{conversation_id}/messages?page_size=200")
            own = [row for row in answer["messages"] if row["sender_id"] == person.user]
            assert [(row["content"], "delete_time" in row) for row in own] == [("", True)] * 3
            assert traces.secret not in str(answer)
            if conversation_id in before:
                assert [row["message_id"] for row in answer["messages"]] == [
                    row["message_id"] for row in before[conversation_id]
                ]
            listed = await done(friend, "GET", f"/api/v1/conversations/{conversation_id}")
            assert int(listed["conversation"]["unread_count"]) == 0
            changes = await done(friend, "GET", f"/api/v1/conversations/{conversation_id}/changes?page_size=200")
            seqs = [change["message_seq"] for change in changes["changes"]]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))

        # The others are told of every tombstone.
        async def told() -> bool:
            return [push["type"] for push in socket.pushes].count("message_changed") == 9

        await eventually(told)
    for conversation_id in (traces.group, traces.channel):
        members = await done(friend, "GET", f"/api/v1/conversations/{conversation_id}/members")
        assert sorted(row["user_id"] for row in members["members"]) == sorted([friend.user, traces.other.user])
        assert [row["role"] for row in members["members"]].count("ROLE_ADMIN") == 1
    receipts = await done(friend, "GET", f"/api/v1/conversations/{traces.direct}/receipts")
    assert [(row["delivered_seq"], row["read_seq"]) for row in receipts["receipts"]] in ([], [(0, 0)])
    status, answer = await friend.ask("GET", f"/api/v1/users/{person.user}")
    assert (status, reason_of(answer)) == (404, "USER_NOT_FOUND")
    reactions = await done(friend, "GET", f"/api/v1/{traces.target}/reactors")
    assert reactions["reactors"] == []


async def test_an_erased_person_that_comes_back_has_nothing(shared_stack: Stack, traces: Traces) -> None:
    person, friend = traces.person, traces.friend
    await erase(shared_stack, person.user)
    for conversation_id in (traces.group, traces.left, traces.channel):
        status, answer = await person.ask("GET", f"/api/v1/conversations/{conversation_id}/messages")
        assert (status, reason_of(answer)) == (404, "CONVERSATION_NOT_FOUND")
    assert await traces.history(person, traces.direct) == []
    profile = await done(person, "GET", "/api/v1/profile")
    assert (profile["user"]["username"], profile["user"]["display_name"]) == ("", "")
    assert (await done(person, "GET", "/api/v1/contacts"))["contacts"] == []
    # The two can write to each other as before.
    await traces.send(friend, traces.direct, "Who is it?")
    await traces.send(person, traces.direct, "A new one.")
    assert [row["content"] for row in await traces.history(person, traces.direct)] == ["Who is it?", "A new one."]
    # Another erasure erases what came since.
    assert await erase(shared_stack, person.user) > 0
    assert "A new one." not in str(await traces.history(friend, traces.direct))


async def test_the_sessions_of_an_erased_person_end_and_are_not_resumed(shared_stack: Stack, traces: Traces) -> None:
    async with traces.person.socket() as socket, traces.person.socket() as other, traces.friend.socket() as kept:
        await erase(shared_stack, traces.person.user)
        for each in (socket, other):
            while not each.closed:
                await each.receive()
            assert each.close_code == 4505
        assert not kept.closed


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
