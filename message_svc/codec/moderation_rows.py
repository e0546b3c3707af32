"""Reports, their resolutions and audit records in entries of the ledger."""

from __future__ import annotations

from message_svc.domain import ConversationChange
from message_svc.moderation_records import (
    AuditAction,
    AuditRecord,
    Capacity,
    Report,
    ReportErasure,
    ReportResolution,
    ReportStatus,
)
from plaudit.event.v1 import message_events_pb2 as pb


def add_moderation(
    changed: pb.ConversationChanged,
    change: ConversationChange,
) -> None:
    """Adds the rows of the change of a conversation."""
    for report_id, seq, reporter, sender, reason, comment, content, content_type, send_ms, time_ms in change.reports:
        changed.reports.add(
            report_id=report_id,
            seq=seq,
            reporter_id=reporter,
            sender_id=sender,
            reason=reason,
            comment=comment,
            content=content,
            content_type=content_type,
            send_ms=send_ms,
            time_ms=time_ms,
        )
    for report_id, status, resolver, note, time_ms in change.resolutions:
        changed.resolutions.add(report_id=report_id, status=status, resolver_id=resolver, note=note, time_ms=time_ms)
    for record in change.audits:
        changed.audits.add(
            audit_id=record.audit_id,
            action=record.action,
            actor_id=record.actor,
            capacity=record.capacity,
            time_ms=record.time_ms,
            seq=record.seq,
            user_id=record.user,
            role=record.role,
            report_id=record.report_id,
            report_status=record.report_status,
            reason=record.reason,
        )
    for report_id, reporter in change.erased_reports:
        changed.erased_reports.add(report_id=report_id, reporter_id=reporter)


def moderation_from_pb(
    row: pb.ConversationChanged,
) -> tuple[list[Report], list[ReportResolution], list[AuditRecord], list[ReportErasure]]:
    """The rows of the change of a conversation; raises ValueError where a number is unknown."""
    reports = [
        Report(
            each.report_id,
            each.seq,
            each.reporter_id,
            each.sender_id,
            each.reason,
            each.comment,
            each.content,
            each.content_type,
            each.send_ms,
            each.time_ms,
        )
        for each in row.reports
    ]
    resolutions = [
        ReportResolution(each.report_id, ReportStatus(each.status), each.resolver_id, each.note, each.time_ms)
        for each in row.resolutions
    ]
    audits = [
        AuditRecord(
            each.audit_id,
            AuditAction(each.action),
            each.actor_id,
            Capacity(each.capacity),
            each.time_ms,
            each.seq,
            each.user_id,
            each.role,
            each.report_id,
            ReportStatus(each.report_status),
            each.reason,
        )
        for each in row.audits
    ]
    erased = [ReportErasure(each.report_id, each.reporter_id) for each in row.erased_reports]
    return reports, resolutions, audits, erased
