"""Admins of a group or channel delete messages of others, on every interface."""

from __future__ import annotations

from typing import Any

from tests.flows.messages.groups import Group, fixture_group, pushed
from tests.flows.messages.test_chat_seed_requests import Api, reason_of

__all__ = ["fixture_group"]


async def unread_of(user: Api, group: Group) -> int:
    _, found = await user.ask("GET", group.path)
    return int(found["conversation"]["unread_count"])


async def sent_by(user: Api, group: Group) -> dict[str, Any]:
    status, sent = await user.ask("POST", f"{group.path}/messages", {"content": "rude"})
    assert status == 202
    return dict(sent)


async def test_an_admin_deletes_a_message_of_another_and_members_see_by_whom(group: Group) -> None:
    socket = await group.socket(group.member)
    await socket.ask("subscribe", topics=[f"users/{group.member.user}"])
    unread = await unread_of(group.admin, group)
    sent = await sent_by(group.member, group)
    assert await unread_of(group.admin, group) == unread + 1
    path = f"{group.path}/messages/{sent['message_id']}"
    for _ in range(2):
        assert (await group.admin.ask("DELETE", path))[0] == 200
    push = await pushed(socket, "message_changed")
    change = push["change"]
    assert (change["type"], change["actor_id"]) == ("CHANGE_TYPE_MESSAGE_DELETED", group.admin.user)
    assert change["message"]["deleted_by"] == "DELETED_BY_ADMIN"
    assert "content" not in change["message"] or change["message"]["content"] == ""
    for user in (group.admin, group.member):
        _, page = await user.ask("GET", f"{group.path}/messages?limit=1")
        (message,) = page["messages"]
        assert (message["sender_id"], message["deleted_by"]) == (group.member.user, "DELETED_BY_ADMIN")
        assert (message["content"], bool(message["delete_time"])) == ("", True)
    assert await unread_of(group.admin, group) == unread


async def test_the_sender_of_a_deleted_message_is_shown_as_such(group: Group) -> None:
    sent = await sent_by(group.member, group)
    assert (await group.member.ask("DELETE", f"{group.path}/messages/{sent['message_id']}"))[0] == 200
    _, page = await group.admin.ask("GET", f"{group.path}/messages?limit=1")
    assert page["messages"][0]["deleted_by"] == "DELETED_BY_SENDER"


async def test_others_than_admins_delete_no_message_of_another(group: Group) -> None:
    path = f"{group.path}/messages/{group.message_id}"
    for user, status, reason in (
        (group.member, 403, "NOT_THE_SENDER"),
        (group.former, 404, "CONVERSATION_NOT_FOUND"),
        (group.stranger, 404, "CONVERSATION_NOT_FOUND"),
    ):
        found, answer = await user.ask("DELETE", path)
        assert (found, reason_of(answer)) == (status, reason)
    socket = await group.socket(group.member)
    answer = await socket.ask("delete_message", conversation_id=group.conversation_id, message_id=group.message_id)
    assert (answer["code"], answer["reason"]) == ("PERMISSION_DENIED", "NOT_THE_SENDER")


async def test_receipts_and_unread_messages_stay_exact(group: Group) -> None:
    first, *later = [await sent_by(group.member, group) for _ in range(4)]
    unread = await unread_of(group.admin, group)
    path = f"{group.path}/messages"
    assert (await group.admin.ask("DELETE", f"{path}/{later[0]['message_id']}"))[0] == 200
    assert await unread_of(group.admin, group) == unread - 1
    # The cursor of a reader may be at a deleted message.
    status, answer = await group.admin.ask("POST", f"{group.path}/read", {"message_id": later[0]["message_id"]})
    assert (status, answer["unread_count"]) == (200, 2)
    _, receipts = await group.member.ask("GET", f"{group.path}/receipts")
    assert receipts["receipts"][0]["read_seq"] == later[0]["message_seq"]
    # A message that was read already was not counted.
    assert (await group.admin.ask("DELETE", f"{path}/{first['message_id']}"))[0] == 200
    assert await unread_of(group.admin, group) == 2


async def test_an_admin_of_a_channel_deletes_what_another_admin_has_written(group: Group) -> None:
    assert (await group.admin.ask("POST", f"{group.path}/channel", {}))[0] == 200
    status, _ = await group.admin.ask("PUT", f"{group.path}/members/{group.member.user}/role", {"role": "ROLE_ADMIN"})
    assert status == 200
    socket = await group.socket(group.admin)
    await socket.ask("subscribe", topics=[group.topic])
    assert (await group.member.ask("DELETE", f"{group.path}/messages/{group.message_id}"))[0] == 200
    push = await pushed(socket, "message_changed")
    assert (push["topic"], push["change"]["message"]["deleted_by"]) == (group.topic, "DELETED_BY_ADMIN")
