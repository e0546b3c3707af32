"""The statements of the store in Cassandra, and how a batch becomes rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cassandra.query import PreparedStatement

from kit.adapters.cassandra import Cassandra
from kit.adapters.cassandra_raw import (
    bigint,
    boolean,
    int32,
    raw_row,
    routing_key,
    smallint,
    tinyint,
)
from kit.adapters.cassandra_schema import Schema
from reaction_svc.adapters.cassandra_batch import (
    Batch,
    Entry,
    Head,
    OpRow,
    Record,
    bucket_of,
    decode_answers,
    decode_batch,
    decode_head,
    encode_answers,
    encode_head,
    records_of,
    sliced,
)
from reaction_svc.adapters.cassandra_parts import LARGE, Part, divided
from reaction_svc.adapters.cassandra_statements import CQL

Key = tuple[str, str]
SCHEMA = Schema("reaction_svc", Path(__file__).with_name("cassandra"))
SLOT = 1_000  # batches of an outbox in one partition
_KEYS_AT_ONCE = 100
_USERS_AT_ONCE = 500
_OUTBOX_SECONDS = 86_400


class Row(NamedTuple):
    """A record as it is read."""

    user: str
    emoji: str
    held: bool
    version: int
    op_id: str
    action: int


class OutboxNode(NamedTuple):
    """The state of an outbox: see the schema."""

    node: str
    generation: str
    published: int
    cut: int | None


class Rows:
    """The tables. Made by `Rows.prepared`. Methods raise `kit.errors.Unavailable`, writing ones OutcomeUnknown too."""

    def __init__(self, cassandra: Cassandra, statements: dict[str, PreparedStatement], op_seconds: float) -> None:
        self._cassandra = cassandra
        self._statements = statements
        self._op_seconds = max(1, round(op_seconds))

    @classmethod
    async def prepared(cls, cassandra: Cassandra, op_seconds: float) -> Rows:
        """Prepares the statements."""
        found = await asyncio.gather(*(cassandra.prepare(cql) for cql in CQL.values()))
        for statement in found:
            statement.is_idempotent = True  # of the writes too: they bring their timestamp, or say all that is to be
        return cls(cassandra, dict(zip(CQL, found, strict=True)), op_seconds)

    async def save_batch(self, batch: Batch, blob: bytes, until: float) -> None:
        """Writes the outbox's row: from then on the batch has happened. `until` is on the monotonic clock."""
        values = (batch.node, batch.seq // SLOT, batch.seq, blob, _OUTBOX_SECONDS)
        await self._write(self._statements["save_batch"].bind(values), until)

    async def save_entries(
        self, entries: Sequence[Entry], until: float, records: Sequence[Sequence[Record]] | None = None
    ) -> None:
        """Writes all that follows from a batch; again or late, that changes nothing. `records`: of each entry."""
        parts: list[Part] = []
        for at, entry in enumerate(entries):
            parts += self._parts(entry, records[at] if records else records_of(entry))
        await all_of(*(self._write(batch, until) for batch in divided(parts)))

    def _parts(self, entry: Entry, records: Sequence[Record]) -> list[Part]:
        """What is to be written to each partition."""
        tenant, target, head = entry.tenant.encode(), entry.target.encode(), entry.head
        buckets, stamp = head.buckets, bigint(head.stamp)
        text = encode_head(head)
        first = [raw_row(self._statements["save_head"], (tenant, target, text, stamp))]
        size = len(text) + (200 * len(records) if buckets == 1 else 0)
        found = [Part(routing_key(tenant, target, smallint(0)), first, size)]
        by_bucket = {0: first}
        save = self._statements["save_record"].query_id
        numbers = [smallint(bucket) for bucket in range(buckets)]
        place, rows = numbers[0], first
        for user, emoji, held, version, op_id, action in records:
            if buckets > 1:
                bucket = bucket_of(user, buckets)
                place = numbers[bucket]
                if bucket not in by_bucket:
                    by_bucket[bucket] = []
                    found.append(Part(routing_key(tenant, target, place), by_bucket[bucket], LARGE))
                rows = by_bucket[bucket]
            values = (
                tenant, target, place, user.encode(), emoji.encode(), boolean[held], bigint(version), op_id.encode(),
                tinyint(action), stamp,
            )  # fmt: skip
            rows.append((True, save, values))
        return found + self._answer_parts(tenant, target, stamp, entry.ops)

    def _answer_parts(self, tenant: bytes, target: bytes, stamp: bytes, ops: Sequence[OpRow]) -> list[Part]:
        found: dict[str, Part] = {}
        save = self._statements["save_answers"]
        seconds = int32(self._op_seconds)
        for (slice_, part), some in sliced(ops).items():
            blob = encode_answers(some)
            name = slice_.encode()
            known = found.get(slice_) or Part(routing_key(tenant, target, name), [], 0)
            known.rows.append(raw_row(save, (tenant, target, name, part.encode(), stamp, blob, stamp, seconds)))
            found[slice_] = known._replace(size=known.size + 200 + len(blob))
        return list(found.values())

    async def heads(self, keys: Iterable[Key]) -> dict[Key, Head]:
        """The heads of those targets that have one."""
        tenants: dict[str, list[str]] = {}
        for tenant, target in keys:
            tenants.setdefault(tenant, []).append(target)
        asked = [
            (tenant, targets[at : at + _KEYS_AT_ONCE])
            for tenant, targets in tenants.items()
            for at in range(0, len(targets), _KEYS_AT_ONCE)
        ]
        pages = await all_of(*(self._rows("heads", *ask) for ask in asked))
        return {
            (tenant, target): decode_head(head)
            for (tenant, _), rows in zip(asked, pages, strict=True)
            for target, head in rows
            if head is not None
        }

    async def records(self, key: Key, spread: int, users: Sequence[str]) -> list[Row]:
        """All records of these people on a target, also those that are off; the latest where there are several."""
        places: dict[int, list[str]] = {0: list(users)}
        if spread > 1:
            for user in users:
                bucket = bucket_of(user, spread)
                if bucket:
                    places.setdefault(bucket, []).append(user)
        pages = await all_of(
            *(
                self._rows("records", *key, bucket, some[at : at + _USERS_AT_ONCE])
                for bucket, some in places.items()
                for at in range(0, len(some), _USERS_AT_ONCE)
            )
        )
        rows = [Row(*row) for page in pages for row in page]
        return latest(rows) if spread > 1 else rows

    async def own(self, tenant: str, user: str, targets: Sequence[str], bucket: int) -> list[Any]:
        """(target, emoji, held, version) of one person in one bucket of each target."""
        parts = [targets[at : at + _KEYS_AT_ONCE] for at in range(0, len(targets), _KEYS_AT_ONCE)]
        pages = await all_of(*(self._rows("own", tenant, part, bucket, user) for part in parts))
        return [row for page in pages for row in page]

    async def scan(self, key: Key, spread: int) -> list[Row]:
        """All records of a target, the latest where there are several."""
        pages = await all_of(*(self._rows("scan", *key, bucket, timeout=10.0) for bucket in range(spread)))
        # A partition with nothing but its head answers with one row of nothing.
        rows = [Row(row[0], row[1], row[2], row[3], "", 0) for page in pages for row in page if row[0] is not None]
        return latest(rows) if spread > 1 else rows

    async def answers(self, key: Key, places: Iterable[tuple[str, str]]) -> list[OpRow]:
        """The answers kept in these places of a target; see `cassandra_batch.slice_of`."""
        slices: dict[str, list[str]] = {}
        for slice_, part in places:
            slices.setdefault(slice_, []).append(part)
        pages = await all_of(
            *(
                self._rows("answers", *key, slice_, parts[at : at + _KEYS_AT_ONCE])
                for slice_, parts in slices.items()
                for at in range(0, len(parts), _KEYS_AT_ONCE)
            )
        )
        return [op for page in pages for (answers,) in page for op in decode_answers(answers)]

    async def targets(self, after: int, limit: int) -> list[Any]:
        """(tenant, target, bucket, head, place) of the partitions behind a place, in the order of their places."""
        return await self._rows("targets", after, limit)

    async def batches(self, node: str, after: int) -> list[tuple[Batch, bytes]]:
        """The next batches of an outbox without a gap, some hundred at most; empty at its end."""
        rows = await self._rows("batches", node, (after + 1) // SLOT, after, 200)
        found: list[tuple[Batch, bytes]] = []
        for seq, blob in rows:
            if seq != after + 1:
                break
            after = seq
            found.append((decode_batch(blob), blob))
        return found

    async def nodes(self) -> list[OutboxNode]:
        """All outboxes that are not finished."""
        return [OutboxNode(*row) for row in await self._rows("nodes") if row[1] is not None]

    async def node(self, node: str) -> OutboxNode | None:
        """One outbox, unless it is finished."""
        rows = await self._rows("node", node)
        return OutboxNode(*rows[0]) if rows and rows[0][1] is not None else None

    async def save_node(self, node: str, generation: str) -> None:
        """Begins an outbox."""
        await self._execute("save_node", node, generation, 0)

    async def save_published(self, node: str, seq: int) -> None:
        """Says up to where an outbox is on the log."""
        await self._execute("save_published", seq, node)

    async def save_cut(self, node: str, seq: int) -> None:
        """Cuts an outbox off: what is behind has not happened."""
        await self._execute("save_cut", seq, node)

    async def drop_node(self, node: str) -> None:
        """Forgets a finished outbox."""
        await self._execute("drop_node", node)

    async def _rows(self, name: str, *values: Any, timeout: float | None = None) -> list[Any]:
        return await self._cassandra.rows(self._statements[name], values, timeout=timeout)

    async def _execute(self, name: str, *values: Any) -> None:
        await self._cassandra.write(self._statements[name].bind(values))

    async def _write(self, statement: Any, until: float) -> None:
        await self._cassandra.write(statement, timeout=max(0.001, until - time.monotonic()))


def latest(rows: Iterable[Row]) -> list[Row]:
    """One record for each person and emoji: that of the larger version."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        known = found.get((row.user, row.emoji))
        if known is None or row.version > known.version:
            found[row.user, row.emoji] = row
    return list(found.values())


async def all_of(*work: Any) -> list[Any]:
    """Waits for all, also where one fails, so that nothing goes on unseen; raises the first failure."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


__all__ = ["SCHEMA", "Key", "OutboxNode", "Row", "Rows", "latest"]
