"""Users report messages; moderators remove messages and members, close conversations, and read what was done."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc
import pytest

from plaudit.message.v1 import moderation_service_pb2 as pb
from plaudit.message.v1 import moderation_service_pb2_grpc
from tests.flows.clients import RawSocket, new_user
from tests.flows.messages.groups import Group, fixture_group, pushed, until
from tests.flows.messages.test_chat_seed_requests import Api, fixture_http, reason_of
from tests.running import Stack
from tests.wire.registry.registering import status_in

__all__ = ["fixture_group", "fixture_http"]
MODERATION = "/api/v1/moderation"


@pytest.fixture(name="moderator")
async def fixture_moderator(shared_stack: Stack) -> Any:
    async with aiohttp.ClientSession() as http:
        yield Api(shared_stack, http, new_user("mod"), "moderate")


async def report(user: Api, group: Group, message_id: str, **fields: str) -> tuple[int, Any]:
    body = {"reason": "REPORT_REASON_HARASSMENT", **fields}
    return await user.ask("POST", f"{group.path}/messages/{message_id}/report", body)


async def reports_about(moderator: Api, group: Group, query: str = "") -> list[Any]:
    _, page = await moderator.ask("GET", f"{MODERATION}/reports?limit=100{query}")
    return [each for each in page["reports"] if each["conversation_id"] == group.conversation_id]


async def audits_about(moderator: Api, group: Group) -> list[Any]:
    _, page = await moderator.ask("GET", f"{MODERATION}/audit?limit=100")
    return [each for each in page["records"] if each["conversation_id"] == group.conversation_id]


async def subscribed(group: Group, user: Api, *topics: str) -> RawSocket:
    socket = await group.socket(user)
    assert (await socket.ask("subscribe", topics=[f"users/{user.user}", *topics]))["type"] == "subscribed"
    return socket


async def test_deleting_a_reported_message_does_not_delete_the_report(group: Group, moderator: Api) -> None:
    status, made = await report(group.member, group, group.message_id, comment="again")
    assert status == 200
    await group.admin.ask("DELETE", f"{group.path}/messages/{group.message_id}")
    assert await report(group.member, group, group.message_id, comment="more") == (200, made)
    (found,) = await reports_about(moderator, group, "&status=REPORT_STATUS_OPEN")
    assert found["report_id"] == made["report_id"]
    assert (found["message_id"], found["sender_id"]) == (group.message_id, group.admin.user)
    assert (found["reporter_id"], found["content"], found["comment"]) == (group.member.user, "first", "again")
    assert (found["reason"], found["status"]) == ("REPORT_REASON_HARASSMENT", "REPORT_STATUS_OPEN")
    assert "resolve_time" not in found or not found["resolve_time"]


async def test_reports_are_of_messages_that_the_user_sees(group: Group, moderator: Api) -> None:
    latest = await group.send("latest")
    assert (await report(group.former, group, group.message_id))[0] == 200
    for user, message, reason in (
        (group.former, latest, "MESSAGE_NOT_FOUND"),
        (group.stranger, latest, "CONVERSATION_NOT_FOUND"),
        (moderator, latest, "CONVERSATION_NOT_FOUND"),
    ):
        status, answer = await report(user, group, message)
        assert (status, reason_of(answer)) == (404, reason)
    await group.admin.ask("DELETE", f"{group.path}/messages/{latest}")
    status, answer = await report(group.member, group, latest)
    assert (status, reason_of(answer)) == (400, "MESSAGE_DELETED")
    status, answer = await report(group.member, group, group.message_id, comment="x" * 1_001)
    assert (status, reason_of(answer)) == (400, "INVALID_REQUEST")


async def test_a_user_may_not_report_without_end(tmp_path: Any) -> None:
    with Stack(tmp_path / "data", MESSAGE__REPORTS_PER_HOUR="2") as stack:
        async with aiohttp.ClientSession() as http:
            alice, bob = Api(stack, http, "alice"), Api(stack, http, "bob")
            path = f"/api/v1/conversations/{await alice.direct('bob')}/messages"
            answers = []
            for number in range(3):
                _, sent = await bob.ask("POST", path, {"content": f"{number}"})
                body = {"reason": "REPORT_REASON_SPAM"}
                answers.append(await alice.ask("POST", f"{path}/{sent['message_id']}/report", body))
    assert [status for status, _ in answers] == [200, 200, 429]
    assert reason_of(answers[2][1]) == "RATE_LIMITED"


async def test_a_report_is_resolved_and_the_decision_has_a_record(group: Group, moderator: Api) -> None:
    _, made = await report(group.member, group, group.message_id)
    path = f"{MODERATION}/reports/{made['report_id']}/resolution"
    body = {"status": "REPORT_STATUS_DISMISSED", "note": "no rule", "op_id": "op"}
    for _ in range(2):
        status, answer = await moderator.ask("POST", path, body)
        assert status == 200
        assert (answer["report"]["status"], answer["report"]["resolver_id"]) == (body["status"], moderator.user)
    assert await reports_about(moderator, group, "&status=REPORT_STATUS_OPEN") == []
    assert len(await reports_about(moderator, group, "&status=REPORT_STATUS_DISMISSED")) == 1
    record, before = await audits_about(moderator, group)
    assert before["actor_id"] == group.admin.user
    assert (record["action"], record["capacity"]) == ("AUDIT_ACTION_REPORT_RESOLVED", "AUDIT_CAPACITY_MODERATOR")
    assert (record["report_id"], record["report_status"], record["reason"]) == (
        made["report_id"], "REPORT_STATUS_DISMISSED", "no rule",
    )  # fmt: skip
    assert (record["user_id"], record["message_id"]) == (group.admin.user, group.message_id)


async def test_a_moderator_removes_a_message_and_members_do_not_see_who_it_was(group: Group, moderator: Api) -> None:
    socket = await subscribed(group, group.member)
    path = f"{MODERATION}/conversations/{group.conversation_id}/messages/{group.message_id}?reason=spam&op_id=1"
    first = await moderator.ask("DELETE", path)
    assert first[0] == 200
    assert await moderator.ask("DELETE", path) == first
    push = await pushed(socket, "message_changed")
    assert push["change"].get("actor_id", "") == ""
    assert push["change"]["message"]["deleted_by"] == "DELETED_BY_MODERATOR"
    _, page = await group.member.ask("GET", f"{group.path}/messages")
    assert [each["deleted_by"] for each in page["messages"]] == ["DELETED_BY_MODERATOR"]
    assert moderator.user not in str(push) + str(page)
    record, _ = await audits_about(moderator, group)
    assert (record["actor_id"], record["user_id"], record["reason"]) == (moderator.user, group.admin.user, "spam")


async def test_a_moderator_excludes_a_member_who_gets_nothing_after_a_second(group: Group, moderator: Api) -> None:
    socket = await subscribed(group, group.member, group.topic)
    path = f"{MODERATION}/conversations/{group.conversation_id}/members/{group.member.user}?reason=abuse"
    began = time.monotonic()
    assert (await moderator.ask("DELETE", path))[0] == 200
    await until(lambda: any(notice["type"] == "subscription_ended" for notice in socket.notices), 1.0)
    assert (await pushed(socket, "member_changed"))["change"]["type"] == "CHANGE_TYPE_MEMBER_REMOVED"
    assert time.monotonic() - began < 1.0
    status, _ = await group.member.ask("POST", f"{group.path}/messages", {"content": "still here?"})
    assert status == 404
    assert (await audits_about(moderator, group))[0]["action"] == "AUDIT_ACTION_MEMBER_REMOVED"


@pytest.mark.parametrize("is_channel", [False, True])
async def test_a_closed_conversation_is_gone_for_its_members_within_a_second(
    group: Group, moderator: Api, is_channel: bool
) -> None:
    if is_channel:
        assert (await group.admin.ask("POST", f"{group.path}/channel", {}))[0] == 200
    sockets = [await subscribed(group, user, group.topic) for user in (group.admin, group.member)]
    path = f"{MODERATION}/conversations/{group.conversation_id}?reason=raid"
    assert (await moderator.ask("DELETE", path))[0] == 200
    for socket in sockets:
        await until(lambda: any(notice["type"] == "subscription_ended" for notice in socket.notices), 1.0)  # noqa: B023
        push = await pushed(socket, "member_changed")
        assert push["change"]["type"] == "CHANGE_TYPE_CONVERSATION_CLOSED"
        assert push["topic"].startswith("users/")
        answer = await socket.ask("subscribe", topics=[group.topic])
        assert (answer["code"], answer["reason"]) == ("NOT_FOUND", "CONVERSATION_NOT_FOUND")
        answer = await socket.ask("send_message", conversation_id=group.conversation_id, content="x")
        assert (answer["code"], answer["reason"]) == ("FAILED_PRECONDITION", "CONVERSATION_CLOSED")
        answer = await socket.ask("set_reaction", target=group.target, emoji="👍", on=True)
        assert answer["code"] == "NOT_FOUND"
    for read in ("", "/messages", "/changes", "/members"):
        status, answer = await group.member.ask("GET", f"{group.path}{read}")
        assert (status, reason_of(answer)) == (404, "CONVERSATION_NOT_FOUND")
    _, page = await group.member.ask("GET", "/api/v1/conversations")
    assert page.get("conversations", []) == []
    assert (await audits_about(moderator, group))[0]["reason"] == "raid"


async def test_members_do_not_see_the_reason_of_an_admin(group: Group) -> None:
    seen, reason = await subscribed(group, group.member), "Rude: \u202e <b>\U0001f642"
    _, sent = await group.member.ask("POST", f"{group.path}/messages", {"content": "rude"})
    path = f"{group.path}/messages/{sent['message_id']}?reason="
    status, answer = await group.admin.ask("DELETE", f"{path}{'x' * 1001}")
    assert (status, reason_of(answer)) == (400, "INVALID_REQUEST")
    assert (await group.admin.ask("DELETE", path + quote(reason)))[0] == 200
    push = await pushed(seen, "message_changed")
    _, page = await group.member.ask("GET", f"{group.path}/changes")
    assert push["change"]["message"]["deleted_by"] == "DELETED_BY_ADMIN"
    assert reason not in json.dumps([push, page], ensure_ascii=False)


async def test_acts_of_admins_are_in_the_list_page_by_page(
    group: Group, moderator: Api, shared_stack: Stack, http: aiohttp.ClientSession
) -> None:
    for user in (group.stranger, group.member):
        await group.admin.ask("POST", f"{group.path}/members", {"user_ids": [user.user]})
        await group.remove(user)
    found: list[Any] = []
    token = ""
    async with asyncio.timeout(20):
        while len(found) < 2:
            _, page = await moderator.ask("GET", f"{MODERATION}/audit?limit=1&cursor={token}")
            found += [each for each in page["records"] if each["conversation_id"] == group.conversation_id]
            token = page["next_page_token"]
    assert [(each["actor_id"], each["user_id"]) for each in found] == [
        (group.admin.user, group.member.user),
        (group.admin.user, group.stranger.user),
    ]
    assert found[0]["capacity"] == "AUDIT_CAPACITY_ADMIN"
    other = Api(shared_stack, http, new_user("mod"), "moderate")
    status, answer = await other.ask("GET", f"{MODERATION}/audit?limit=1&cursor={token}")
    assert (status, reason_of(answer)) == (400, "INVALID_CURSOR")


async def test_a_service_with_the_scope_acts_for_a_moderator_and_tenants_are_apart(
    group: Group, shared_stack: Stack
) -> None:
    await report(group.member, group, group.message_id)
    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        stub: Any = moderation_service_pb2_grpc.ModerationServiceStub(channel)

        async def ask(token: str, user: str = "") -> Any:
            metadata = [("authorization", f"Bearer {token}")]
            if user:
                metadata.append(("plaudit-user", user))
            try:
                return await stub.ListReports(pb.ListReportsRequest(), metadata=metadata, timeout=10)
            except grpc.aio.AioRpcError as error:
                return status_in(error).reason

        both = shared_stack.service_token(scopes=("act-as", "moderate"))
        assert group.conversation_id in {each.conversation_id for each in (await ask(both, "mod")).reports}
        assert await ask(both) == "INVALID_REQUEST"
        assert await ask(shared_stack.service_token(), "mod") == "ACCESS_DENIED"
        assert await ask(shared_stack.token("mod")) == "ACCESS_DENIED"
        other = await ask(shared_stack.token("mod", "other", "moderate"))
        assert list(other.reports) == []


async def test_a_renewed_token_brings_the_scope_and_takes_it_away(group: Group, shared_stack: Stack) -> None:
    socket = await group.socket(group.member)
    user = group.member.user
    assert (await socket.ask("list_reports"))["reason"] == "ACCESS_DENIED"
    await socket.ask("renew_token", token=shared_stack.token(user, "default", "moderate"))
    assert (await socket.ask("list_reports"))["type"] == "ack"
    await socket.ask("renew_token", token=shared_stack.token(user))
    assert (await socket.ask("list_reports"))["reason"] == "ACCESS_DENIED"
