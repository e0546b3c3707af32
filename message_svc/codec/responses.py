"""Values of the service as responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kit.message_ids import message_id
from message_svc.codec.times import timestamp
from message_svc.domain import Head, Item, ItemType, Member
from message_svc.member_views import is_archived
from message_svc.ports import StoredItem, Summary
from message_svc.service.history import ChangePage, MessagePage
from message_svc.service.messages import Sent
from message_svc.service.pins import PinnedMessage
from plaudit.message.v1 import change_pb2, conversation_pb2, message_pb2, receipt_pb2
from plaudit.message.v1 import conversation_members_pb2 as members_pb
from plaudit.message.v1 import conversation_service_pb2 as conversations_pb
from plaudit.message.v1 import message_changes_pb2 as message_changes_pb
from plaudit.message.v1 import message_pins_pb2 as pins_pb
from plaudit.message.v1 import message_receipts_pb2 as receipts_pb
from plaudit.message.v1 import message_service_pb2 as messages_pb

_PREVIEW = 200
_OF_MESSAGES = (ItemType.MESSAGE, ItemType.EDIT, ItemType.DELETE, ItemType.PINNED, ItemType.UNPINNED)


def conversation_to_pb(summary: Summary) -> conversation_pb2.Conversation:
    """A conversation, as one of its members sees it."""
    (_, (_, conversation_id), head, member), unread, last, peer, draft = summary
    found = conversation_pb2.Conversation(
        conversation_id=conversation_id,
        type=head.kind,  # type: ignore[arg-type]  # the same numbers
        name=head.name,
        avatar_url=head.avatar_url,
        creator_id=head.creator,
        create_time=timestamp(head.create_ms),
        update_time=timestamp(head.update_ms),
        last_message_seq=head.last_seq,
        member_count=head.members,
        members_epoch=head.members_epoch,
        epoch=head.epoch,
        home_region=head.home_region,
        unread_count=unread,
        peer_id=peer,
        membership=membership_to_pb(head, member),
        retention_seconds=head.retention_seconds,
        visible_from_seq=head.visible_from,
        draft=draft,
    )
    if last is not None:
        found.last_message.CopyFrom(message_to_pb(conversation_id, last))
        found.last_message.content = found.last_message.content[:_PREVIEW]
    return found


def membership_to_pb(head: Head, member: Member) -> conversation_pb2.Membership:
    """What the conversation is for the member."""
    return conversation_pb2.Membership(
        role=member.role,  # type: ignore[arg-type]
        read_seq=member.read_seq,
        mute_until_ms=member.mute_until_ms,
        pinned=member.pinned,
        archived=is_archived(head, member),
        marked_unread=member.marked_unread,
    )


def conversations_to_pb(
    summaries: Sequence[Summary], next_page_token: str
) -> conversations_pb.ListConversationsResponse:
    """A page of conversations."""
    return conversations_pb.ListConversationsResponse(
        conversations=map(conversation_to_pb, summaries), next_page_token=next_page_token
    )


def members_to_pb(
    members: Sequence[Member], next_page_token: str, members_epoch: int
) -> members_pb.ListMembersResponse:
    """A page of members."""
    rows = [
        conversation_pb2.Member(user_id=member.user, role=member.role, joined_seq=member.joined_seq)  # type: ignore[arg-type]
        for member in members
    ]
    return members_pb.ListMembersResponse(members=rows, members_epoch=members_epoch, next_page_token=next_page_token)


def member_ids_to_pb(members_epoch: int, members: Sequence[Member]) -> members_pb.GetMemberIdsResponse:
    """All members and former ones."""
    return members_pb.GetMemberIdsResponse(
        user_ids=[member.user for member in members],
        joined_seqs=[member.joined_seq for member in members],
        left_seqs=[member.spans[-1].last for member in members],
        members_epoch=members_epoch,
    )


def sent_to_pb(sent: Sent) -> message_changes_pb.SendMessageResponse:
    """The answer to a message that was sent."""
    conversation_id, client_msg_id, outcome = sent
    return message_changes_pb.SendMessageResponse(
        message_id=message_id(conversation_id, outcome.seq),
        status="sent",
        timestamp=outcome.time_ms,
        conversation_id=conversation_id,
        client_msg_id=client_msg_id,
        message_seq=outcome.seq,
        ordinal=outcome.ordinal,
    )


def message_fields(conversation_id: str, item: Item) -> dict[str, Any]:
    """What `Message` and `NewMessage` have in common."""
    body = item.body
    assert body is not None
    return {
        "message_id": message_id(conversation_id, item.seq),
        "conversation_id": conversation_id,
        "sender_id": item.actor,
        "content": body.content,
        "content_type": body.content_type,
        "timestamp": item.time_ms,
        "message_seq": item.seq,
        "ordinal": item.ordinal,
        "client_msg_id": item.client_msg_id,
        "reply_to": message_id(conversation_id, body.reply_to) if body.reply_to else "",
        "mentions": body.mentions,
        "metadata": dict(body.metadata),
        "origin_region": item.origin_region,
        "forward_count": body.forwards,
    }


def message_to_pb(conversation_id: str, row: StoredItem) -> message_pb2.Message:
    """A message, as it is now."""
    item, edit_ms, delete_ms, deleted_by = row
    found = message_pb2.Message(**message_fields(conversation_id, item))
    found.deleted_by = deleted_by  # type: ignore[assignment]  # the same numbers
    if edit_ms:
        found.edit_time.CopyFrom(timestamp(edit_ms))
    if delete_ms:
        found.delete_time.CopyFrom(timestamp(delete_ms))
    return found


def messages_to_pb(conversation_id: str, page: MessagePage) -> messages_pb.ListMessagesResponse:
    """A page of messages."""
    return messages_pb.ListMessagesResponse(
        messages=[message_to_pb(conversation_id, row) for row in page.messages],
        older_page_token=page.older_token,
        newer_page_token=page.newer_token,
    )


def pins_to_pb(conversation_id: str, pins: Sequence[PinnedMessage]) -> pins_pb.ListPinnedMessagesResponse:
    """The pinned messages."""
    return pins_pb.ListPinnedMessagesResponse(
        pinned_messages=[
            pins_pb.PinnedMessage(
                message=message_to_pb(conversation_id, each.message),
                pinned_by=each.pin.item.actor,
                pin_time=timestamp(each.pin.item.time_ms),
            )
            for each in pins
        ]
    )


def changes_to_pb(conversation_id: str, page: ChangePage) -> messages_pb.ListChangesResponse:
    """A page of changes."""
    return messages_pb.ListChangesResponse(
        changes=[_change_to_pb(conversation_id, row, page) for row in page.items],
        last_message_seq=page.last_seq,
        visible_from_seq=page.visible_from,
    )


def receipts_to_pb(
    conversation_id: str, members: Sequence[Member], next_page_token: str
) -> receipts_pb.ListReceiptsResponse:
    """A page of receipts."""
    return receipts_pb.ListReceiptsResponse(
        receipts=[
            receipt_pb2.ReceiptCursor(
                user_id=member.user,
                delivered_message_id=message_id(conversation_id, member.delivered_seq) if member.delivered_seq else "",
                read_message_id=message_id(conversation_id, member.shown_read_seq) if member.shown_read_seq else "",
                delivered_seq=member.delivered_seq,
                read_seq=member.shown_read_seq,
            )
            for member in members
        ],
        next_page_token=next_page_token,
    )


def _change_to_pb(conversation_id: str, row: StoredItem, page: ChangePage) -> change_pb2.Change:
    item = row.item
    found = change_pb2.Change(
        message_seq=item.seq,
        type=item.type,  # type: ignore[arg-type]  # the same numbers
        actor_id=item.actor,
        timestamp=item.time_ms,
        user_ids=item.users,
        role=item.role,  # type: ignore[arg-type]
        name=item.name,
        avatar_url=item.avatar_url,
        retention_seconds=item.retention_seconds,
    )
    message = row if item.type is ItemType.MESSAGE else page.subjects.get(item.subject)
    if item.type in _OF_MESSAGES and message is not None:
        found.message.CopyFrom(message_to_pb(conversation_id, message))
    return found
