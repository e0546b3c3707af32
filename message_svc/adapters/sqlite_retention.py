"""Conversations in SQLite by the time at which retention is due, and the removal of rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from kit.adapters.sqlite.file import connect, readable, scalar
from kit.adapters.sqlite.ledger import SqliteLedger
from message_svc.adapters.rows import head_of
from message_svc.adapters.sqlite_tables import SQL
from message_svc.domain import Span
from message_svc.ports import DueConversation

_PAGE = 200


class SqliteRetention:
    """See `ports.RetentionRows`. A file has one shard."""

    def __init__(self, path: Path, ledger: SqliteLedger) -> None:
        """`ledger`: of the same file; its connection is the one that writes."""
        self._reading = connect(path)
        self._ledger = ledger

    async def due(self, shard: int, now_ms: int) -> AsyncIterator[Sequence[DueConversation]]:
        """See `RetentionRows`."""
        after = (0, 0)
        while True:
            with readable():
                rows: list[Any] = self._reading.execute(SQL["retention_due"], (now_ms, *after, _PAGE)).fetchall()
            page = [DueConversation(row[0], (row[1], row[2]), head_of(row[3:])) for row in rows]
            if page:
                after = (page[-1].head.retention_due_ms, page[-1].ref)
                yield page
            if len(page) < _PAGE:
                return

    async def time_of(self, conversation: DueConversation, seq: int) -> int | None:
        """See `RetentionRows`."""
        with readable():
            found: int | None = scalar(self._reading, SQL["item_time"], (conversation.ref, seq))
        return found

    async def purge(self, conversation: DueConversation, span: Span) -> None:
        """See `RetentionRows`. Overwrites the bytes in the file, too."""
        connection = self._ledger.connection

        def remove() -> None:
            connection.pragma("secure_delete", True)
            try:
                connection.execute(SQL["purge"], (conversation.ref, *span))
            finally:
                connection.pragma("secure_delete", False)

        await self._ledger.transact(remove)

    def close(self) -> None:
        """Closes the connection."""
        self._reading.close()
