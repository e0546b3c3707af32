"""Reports and audit records in the ledger's SQLite file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from kit.adapters.sql_files import statements
from kit.adapters.sqlite.file import adopt_schema, connect, in_bulk, readable
from message_svc.adapters.moderation_rows import stored_audit_of, stored_report_of
from message_svc.model.state import ConversationWrites
from message_svc.moderation_records import ReportStatus
from message_svc.ports import StoredAudit, StoredReport

SCHEMA_VERSION = 2
_SCHEMA = Path(__file__).with_name("sqlite_moderation.sql")
_SQL = statements(Path(__file__).with_name("sqlite_moderation_statements.sql"))
# Above every id.
_END = "~"


def adopt_moderation_schema(connection: apsw.Connection) -> None:
    """Creates the tables. Raises `kit.adapters.sqlite.file.NewerData`."""
    adopt_schema(connection, "message_moderation", SCHEMA_VERSION, _SCHEMA, {1: _index_reporters})


def _index_reporters(connection: apsw.Connection) -> None:
    connection.execute("CREATE INDEX report_reporter ON report (tenant, reporter, report_id)")


def write_moderation(connection: apsw.Connection, writes: Iterable[ConversationWrites]) -> None:
    """Writes the rows within a transaction; repeating it changes nothing."""
    reports: list[Any] = []
    audits: list[Any] = []
    resolutions: list[tuple[Any, ...]] = []
    erased: list[tuple[str, str]] = []
    for each in writes:
        tenant, _ = each.key
        for _, report in each.reports:
            reports += (*each.key, *report)
        for _, audit in each.audits:
            audits += (*each.key, *audit)
        for _, (report_id, *decided) in each.resolutions:
            resolutions.append((*decided, tenant, report_id))
        erased += ((tenant, report_id) for _, (report_id, _) in each.erased_reports)
    in_bulk(connection, _SQL["save_reports"], 12, reports)
    in_bulk(connection, _SQL["save_audits"], 13, audits)
    for resolution in resolutions:
        connection.execute(_SQL["resolve_report"], resolution)
    for row in erased:
        connection.execute(_SQL["erase_reporter"], row)


class SqliteModerationReads:
    """See `ports.ModerationReads`. All reads are short and run on the event loop."""

    def __init__(self, path: Path) -> None:
        self._reading = connect(path)

    async def report(self, tenant: str, report_id: str) -> StoredReport | None:
        """See `ModerationReads`."""
        rows = self._rows("find_report", tenant, report_id)
        return stored_report_of(rows[0]) if rows else None

    async def reports(self, tenant: str, status: ReportStatus, before: str, limit: int) -> Sequence[StoredReport]:
        """See `ModerationReads`."""
        before = before or _END
        if status is ReportStatus.ANY:
            return [stored_report_of(row) for row in self._rows("reports", tenant, before, limit)]
        return [stored_report_of(row) for row in self._rows("reports_of_status", tenant, status, before, limit)]

    async def reports_by(self, tenant: str, user: str, after: str, limit: int) -> Sequence[StoredReport]:
        """See `ModerationReads`."""
        return [stored_report_of(row) for row in self._rows("reports_by", tenant, user, after, limit)]

    async def audits(self, tenant: str, before: str, limit: int) -> Sequence[StoredAudit]:
        """See `ModerationReads`."""
        return [stored_audit_of(row) for row in self._rows("audits", tenant, before or _END, limit)]

    def close(self) -> None:
        """Closes the connection."""
        self._reading.close()

    def _rows(self, name: str, *values: Any) -> list[Any]:
        with readable():
            return self._reading.execute(_SQL[name], values).fetchall()
