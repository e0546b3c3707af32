"""The tables of conversations in Cassandra: loaded for decisions, written after the entries of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cassandra.query import PreparedStatement

from kit.adapters.cassandra.batches import Part, all_of, divided
from kit.adapters.cassandra.engine import Cassandra
from kit.adapters.cassandra.schema import Schema
from kit.tenant_keys import TargetKey
from message_svc.adapters.cassandra_rows import (
    HEAD,
    MEMBER,
    ROWS_AT_ONCE,
    by_bucket,
    by_tenant,
    groups,
    operation_bucket,
    selected,
    spans_of_buckets,
)
from message_svc.adapters.cassandra_writes import STATEMENTS, parts_of
from message_svc.adapters.rows import head_of, member_of
from message_svc.domain import SENDERS_AMONG, Head, ItemFacts, ItemType, Kind, Member, Operation, Span
from message_svc.model.conversation import senders_after
from message_svc.model.state import MEMBERS_AT_ONCE, LoadedConversation, LoadedState, LoadRequest, Writes

SCHEMA = Schema("message_svc", Path(__file__).with_name("cassandra"))
_OF_ONE = "WHERE tenant = ? AND conversation_id = ?"
_OF_SOME = "WHERE tenant = ? AND conversation_id IN ?"
_READS = {
    "heads": f"SELECT DISTINCT conversation_id, {selected(*HEAD)} FROM conversations {_OF_SOME}",
    # Former members are filtered by the server, within the partition.
    "members": f"SELECT conversation_id, {selected(*MEMBER)} FROM conversations {_OF_SOME} AND role > 0"
    " PER PARTITION LIMIT ? ALLOW FILTERING",
    # Items that are no messages are filtered by the server, within the partition.
    "senders": f"SELECT sender_id, seq FROM messages {_OF_ONE} AND bucket = ? AND seq >= ? AND seq <= ? AND type = 2"
    " ORDER BY seq ASC ALLOW FILTERING",
    "some_members": f"SELECT {selected(*MEMBER)} FROM conversations {_OF_ONE} AND user_id IN ?",
    "facts": f"SELECT seq, type, sender_id, ordinal, deleted_at FROM messages {_OF_ONE} AND bucket = ? AND seq IN ?",
    "operations": "SELECT user_id, op_id, digest, seq, time_ms, ordinal, reason FROM conversation_operations"
    f" {_OF_ONE} AND bucket IN ? AND (user_id, op_id) IN ?",
}


class CassandraTables:
    """See `kit.ledger.ports.Tables`; the values are of `message_svc.model.state`. Made by `open_cassandra_tables`."""

    def __init__(self, cassandra: Cassandra, statements: Mapping[str, PreparedStatement]) -> None:
        self._cassandra = cassandra
        self._statements = statements

    async def load(self, shard: int, need: LoadRequest) -> LoadedState:
        """See `Tables`."""
        # The rows need not be of the same moment: later changes are in entries that overlay all of them.
        conversations, members, facts, operations = await all_of(
            [
                self._conversations(need.conversations),
                self._members(need.members),
                self._facts(need.items),
                self._operations(need.operations),
            ]
        )
        return LoadedState(conversations, members, facts, operations)

    async def write(self, shard: int, writes: Writes) -> None:
        """See `Tables`. Heads last: what a head names can be read."""
        first: list[Part] = []
        last: list[Part] = []
        for rows, head in parts_of(shard, self._statements, writes.conversations):
            first += rows
            last.append(head)
        for parts in (first, last):
            for batches in divided(parts):
                await all_of([self._cassandra.write(batch) for batch in batches])

    async def _conversations(self, keys: Sequence[TargetKey]) -> dict[TargetKey, LoadedConversation]:
        asked = list(by_tenant(keys))
        heads, members = await all_of(
            [
                all_of([self._rows("heads", *ask) for ask in asked]),
                all_of([self._rows("members", *ask, MEMBERS_AT_ONCE + 1) for ask in asked]),
            ]
        )
        head_by_key: dict[TargetKey, Head] = {}
        rows_by_key: dict[TargetKey, list[Member]] = {}
        for (tenant, _), some_heads, some_members in zip(asked, heads, members, strict=True):
            # A conversation whose head is not written yet has rows, at most.
            head_by_key |= {(tenant, name): head_of(row) for name, *row in some_heads if row[0] is not None}
            for name, *row in some_members:
                rows_by_key.setdefault((tenant, name), []).append(member_of(row))
        in_groups = [(key, head) for key, head in head_by_key.items() if head.kind is Kind.GROUP]
        senders = await all_of([self._senders(key, head) for key, head in in_groups])
        senders_by_key = {key: some for (key, _), some in zip(in_groups, senders, strict=True)}
        found: dict[TargetKey, LoadedConversation] = {}
        for key in keys:
            rows = rows_by_key.get(key, [])
            has_all = len(rows) <= MEMBERS_AT_ONCE
            members_found = rows if has_all else ()
            found[key] = LoadedConversation(head_by_key.get(key), members_found, has_all, senders_by_key.get(key, ()))
        return found

    async def _senders(self, key: TargetKey, head: Head) -> list[tuple[str, int]]:
        latest = Span(max(head.last_seq - SENDERS_AMONG + 1, 1), head.last_seq)
        parts = spans_of_buckets(latest, from_end=False)
        pages = await all_of([self._rows("senders", *key, bucket, *part) for bucket, part in parts])
        return list(senders_after({}, [(sender, seq) for rows in pages for sender, seq in rows]).items())

    async def _members(self, asked: Mapping[TargetKey, Sequence[str]]) -> dict[TargetKey, dict[str, Member]]:
        reads = [(key, some) for key, users in asked.items() for some in groups(users, ROWS_AT_ONCE)]
        pages = await all_of([self._rows("some_members", *key, users) for key, users in reads])
        found: dict[TargetKey, dict[str, Member]] = {}
        for (key, _), rows in zip(reads, pages, strict=True):
            found.setdefault(key, {}).update((member.user, member) for member in map(member_of, rows))
        return found

    async def _facts(self, asked: Mapping[TargetKey, Sequence[int]]) -> dict[TargetKey, dict[int, ItemFacts]]:
        reads = [(key, *some) for key, seqs in asked.items() for some in by_bucket(seqs)]
        pages = await all_of([self._rows("facts", *key, bucket, seqs) for key, bucket, seqs in reads])
        found: dict[TargetKey, dict[int, ItemFacts]] = {}
        for (key, _, _), rows in zip(reads, pages, strict=True):
            for seq, type_, sender, ordinal, deleted_at in rows:
                facts = ItemFacts(ItemType(type_), sender, ordinal, deleted_at is not None)
                found.setdefault(key, {})[seq] = facts
        return found

    async def _operations(
        self, asked: Sequence[tuple[TargetKey, str, str]]
    ) -> dict[tuple[TargetKey, str, str], Operation]:
        by_key: dict[TargetKey, list[tuple[str, str]]] = {}
        for key, user, op_id in asked:
            by_key.setdefault(key, []).append((user, op_id))
        reads = [(key, some) for key, made in by_key.items() for some in groups(made, ROWS_AT_ONCE)]
        pages: list[list[Any]] = await all_of(
            [
                self._rows("operations", *key, sorted({operation_bucket(*each) for each in made}), made)
                for key, made in reads
            ]
        )
        return {
            (key, row[0], row[1]): Operation(*row) for (key, _), rows in zip(reads, pages, strict=True) for row in rows
        }

    async def _rows(self, name: str, *values: Any) -> list[Any]:
        return await self._cassandra.rows(self._statements[name], values)


async def open_cassandra_tables(cassandra: Cassandra) -> CassandraTables:
    """Prepares the statements. Raises Unavailable."""
    return CassandraTables(cassandra, await cassandra.prepare_all({**STATEMENTS, **_READS}))
