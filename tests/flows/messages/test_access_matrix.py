"""Every rpc of users whose request names a conversation, a message or a target, as strangers, former members, members,
admins, other tenants and services. An rpc that is added to the contracts fails until it has an expectation here."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from plaudit.reaction.v1 import reaction_pb2
from tests.flows.messages.groups import Group, fixture_group
from tests.running import Stack
from tests.wire.auth.callers import METHODS, USER, access_of, path_of

__all__ = ["fixture_group"]

NAMING = frozenset({"conversation_id", "message_id", "target", "targets", "target_id", "changes"})
# What a former member may still call, for what was written until it left. Leaving again changes nothing.
OF_FORMER_MEMBERS = frozenset(
    {
        "GetConversation", "ListMessages", "ListChanges", "LeaveConversation", "ReportMessage",
        "GetReactionCounts", "GetCounts", "WatchCounts", "ListReactors", "BatchGetOwnReactions",
    }
)  # fmt: skip
OF_MEMBERS = frozenset(
    {
        "PinMessage", "UnpinMessage", "ListPinnedMessages",
        "ListMembers", "UpdateConversation", "AddMembers", "RemoveMember", "SetMemberRole", "ConvertToChannel",
        "SetRetention", "SetDraft",
        "UpdateMembership", "SendMessage", "EditMessage", "DeleteMessage", "MarkDelivered", "MarkRead", "ListReceipts",
        "ToggleReaction", "SetReaction", "ClearReactions", "BatchChangeReactions", "StreamReactions",
    }
)  # fmt: skip
# A group is not found by those who want to join a channel.
OF_CHANNELS = frozenset({"JoinChannel"})
CHECKED = [method for method in METHODS if access_of(method) == USER and NAMING & set(method.input_type.fields_by_name)]


def test_every_rpc_that_names_a_conversation_or_a_message_has_an_expectation() -> None:
    assert {method.name for method in CHECKED} == OF_FORMER_MEMBERS | OF_MEMBERS | OF_CHANNELS


def request_of(method: MethodDescriptor, group: Group) -> Any:
    """A valid request about the group or its message."""
    request: Any = message_factory.GetMessageClass(method.input_type)()
    values: dict[str, Any] = {
        "conversation_id": group.conversation_id, "message_id": group.message_id, "target": group.target,
        "targets": [group.target], "emoji": "👍", "content": "text", "user_id": group.member.user,
        "user_ids": [group.member.user], "role": 1, "name": "Team", "reason": 1,
        "changes": [reaction_pb2.Change(target=group.target, emoji="👍", action=reaction_pb2.ACTION_ADD)],
    }  # fmt: skip
    if method.name == "ListReactors":
        del values["emoji"]
    for field in method.input_type.fields:
        if field.name == "reason" and field.type == field.TYPE_STRING:
            request.reason = "rude"
        elif field.name in values:
            if field.is_repeated:
                getattr(request, field.name).extend(values[field.name])
            else:
                setattr(request, field.name, values[field.name])
    return request


async def is_refused(channel: Any, method: MethodDescriptor, group: Group, token: str, acting_for: str = "") -> bool:
    """Whether the answer is that there is nothing of that name."""
    metadata = (("authorization", f"Bearer {token}"), *((("plaudit-user", acting_for),) if acting_for else ()))
    request = request_of(method, group).SerializeToString()
    try:
        if method.client_streaming:
            call = channel.stream_stream(path_of(method))(metadata=metadata)
            await call.write(request)
            answer = await call.read()
            call.cancel()
        elif method.server_streaming:
            call = channel.unary_stream(path_of(method))(request, metadata=metadata)
            answer = await call.read()
            call.cancel()
        else:
            answer = await channel.unary_unary(path_of(method))(request, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.NOT_FOUND
    if method.name in ("GetCounts", "BatchGetOwnReactions"):
        return group.target.encode() not in answer
    return b"MESSAGE_NOT_FOUND" in answer


@pytest.mark.parametrize("method", CHECKED, ids=path_of)
async def test_a_conversation_is_there_for_its_members_alone(
    group: Group, shared_stack: Stack, method: MethodDescriptor
) -> None:
    async with grpc.aio.insecure_channel(shared_stack.grpc_address) as channel:
        token, service = shared_stack.token, shared_stack.service_token()
        assert await is_refused(channel, method, group, token(group.stranger.user))
        assert await is_refused(channel, method, group, token(group.member.user, "other"))
        assert await is_refused(channel, method, group, service, group.stranger.user)
        is_open = method.name in OF_FORMER_MEMBERS
        assert await is_refused(channel, method, group, token(group.former.user)) is not is_open
        # Last, because some of them end the membership.
        is_channel = method.name in OF_CHANNELS
        assert await is_refused(channel, method, group, service, group.member.user) is is_channel
        assert await is_refused(channel, method, group, token(group.admin.user)) is is_channel
