"""How messages are reported, and what moderators of the tenant do. Pure."""

from __future__ import annotations

from typing import Any

from message_svc.actions import Action, CloseConversation, ExcludeMember, RemoveMessage, Report, ResolveReport
from message_svc.commands import Outcome, Reason, Refusal
from message_svc.domain import DeletedBy, Head, ItemType, Kind, Member
from message_svc.model import member_rules
from message_svc.model.draft import UNCHANGED, Answer, Draft
from message_svc.moderation_records import AuditAction, Capacity, ReportResolution, report_id_of
from message_svc.moderation_records import Report as ReportRow

MODERATOR = ""
"""The actor of items that moderators make: members do not see who has moderated."""


def report(draft: Draft, member: Member, action: Report) -> Answer:
    """Reports a message that a member or a former one sees."""
    facts = draft.message_seen_by(member, action.seq)
    if facts is None:
        return Refusal(Reason.NO_MESSAGE)
    if facts.is_deleted and not action.content:
        return Refusal(Reason.DELETED)
    tenant, conversation_id = draft.key
    report_id = report_id_of(draft.time_ms, tenant, conversation_id, action.seq, member.user)
    draft.reports.append(
        ReportRow(
            report_id,
            action.seq,
            member.user,
            facts.actor,
            action.reason,
            action.comment,
            action.content,
            action.content_type,
            action.send_ms,
            draft.time_ms,
        )
    )
    return Outcome(0, draft.time_ms)


def moderate(draft: Draft, head: Head, moderator: str, action: Action) -> Answer:
    """Decides what a moderator does, who need not be a member."""
    if isinstance(action, ResolveReport):
        return _resolve(draft, moderator, action)
    if isinstance(action, CloseConversation):
        return _close(draft, head, moderator, action)
    if head.close_ms:
        return Refusal(Reason.CLOSED)
    if isinstance(action, RemoveMessage):
        return _remove_message(draft, head, moderator, action)
    assert isinstance(action, ExcludeMember)
    return _exclude(draft, head, moderator, action)


def _resolve(draft: Draft, moderator: str, action: ResolveReport) -> Answer:
    resolution = ReportResolution(action.report_id, action.status, moderator, action.note, draft.time_ms)
    draft.resolutions.append(resolution)
    facts = draft.message(action.seq)
    draft.audit(
        AuditAction.REPORT_RESOLVED,
        moderator,
        Capacity.MODERATOR,
        seq=action.seq,
        user=facts.actor if facts is not None else "",
        report_id=action.report_id,
        report_status=action.status,
        reason=action.note,
    )
    return Outcome(0, draft.time_ms)


def _close(draft: Draft, head: Head, moderator: str, action: CloseConversation) -> Answer:
    if head.close_ms:
        return UNCHANGED
    draft.head = head._replace(close_ms=draft.time_ms)
    _audit(draft, AuditAction.CONVERSATION_CLOSED, moderator, action.reason)
    return draft.append(ItemType.CLOSED, MODERATOR)


def _remove_message(draft: Draft, head: Head, moderator: str, action: RemoveMessage) -> Answer:
    facts = draft.message(action.seq)
    if facts is None or action.seq < head.visible_from:
        return Refusal(Reason.NO_MESSAGE)
    if facts.is_deleted:
        return UNCHANGED
    _audit(draft, AuditAction.MESSAGE_DELETED, moderator, action.reason, seq=action.seq, user=facts.actor)
    return draft.append(ItemType.DELETE, MODERATOR, subject=action.seq, deleted_by=DeletedBy.MODERATOR)


def _exclude(draft: Draft, head: Head, moderator: str, action: ExcludeMember) -> Answer:
    if head.kind is Kind.DIRECT:
        return Refusal(Reason.WRONG_KIND)
    if not draft.is_member(action.user):
        return UNCHANGED
    _audit(draft, AuditAction.MEMBER_REMOVED, moderator, action.reason, user=action.user)
    return member_rules.exclude(draft, head, MODERATOR, action.user)


def _audit(draft: Draft, action: AuditAction, moderator: str, reason: str, **fields: Any) -> None:
    draft.audit(action, moderator, Capacity.MODERATOR, reason=reason, **fields)
