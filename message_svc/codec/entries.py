"""Entries of the ledger as `plaudit.event.v1.MessagesChanged`."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from kit.ledger.errors import CorruptEntry, NewerFormat
from message_svc.codec.moderation_rows import add_moderation, moderation_from_pb
from message_svc.domain import (
    Body,
    ConversationChange,
    DeletedBy,
    Head,
    Item,
    ItemType,
    Kind,
    Member,
    Operation,
    Pin,
    ReceiptMove,
    Role,
    Span,
    UserDraft,
)
from message_svc.member_views import is_archived
from plaudit.event.v1 import message_events_pb2 as pb

FORMAT = 1
"""The newest format of entries that this program reads and writes."""
_WITH_BODY = (ItemType.MESSAGE, ItemType.EDIT)
_NO_BODY = Body("", "")
# Rows are written for every message, and an empty repeated field costs as much as five numbers: it is left out.


class EntryCodec:
    """See `model.model.EntryCodec`."""

    def encode(self, changes: Sequence[ConversationChange]) -> bytes:
        """See `model.model.EntryCodec`."""
        entry = pb.MessagesChanged(format=FORMAT)
        for change in changes:
            key, head, items, members, operations, receipts, own_changes, drafts, hidden_before, *_ = change
            changed = entry.conversations.add(
                tenant=key[0], conversation_id=key[1], head=_head_to_pb(head), hidden_before=hidden_before
            )
            for item in items:
                _add_item(changed, item)
            for member in members.values():
                _add_member(changed, member)
            for operation in operations:
                user, op_id, digest, seq, time_ms, ordinal, reason = operation
                changed.operations.add(
                    user_id=user, op_id=op_id, digest=digest, seq=seq, time_ms=time_ms, ordinal=ordinal, reason=reason
                )
            for user, delivered_seq, read_seq, time_ms, receivers in receipts:
                changed.receipts.add(
                    user_id=user,
                    delivered_seq=delivered_seq,
                    read_seq=read_seq,
                    time_ms=time_ms,
                    receiver_ids=receivers,
                )
            for user in own_changes:
                changed.own_changes.add(user_id=user, version=head.stamp, archived=is_archived(head, members[user]))
            for user, content, time_ms, device in drafts:
                changed.drafts.add(user_id=user, content=content, time_ms=time_ms, device_id=device, version=head.stamp)
            add_moderation(changed, change)
        return entry.SerializeToString()

    def decode(self, payload: bytes, stamp: int) -> Sequence[ConversationChange]:
        """See `model.model.EntryCodec`."""
        try:
            entry = pb.MessagesChanged.FromString(payload)
            if entry.format > FORMAT:
                raise NewerFormat(f"an entry has format {entry.format}, this program knows {FORMAT}")
            return [_change_from_pb(row, stamp) for row in entry.conversations]
        except (DecodeError, ValueError) as error:
            raise CorruptEntry(f"an entry cannot be read: {error}") from None


def _head_to_pb(head: Head) -> pb.ConversationHead:
    row = pb.ConversationHead(
        type=head.kind,
        name=head.name,
        avatar_url=head.avatar_url,
        creator_id=head.creator,
        create_ms=head.create_ms,
        update_ms=head.update_ms,
        last_seq=head.last_seq,
        ordinal=head.ordinal,
        last_message_seq=head.last_message_seq,
        members=head.members,
        admins=head.admins,
        members_epoch=head.members_epoch,
        epoch=head.epoch,
        epoch_seq=head.epoch_seq,
        visible_from=head.visible_from,
        retention_seconds=head.retention_seconds,
        hidden_ordinal=head.hidden_ordinal,
        purged_before=head.purged_before,
        retention_due_ms=head.retention_due_ms,
        home_region=head.home_region,
        highest_op_id=head.highest,
        close_ms=head.close_ms,
    )
    if head.ahead:
        row.op_ids_ahead.extend(head.ahead)
    if head.pinned:
        row.pinned_seqs.extend(number for pin in head.pinned for number in pin)
    return row


def _head_from_pb(row: pb.ConversationHead, stamp: int) -> Head:
    return Head(
        Kind(row.type),
        row.name,
        row.avatar_url,
        row.creator_id,
        row.create_ms,
        row.update_ms,
        row.last_seq,
        row.ordinal,
        row.last_message_seq,
        row.members,
        row.admins,
        row.members_epoch,
        row.epoch,
        row.epoch_seq,
        row.visible_from,
        row.retention_seconds,
        row.hidden_ordinal,
        row.purged_before,
        row.retention_due_ms,
        row.home_region,
        stamp,
        row.highest_op_id,
        tuple(row.op_ids_ahead),
        tuple(Pin(seq, pin_seq) for seq, pin_seq in zip(row.pinned_seqs[::2], row.pinned_seqs[1::2], strict=True)),
        row.close_ms,
    )


def _add_item(changed: pb.ConversationChanged, item: Item) -> None:
    body = item.body or _NO_BODY
    row = changed.items.add(
        seq=item.seq,
        type=item.type,
        actor_id=item.actor,
        time_ms=item.time_ms,
        ordinal=item.ordinal,
        subject_seq=item.subject,
        content=body.content,
        content_type=body.content_type,
        client_msg_id=item.client_msg_id,
        reply_to_seq=body.reply_to,
        role=item.role,
        name=item.name,
        avatar_url=item.avatar_url,
        origin_region=item.origin_region,
        deleted_by=item.deleted_by,
        forward_count=body.forwards,
        retention_seconds=item.retention_seconds,
    )
    if body.mentions:
        row.mentions.extend(body.mentions)
    if body.metadata:
        row.metadata.update(body.metadata)
    if item.users:
        row.user_ids.extend(item.users)


def _item_from_pb(row: pb.LogItem) -> Item:
    type_ = ItemType(row.type)
    metadata = tuple(sorted(row.metadata.items()))
    body = Body(row.content, row.content_type, row.reply_to_seq, tuple(row.mentions), metadata, row.forward_count)
    return Item(
        row.seq,
        type_,
        row.actor_id,
        row.time_ms,
        row.ordinal,
        row.subject_seq,
        body if type_ in _WITH_BODY else None,
        row.client_msg_id,
        tuple(row.user_ids),
        Role(row.role),
        row.name,
        row.avatar_url,
        row.origin_region,
        DeletedBy(row.deleted_by),
        row.retention_seconds,
    )


def _add_member(changed: pb.ConversationChanged, member: Member) -> None:
    row = changed.members.add(
        user_id=member.user,
        role=member.role,
        joined_seq=member.joined_seq,
        spans=[number for span in member.spans for number in span],
        read_seq=member.read_seq,
        read_ordinal=member.read_ordinal,
        shown_read_seq=member.shown_read_seq,
        delivered_seq=member.delivered_seq,
        mute_until_ms=member.mute_until_ms,
        pinned=member.pinned,
        archived_seq=member.archived_seq,
        marked_unread=member.marked_unread,
        draft_ms=member.draft_ms,
    )
    for device, seq in member.devices:
        row.devices.add(device_id=device, seq=seq)


def _member_from_pb(row: pb.MemberRow) -> Member:
    return Member(
        row.user_id,
        Role(row.role),
        row.joined_seq,
        tuple(Span(first, last) for first, last in zip(row.spans[::2], row.spans[1::2], strict=True)),
        row.read_seq,
        row.read_ordinal,
        row.shown_read_seq,
        row.delivered_seq,
        tuple((device.device_id, device.seq) for device in row.devices),
        row.mute_until_ms,
        row.pinned,
        row.archived_seq,
        row.marked_unread,
        row.draft_ms,
    )


def _change_from_pb(row: pb.ConversationChanged, stamp: int) -> ConversationChange:
    return ConversationChange(
        (row.tenant, row.conversation_id),
        _head_from_pb(row.head, stamp),
        [_item_from_pb(item) for item in row.items],
        {member.user_id: _member_from_pb(member) for member in row.members},
        [
            Operation(made.user_id, made.op_id, made.digest, made.seq, made.time_ms, made.ordinal, made.reason)
            for made in row.operations
        ],
        [
            ReceiptMove(moved.user_id, moved.delivered_seq, moved.read_seq, moved.time_ms, tuple(moved.receiver_ids))
            for moved in row.receipts
        ],
        [changed.user_id for changed in row.own_changes],
        [UserDraft(draft.user_id, draft.content, draft.time_ms, draft.device_id) for draft in row.drafts],
        row.hidden_before,
        *moderation_from_pb(row),
    )
