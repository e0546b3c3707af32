"""Reports and audit records as protobuf messages."""

from __future__ import annotations

from collections.abc import Sequence

from kit.message_ids import message_id
from message_svc.codec.times import timestamp
from message_svc.moderation_records import ReportStatus
from message_svc.ports import StoredAudit, StoredReport
from plaudit.message.v1 import moderation_pb2
from plaudit.message.v1 import moderation_service_pb2 as pb


def status_from_pb(status: int) -> ReportStatus:
    """The status; the contract allows those of `ReportStatus` only."""
    return ReportStatus(status)


def report_to_pb(found: StoredReport) -> moderation_pb2.Report:
    """A report."""
    conversation_id, report, resolution = found
    made = moderation_pb2.Report(
        report_id=report.report_id,
        conversation_id=conversation_id,
        message_id=message_id(conversation_id, report.seq),
        sender_id=report.sender,
        reporter_id=report.reporter,
        reason=report.reason,  # type: ignore[arg-type]  # the same numbers
        comment=report.comment,
        content=report.content,
        content_type=report.content_type,
        send_time=timestamp(report.send_ms),
        create_time=timestamp(report.time_ms),
        status=ReportStatus.OPEN,  # type: ignore[arg-type]
    )
    if resolution is not None:
        made.status = resolution.status  # type: ignore[assignment]
        made.resolver_id = resolution.resolver
        made.resolution_note = resolution.note
        made.resolve_time.CopyFrom(timestamp(resolution.time_ms))
    return made


def reports_to_pb(reports: Sequence[StoredReport], next_page_token: str) -> pb.ListReportsResponse:
    """A page of reports."""
    return pb.ListReportsResponse(reports=map(report_to_pb, reports), next_page_token=next_page_token)


def audits_to_pb(audits: Sequence[StoredAudit], next_page_token: str) -> pb.ListAuditRecordsResponse:
    """A page of audit records."""
    return pb.ListAuditRecordsResponse(records=map(_audit_to_pb, audits), next_page_token=next_page_token)


def _audit_to_pb(found: StoredAudit) -> moderation_pb2.AuditRecord:
    conversation_id, record = found
    return moderation_pb2.AuditRecord(
        audit_id=record.audit_id,
        action=record.action,  # type: ignore[arg-type]  # the same numbers
        actor_id=record.actor,
        capacity=record.capacity,  # type: ignore[arg-type]
        conversation_id=conversation_id,
        message_id=message_id(conversation_id, record.seq) if record.seq else "",
        user_id=record.user,
        role=record.role,  # type: ignore[arg-type]
        report_id=record.report_id,
        report_status=record.report_status,  # type: ignore[arg-type]
        reason=record.reason,
        create_time=timestamp(record.time_ms),
    )
