"""Conversations in Cassandra by the time at which retention is due, and the removal of rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from cassandra.query import PreparedStatement

from kit.adapters.cassandra.batches import all_of
from kit.adapters.cassandra.engine import Cassandra
from kit.tenant_keys import TargetKey
from message_svc.adapters.cassandra_rows import HEAD, bucket_of, by_tenant, selected, spans_of_buckets
from message_svc.adapters.rows import head_of
from message_svc.domain import Head, Span
from message_svc.ports import DueConversation

_PAGE = 200
# Rows are written moments after their entry, by nodes whose clocks differ: so far back rows may still come. Older ones
# are looked for when a node gets the shard.
_LATE_MS = 3_600_000
_OF_ONE = "WHERE tenant = ? AND conversation_id = ?"
_CQL = {
    "due": "SELECT due_ms, tenant, conversation_id FROM retention_due WHERE shard = ? AND"
    " (due_ms, tenant, conversation_id) > (?, ?, ?) AND (due_ms) <= (?) LIMIT ?",
    "not_due": "DELETE FROM retention_due USING TIMESTAMP ? WHERE shard = ? AND due_ms = ? AND tenant = ?"
    " AND conversation_id = ?",
    "heads": f"SELECT DISTINCT conversation_id, {selected(*HEAD)} FROM conversations"
    " WHERE tenant = ? AND conversation_id IN ?",
    "item_time": f"SELECT toUnixTimestamp(created_at) FROM messages {_OF_ONE} AND bucket = ? AND seq = ?",
    "purge": f"DELETE FROM messages USING TIMESTAMP ? {_OF_ONE} AND bucket = ? AND seq <= ?",
    "purge_deleted": f"DELETE FROM deleted_messages USING TIMESTAMP ? {_OF_ONE} AND seq <= ?",
}


class CassandraRetention:
    """See `ports.RetentionRows`. Made by `open_cassandra_retention`."""

    def __init__(self, cassandra: Cassandra, statements: Mapping[str, PreparedStatement]) -> None:
        self._cassandra = cassandra
        self._statements = statements
        # Up to which time each shard was read completely.
        self._read_ms: dict[int, int] = {}

    async def due(self, shard: int, now_ms: int) -> AsyncIterator[Sequence[DueConversation]]:
        """See `RetentionRows`. Deletes rows that are not valid any more."""
        after: tuple[int, str, str] = (max(0, self._read_ms.get(shard, 0) - _LATE_MS), "", "")
        while True:
            rows = await self._rows("due", shard, *after, now_ms, _PAGE)
            keys = [(tenant, name) for _, tenant, name in rows]
            heads = await self._heads(keys)
            page: list[DueConversation] = []
            for due_ms, *key in rows:
                head = heads.get((key[0], key[1]))
                if head is None:
                    continue  # it is not written yet
                if head.retention_due_ms == due_ms:
                    page.append(DueConversation(0, (key[0], key[1]), head))
                else:
                    # A later entry of the same time has a larger stamp, so its row stays.
                    await self._write("not_due", head.stamp, shard, due_ms, *key)
            if page:
                yield page
            if len(rows) < _PAGE:
                self._read_ms[shard] = now_ms
                return
            after = rows[-1]

    async def time_of(self, conversation: DueConversation, seq: int) -> int | None:
        """See `RetentionRows`."""
        rows = await self._rows("item_time", *conversation.key, bucket_of(seq), seq)
        return rows[0][0] if rows else None

    async def purge(self, conversation: DueConversation, span: Span) -> None:
        """See `RetentionRows`. The stamp of the head is larger than those of all rows of these items."""
        key, stamp = conversation.key, conversation.head.stamp
        for bucket, part in spans_of_buckets(span, from_end=False):
            await self._write("purge", stamp, *key, bucket, part.last)
        await self._write("purge_deleted", stamp, *key, span.last)

    async def _heads(self, keys: Sequence[TargetKey]) -> dict[TargetKey, Head]:
        asked = list(by_tenant(keys))
        pages = await all_of([self._rows("heads", *ask) for ask in asked])
        return {
            (tenant, name): head_of(row)
            for (tenant, _), rows in zip(asked, pages, strict=True)
            for name, *row in rows
            if row[0] is not None
        }

    async def _write(self, name: str, *values: Any) -> None:
        statement = self._statements[name].bind(values)
        statement.is_idempotent = True
        await self._cassandra.write(statement)

    async def _rows(self, name: str, *values: Any) -> list[Any]:
        return await self._cassandra.rows(self._statements[name], values)


async def open_cassandra_retention(cassandra: Cassandra) -> CassandraRetention:
    """Prepares the statements. Raises Unavailable."""
    return CassandraRetention(cassandra, await cassandra.prepare_all(_CQL))
