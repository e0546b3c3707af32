"""What becomes of a conversation when a user is erased, who may have left it before. Pure."""

from __future__ import annotations

from message_svc.actions import EraseMember, EraseMessages, EraseReports
from message_svc.commands import Reason, Refusal
from message_svc.domain import DeletedBy, Head, ItemType, Kind, Member, Role, Span
from message_svc.model.draft import UNCHANGED, Answer, Draft
from message_svc.model.member_rules import appoint_admin
from message_svc.moderation_records import ReportErasure


def erase_messages(draft: Draft, head: Head, member: Member, action: EraseMessages) -> Answer:
    """Deletes messages of the user, also those it may not see any more."""
    outcome = UNCHANGED
    for seq in action.seqs:
        facts = draft.message(seq)
        is_left = facts is not None and facts.actor == member.user and not facts.is_deleted
        if is_left and seq >= head.visible_from:  # earlier rows do not exist, or are deleted as a whole
            outcome = draft.append(ItemType.DELETE, member.user, subject=seq, deleted_by=DeletedBy.SENDER)
    return outcome


def erase_member(draft: Draft, head: Head, member: Member, action: EraseMember) -> Answer:
    """Deletes the row of the user, which leaves. A direct conversation always has two: its row becomes that of a new
    member."""
    draft.drop_receipt(member.user)
    if head.kind is Kind.DIRECT:
        seen_from = (Span(head.last_seq + 1),)
        new = Member(
            member.user, member.role, member.joined_seq, seen_from, read_seq=head.last_seq, read_ordinal=head.ordinal
        )
        draft.with_draft(member, "")
        if new != member:
            draft.set_own_row(new)
        return UNCHANGED
    outcome = UNCHANGED
    if member.role is not Role.NONE:
        is_admin = member.role is Role.ADMIN
        is_last_admin = is_admin and head.admins == 1 and head.members > 1
        successor = draft.member(action.successor) if head.kind is Kind.CHANNEL else None
        if is_last_admin and head.kind is Kind.CHANNEL and not _may_follow(successor, member):
            return Refusal(Reason.LAST_ADMIN)
        outcome = draft.append(ItemType.MEMBER_LEFT, member.user, users=(member.user,))
        draft.members[member.user] = _deleted(member)
        draft.count_members(-1, -1 if is_admin else 0)
        if is_last_admin:
            appoint_admin(draft, member.user, successor or draft.first_member())
    draft.with_draft(member, "")
    draft.members[member.user] = _deleted(member)
    return outcome


def erase_reports(draft: Draft, user: str, action: EraseReports) -> Answer:
    """Removes the user, whose row may be deleted, from reports."""
    draft.erased_reports += (ReportErasure(report_id, user) for report_id in action.report_ids)
    return UNCHANGED


def _may_follow(successor: Member | None, member: Member) -> bool:
    return successor is not None and successor.role is not Role.NONE and successor.user != member.user


def _deleted(member: Member) -> Member:
    return Member(member.user, Role.NONE, member.joined_seq, ())
