"""Reads of reports and audit records in the tables in memory, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from message_svc.adapters.memory_tables import MemoryTables
from message_svc.moderation_records import ReportStatus
from message_svc.ports import StoredAudit, StoredReport

# Above every id.
_END = "~"


class MemoryModerationReads:
    """See `ports.ModerationReads`."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    async def report(self, tenant: str, report_id: str) -> StoredReport | None:
        """See `ModerationReads`."""
        found = self._reports(tenant)
        return next((each for each in found if each.report.report_id == report_id), None)

    async def reports(self, tenant: str, status: ReportStatus, before: str, limit: int) -> Sequence[StoredReport]:
        """See `ModerationReads`."""
        found = [
            each
            for each in self._reports(tenant)
            if each.report.report_id < (before or _END) and status in (ReportStatus.ANY, _status_of(each))
        ]
        return sorted(found, key=lambda each: each.report.report_id, reverse=True)[:limit]

    async def reports_by(self, tenant: str, user: str, after: str, limit: int) -> Sequence[StoredReport]:
        """See `ModerationReads`."""
        found = [
            each for each in self._reports(tenant) if each.report.reporter == user and each.report.report_id > after
        ]
        return sorted(found, key=lambda each: each.report.report_id)[:limit]

    async def audits(self, tenant: str, before: str, limit: int) -> Sequence[StoredAudit]:
        """See `ModerationReads`."""
        found = [
            StoredAudit(key[1], record)
            for key, records in self._tables.audits.items()
            for record in records.values()
            if key[0] == tenant and record.audit_id < (before or _END)
        ]
        return sorted(found, key=lambda each: each.record.audit_id, reverse=True)[:limit]

    def _reports(self, tenant: str) -> list[StoredReport]:
        tables = self._tables
        return [
            StoredReport(key[1], report, tables.resolutions.get(key, {}).get(report.report_id, (0, None))[1])
            for key, reports in tables.reports.items()
            for report in reports.values()
            if key[0] == tenant
        ]


def _status_of(found: StoredReport) -> ReportStatus:
    return found.resolution.status if found.resolution is not None else ReportStatus.OPEN
