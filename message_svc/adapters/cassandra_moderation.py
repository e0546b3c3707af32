"""Reads of reports and audit records in Cassandra."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from cassandra.query import PreparedStatement

from kit.adapters.cassandra.engine import Cassandra
from message_svc.adapters.moderation_rows import stored_audit_of, stored_report_of
from message_svc.moderation_records import AUDIT, REPORT, ReportStatus, day_of
from message_svc.ports import StoredAudit, StoredReport

# Above every id, and every day.
_END, _LAST_DAY = "~", 1 << 40
_DAYS_AT_ONCE = 60
_REPORT = (
    "SELECT conversation_id, report_id, seq, reporter_id, sender_id, reason, comment, content, content_type, send_ms,"
    " time_ms, status, resolver_id, note, resolve_ms FROM message_reports WHERE tenant = ? AND day = ? AND report_id"
)
_CQL = {
    "days": "SELECT day FROM moderation_days WHERE tenant = ? AND kind = ? AND day <= ? LIMIT ?",
    "find_report": f"{_REPORT} = ?",
    "reports": f"{_REPORT} < ? LIMIT ?",
    # Reports of another status are filtered by the server, within the partition.
    "reports_of_status": f"{_REPORT} < ? AND status = ? LIMIT ? ALLOW FILTERING",
    "reports_by": "SELECT report_id FROM user_reports WHERE tenant = ? AND user_id = ? AND report_id > ? LIMIT ?",
    "audits": "SELECT conversation_id, audit_id, action, actor_id, capacity, time_ms, seq, user_id, role, report_id,"
    " report_status, reason FROM audit_records WHERE tenant = ? AND day = ? AND audit_id < ? LIMIT ?",
}


class CassandraModerationReads:
    """See `ports.ModerationReads`. Made by `open_cassandra_moderation`."""

    def __init__(self, cassandra: Cassandra, statements: Mapping[str, PreparedStatement]) -> None:
        self._cassandra = cassandra
        self._statements = statements

    async def report(self, tenant: str, report_id: str) -> StoredReport | None:
        """See `ModerationReads`."""
        rows = await self._rows("find_report", tenant, day_of(report_id) or 0, report_id)
        return stored_report_of(rows[0]) if rows and rows[0][2] is not None else None

    async def reports(self, tenant: str, status: ReportStatus, before: str, limit: int) -> Sequence[StoredReport]:
        """See `ModerationReads`. Reads the days from the latest one on until there are enough."""
        found: list[StoredReport] = []
        name, of_status = ("reports", ()) if status is ReportStatus.ANY else ("reports_of_status", (int(status),))
        async for day in self._days(tenant, REPORT, before):
            rows = await self._rows(name, tenant, day, before or _END, *of_status, limit - len(found))
            found += map(stored_report_of, rows)
            if len(found) >= limit:
                break
        return found

    async def reports_by(self, tenant: str, user: str, after: str, limit: int) -> Sequence[StoredReport]:
        """See `ModerationReads`."""
        ids = await self._rows("reports_by", tenant, user, after, limit)
        found = await asyncio.gather(*(self.report(tenant, report_id) for (report_id,) in ids))
        return [each for each in found if each is not None]

    async def audits(self, tenant: str, before: str, limit: int) -> Sequence[StoredAudit]:
        """See `ModerationReads`."""
        found: list[StoredAudit] = []
        async for day in self._days(tenant, AUDIT, before):
            found += map(stored_audit_of, await self._rows("audits", tenant, day, before or _END, limit - len(found)))
            if len(found) >= limit:
                break
        return found

    async def _days(self, tenant: str, kind: str, before: str) -> AsyncIterator[int]:
        """The days with records up to that of an id, latest first."""
        last = day_of(before)
        last = _LAST_DAY if last is None else last
        while rows := await self._rows("days", tenant, kind, last, _DAYS_AT_ONCE):
            for (day,) in rows:
                yield day
            last = rows[-1][0] - 1

    async def _rows(self, name: str, *values: Any) -> list[Any]:
        return await self._cassandra.rows(self._statements[name], values)


async def open_cassandra_moderation(cassandra: Cassandra) -> CassandraModerationReads:
    """Prepares the statements. Raises Unavailable."""
    return CassandraModerationReads(cassandra, await cassandra.prepare_all(_CQL))
