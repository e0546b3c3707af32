"""Rows of the tables of reports and audit records as values; the columns are the same on every engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from message_svc.moderation_records import (
    AuditAction,
    AuditRecord,
    Capacity,
    Report,
    ReportResolution,
    ReportStatus,
)
from message_svc.ports import StoredAudit, StoredReport


def stored_report_of(row: Sequence[Any]) -> StoredReport:
    """The report in columns `conversation_id` to `resolve_ms`."""
    conversation_id, *values = row
    report = Report(*values[:10])
    status, resolver, note, resolve_ms = values[10:]
    resolution = None
    if resolve_ms:
        resolution = ReportResolution(report.report_id, ReportStatus(status), resolver, note, resolve_ms)
    return StoredReport(conversation_id, report, resolution)


def stored_audit_of(row: Sequence[Any]) -> StoredAudit:
    """The record in columns `conversation_id` to `reason`."""
    conversation_id, audit_id, action, actor, capacity, time_ms, seq, user, role, report_id, status, reason = row
    record = AuditRecord(
        audit_id, AuditAction(action), actor, Capacity(capacity), time_ms, seq, user, role, report_id,
        ReportStatus(status), reason,
    )  # fmt: skip
    return StoredAudit(conversation_id, record)
