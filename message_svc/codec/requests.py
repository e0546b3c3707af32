"""Requests as values of the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kit.auth.caller import Caller
from message_svc.actions import SetMembership
from message_svc.domain import Body, Role
from message_svc.service.deliveries import Ack
from message_svc.service.messages import Messages
from message_svc.service.preparation import Sending
from plaudit.message.v1 import conversation_members_pb2 as members_pb
from plaudit.message.v1 import delivery_service_pb2 as delivery_pb
from plaudit.message.v1 import message_changes_pb2 as pb


def sending_from_pb(request: pb.SendMessageRequest, who: Caller, messages: Messages) -> Sending:
    """A valid request to send a message; raises Problem."""
    body = _body(request.content, request.content_type, request.mentions, request.metadata)
    expect_epoch = request.expect_epoch if request.HasField("expect_epoch") else -1
    return messages.sending(
        who,
        request.conversation_id,
        request.recipient_id,
        body,
        request.reply_to,
        request.client_msg_id,
        expect_epoch,
        request.forward_of,
        clear_draft=request.clear_draft,
    )


def edited_body_from_pb(request: pb.EditMessageRequest) -> Body:
    """The body after an edit."""
    return _body(request.content, "", request.mentions, request.metadata)


def membership_from_pb(request: members_pb.UpdateMembershipRequest) -> SetMembership:
    """What the caller changes of its membership; an absent field stays as it is."""
    return SetMembership(
        request.mute_until_ms if request.HasField("mute_until_ms") else None,
        request.pinned if request.HasField("pinned") else None,
        request.archived if request.HasField("archived") else None,
        request.marked_unread if request.HasField("marked_unread") else None,
    )


def role_from_pb(role: int) -> Role:
    """The role; the contract allows those of `Role` only."""
    return Role(role)


def acks_from_pb(request: delivery_pb.RecordDeliveredRequest) -> Iterator[Ack]:
    """What each device has acknowledged in each conversation."""
    for row in request.devices:
        for conversation_id, seq in zip(row.conversation_ids, row.message_seqs, strict=False):
            yield Ack((row.tenant, conversation_id), row.user_id, row.device_id, seq)


def _body(content: str, content_type: str, mentions: Sequence[str], metadata: Mapping[str, str]) -> Body:
    # In a set order, so that the same metadata is the same body.
    return Body(content, content_type, 0, tuple(mentions), tuple(sorted(metadata.items())) if metadata else ())
