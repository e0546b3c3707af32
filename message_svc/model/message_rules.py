"""How a member sends, edits, deletes, receives and reads messages. Pure."""

from __future__ import annotations

from message_svc.actions import Delete, Edit, MarkDelivered, MarkRead, Send
from message_svc.commands import Outcome, Reason, Refusal
from message_svc.domain import MAX_DEVICES, Body, DeletedBy, Head, ItemType, Kind, Member, Role
from message_svc.model.draft import UNCHANGED, Answer, Draft, refusal_by_peer
from message_svc.moderation_records import AuditAction, Capacity


def send(draft: Draft, head: Head, member: Member, action: Send) -> Answer:
    """Sends a message; the sender has read what is before it."""
    if head.kind is Kind.CHANNEL and member.role is not Role.ADMIN:
        return Refusal(Reason.ADMINS_ONLY)
    if refusal := refusal_by_peer(draft, head):
        return refusal
    if action.forward_of and not action.body.content:
        return Refusal(Reason.NO_ORIGIN)
    if action.body.reply_to and draft.message_seen_by(member, action.body.reply_to) is None:
        return Refusal(Reason.NO_MESSAGE)
    is_conditional = action.expect_epoch >= 0
    if is_conditional and action.expect_epoch != head.epoch:
        return Refusal(Reason.EPOCH_CHANGED, head.epoch, head.epoch_seq)
    if is_conditional:
        draft.head = head._replace(epoch=head.epoch + 1, epoch_seq=head.last_seq + 1)
    outcome = draft.append(ItemType.MESSAGE, member.user, body=action.body, client_msg_id=draft.op_id)
    row = draft.with_draft(member, "") if action.clear_draft else member
    draft.members[member.user] = row._replace(read_seq=outcome.seq, read_ordinal=outcome.ordinal)
    if member.marked_unread:
        draft.set_own_row(draft.members[member.user]._replace(marked_unread=False))
    return outcome


def edit(draft: Draft, head: Head, member: Member, action: Edit) -> Answer:
    """Replaces the body of a message of the member."""
    facts = draft.message_seen_by(member, action.seq)
    if facts is None:
        return Refusal(Reason.NO_MESSAGE)
    if facts.actor != member.user:
        return Refusal(Reason.NOT_SENDER)
    if facts.is_deleted:
        return Refusal(Reason.DELETED)
    if refusal := refusal_by_peer(draft, head):
        return refusal
    body = Body(action.content, "", 0, action.mentions, action.metadata)
    return draft.append(ItemType.EDIT, member.user, subject=action.seq, body=body)


def delete(draft: Draft, head: Head, member: Member, action: Delete) -> Answer:
    """Deletes a message of the member or, by an admin, of others."""
    facts = draft.message_seen_by(member, action.seq)
    if facts is None:
        return Refusal(Reason.NO_MESSAGE)
    if facts.actor != member.user and (member.role is not Role.ADMIN or head.kind is Kind.DIRECT):
        return Refusal(Reason.NOT_SENDER)
    if facts.is_deleted:
        return UNCHANGED
    deleted_by = DeletedBy.SENDER if facts.actor == member.user else DeletedBy.ADMIN
    if deleted_by is DeletedBy.ADMIN:
        fields = {"seq": action.seq, "user": facts.actor, "reason": action.reason}
        draft.audit(AuditAction.MESSAGE_DELETED, member.user, Capacity.ADMIN, **fields)
    return draft.append(ItemType.DELETE, member.user, subject=action.seq, deleted_by=deleted_by)


def mark_delivered(draft: Draft, head: Head, member: Member, action: MarkDelivered) -> Answer:
    """Moves the cursor of a device, never back."""
    if head.kind is Kind.CHANNEL:
        return Refusal(Reason.NO_RECEIPTS)
    if draft.message_seen_by(member, action.seq) is None:
        return Refusal(Reason.NO_MESSAGE)
    devices = dict(member.devices)
    if action.seq > devices.get(action.device, 0):
        devices.pop(action.device, None)
        devices[action.device] = action.seq
        delivered = max(member.delivered_seq, action.seq)
        if delivered > member.delivered_seq:
            draft.show_receipt(member.user, delivered, 0, after=member.delivered_seq)
        member = member._replace(devices=tuple(devices.items())[-MAX_DEVICES:], delivered_seq=delivered)
        draft.members[member.user] = member
    return Outcome(0, draft.time_ms, head.ordinal, member)


def mark_read(draft: Draft, head: Head, member: Member, action: MarkRead) -> Answer:
    """Moves the read cursor, never back; the conversation is not marked as unread any more."""
    facts = draft.message_seen_by(member, action.seq)
    if facts is None:
        return Refusal(Reason.NO_MESSAGE)
    before = member
    member = member._replace(marked_unread=False)
    if action.seq > member.read_seq:
        member = member._replace(read_seq=action.seq, read_ordinal=facts.ordinal)
    if action.seq > member.shown_read_seq and not action.is_private and head.kind is not Kind.CHANNEL:
        # What is read was received.
        delivered = max(member.delivered_seq, action.seq)
        draft.show_receipt(member.user, 0, action.seq, after=member.shown_read_seq)
        member = member._replace(shown_read_seq=action.seq, delivered_seq=delivered)
    if member != before:
        draft.set_own_row(member)
    return Outcome(0, draft.time_ms, head.ordinal, member)
