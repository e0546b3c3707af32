"""Between protobuf messages and domain values: entries of conversations, and their pushes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from google.protobuf.message import DecodeError

from fanout_svc.conversation_pushes import ConversationItem, ConversationItems, MemberList, OwnChange, Receipt, Receipts
from fanout_svc.errors import Undecodable
from kit.event_log.ports import Record
from kit.message_ids import message_id
from plaudit.event.v1 import message_events_pb2 as event_pb
from plaudit.message.v1 import change_pb2, conversation_pb2, message_pb2, updates_pb2
from plaudit.message.v1 import conversation_members_pb2 as members_pb

# The highest version of the message that this reader understands.
FORMAT = 1
_REMOVALS = (change_pb2.CHANGE_TYPE_MEMBER_REMOVED, change_pb2.CHANGE_TYPE_MEMBER_LEFT)
_MESSAGES = (
    change_pb2.CHANGE_TYPE_MESSAGE_EDITED,
    change_pb2.CHANGE_TYPE_MESSAGE_DELETED,
    change_pb2.CHANGE_TYPE_MESSAGE_PINNED,
    change_pb2.CHANGE_TYPE_MESSAGE_UNPINNED,
)


@dataclass(frozen=True, slots=True)
class MessageEntry:
    """An entry of the ledger; the conversations of one with a format above `FORMAT` are not decoded."""

    format: int
    conversations: Sequence[ConversationItems] = ()


def entry_from_record(record: Record) -> MessageEntry:
    """The items and receipts of each conversation in an entry; raises `Undecodable`."""
    try:
        entry = event_pb.MessagesChanged.FromString(record.payload)
    except DecodeError as error:
        raise Undecodable(str(error)) from None
    if entry.format > FORMAT:
        return MessageEntry(entry.format)
    conversations = [
        ConversationItems(
            row.tenant,
            row.conversation_id,
            row.head.members_epoch,
            [_item(row, item) for item in row.items],
            _receipts(row) if row.receipts else None,
            is_channel=row.head.type == conversation_pb2.CONVERSATION_TYPE_CHANNEL,
            own_changes=_own_changes(row) if row.own_changes or row.drafts else (),
            expiry=_expiry(row) if row.hidden_before else None,
        )
        for row in entry.conversations
    ]
    return MessageEntry(entry.format, conversations)


def members_request_to_pb(tenant: str, conversation_id: str) -> bytes:
    """A request for all members."""
    return members_pb.GetMemberIdsRequest(tenant=tenant, conversation_id=conversation_id).SerializeToString()


def members_from_pb(response: bytes) -> MemberList:
    """All members and former ones."""
    found = members_pb.GetMemberIdsResponse.FromString(response)
    ranges = zip(found.joined_seqs, found.left_seqs, strict=True)
    return MemberList(found.members_epoch, dict(zip(found.user_ids, ranges, strict=True)))


def receipts_to_pb(receipts: Receipts) -> bytes:
    """The message of a push: the last news, and the other members beside it."""
    *others, last = receipts.members.values()
    seq = last.read_seq if last.is_read else last.delivered_seq
    message = updates_pb2.Receipt(
        message_id=message_id(receipts.conversation_id, seq),
        status="read" if last.is_read else "delivered",
        timestamp=last.time_ms,
        conversation_id=receipts.conversation_id,
        message_seq=seq,
        user_id=last.user,
        delivered_seq=last.delivered_seq,
        read_seq=last.read_seq,
    )
    for other in others:
        message.others.add(user_id=other.user, delivered_seq=other.delivered_seq, read_seq=other.read_seq)
    return message.SerializeToString()


def _receipts(row: event_pb.ConversationChanged) -> Receipts | None:
    rows = {member.user_id: member for member in row.members}
    receivers: set[str] = set()
    members: dict[str, Receipt] = {}
    for moved in row.receipts:
        user, member = moved.user_id, rows.get(moved.user_id)
        if member is not None:
            cursors = member.delivered_seq, member.shown_read_seq
            members[user] = Receipt(user, *cursors, moved.read_seq > 0, moved.time_ms)
            receivers.update(moved.receiver_ids)
    return Receipts(row.tenant, row.conversation_id, members, frozenset(receivers)) if members else None


def _own_changes(row: event_pb.ConversationChanged) -> list[OwnChange]:
    members = {member.user_id: member for member in row.members}
    of_rows = [
        OwnChange(
            row.tenant,
            row.conversation_id,
            changed.user_id,
            "membership_changed",
            changed.version,
            partial(_membership_changed, row.conversation_id, member, archived=changed.archived),
        )
        for changed in row.own_changes
        if (member := members.get(changed.user_id)) is not None
    ]
    of_drafts = [
        OwnChange(
            row.tenant,
            row.conversation_id,
            draft.user_id,
            "draft_changed",
            draft.version,
            partial(_draft_changed, row.conversation_id, draft),
        )
        for draft in row.drafts
    ]
    return [*of_rows, *of_drafts]


def _draft_changed(conversation_id: str, draft: event_pb.DraftRecord) -> bytes:
    return updates_pb2.DraftChanged(
        conversation_id=conversation_id, content=draft.content, timestamp=draft.time_ms, device_id=draft.device_id
    ).SerializeToString()


def _membership_changed(conversation_id: str, member: event_pb.MemberRow, *, archived: bool) -> bytes:
    membership = conversation_pb2.Membership(
        role=member.role,  # type: ignore[arg-type]  # the same numbers
        read_seq=member.read_seq,
        mute_until_ms=member.mute_until_ms,
        pinned=member.pinned,
        archived=archived,
        marked_unread=member.marked_unread,
    )
    return updates_pb2.MembershipChanged(conversation_id=conversation_id, membership=membership).SerializeToString()


def _item(row: event_pb.ConversationChanged, item: event_pb.LogItem) -> ConversationItem:
    if item.type == change_pb2.CHANGE_TYPE_MESSAGE_SENT:
        return ConversationItem(item.seq, "new_message", partial(_new_message, row.conversation_id, item))
    if item.type in _MESSAGES:
        return ConversationItem(item.seq, "message_changed", partial(_message_changed, row.conversation_id, item))
    return ConversationItem(
        item.seq,
        "member_changed",
        partial(_member_changed, row, item),
        users=tuple(item.user_ids),
        ends_membership=item.type in _REMOVALS,
        converts=item.type == change_pb2.CHANGE_TYPE_CONVERTED_TO_CHANNEL,
        closes=item.type == change_pb2.CHANGE_TYPE_CONVERSATION_CLOSED,
    )


def _expiry(row: event_pb.ConversationChanged) -> ConversationItem:
    push = updates_pb2.MessagesExpired(conversation_id=row.conversation_id, visible_from_seq=row.hidden_before)
    return ConversationItem(row.hidden_before, "messages_expired", push.SerializeToString)


def _change(item: event_pb.LogItem) -> change_pb2.Change:
    return change_pb2.Change(
        message_seq=item.seq,
        type=item.type,  # type: ignore[arg-type]  # the same numbers
        actor_id=item.actor_id,
        timestamp=item.time_ms,
        user_ids=item.user_ids,
        role=item.role,  # type: ignore[arg-type]
        name=item.name,
        avatar_url=item.avatar_url,
        retention_seconds=item.retention_seconds,
    )


def _message_changed(conversation_id: str, item: event_pb.LogItem) -> bytes:
    change = _change(item)
    change.message.CopyFrom(_changed_message(conversation_id, item))
    return updates_pb2.MessageChanged(conversation_id=conversation_id, change=change).SerializeToString()


def _member_changed(row: event_pb.ConversationChanged, item: event_pb.LogItem) -> bytes:
    return updates_pb2.MemberChanged(
        conversation_id=row.conversation_id,
        change=_change(item),
        member_count=row.head.members,
        members_epoch=row.head.members_epoch,
    ).SerializeToString()


def _new_message(conversation_id: str, item: event_pb.LogItem) -> bytes:
    return updates_pb2.NewMessage(
        message_id=message_id(conversation_id, item.seq),
        conversation_id=conversation_id,
        sender_id=item.actor_id,
        content=item.content,
        content_type=item.content_type,
        timestamp=item.time_ms,
        message_seq=item.seq,
        ordinal=item.ordinal,
        client_msg_id=item.client_msg_id,
        reply_to=message_id(conversation_id, item.reply_to_seq) if item.reply_to_seq else "",
        mentions=item.mentions,
        metadata=item.metadata,
        origin_region=item.origin_region,
        forward_count=item.forward_count,
    ).SerializeToString()


def _changed_message(conversation_id: str, item: event_pb.LogItem) -> message_pb2.Message:
    """What a change says of its message: an edit the new text, a deletion its time, a pin nothing."""
    message = message_pb2.Message(
        message_id=message_id(conversation_id, item.subject_seq),
        conversation_id=conversation_id,
        message_seq=item.subject_seq,
        content=item.content,
        mentions=item.mentions,
        metadata=item.metadata,
        deleted_by=item.deleted_by,  # type: ignore[arg-type]  # the same numbers
    )
    if item.type == change_pb2.CHANGE_TYPE_MESSAGE_EDITED:
        message.edit_time.FromMilliseconds(item.time_ms)
    elif item.type == change_pb2.CHANGE_TYPE_MESSAGE_DELETED:
        message.delete_time.FromMilliseconds(item.time_ms)
    return message
