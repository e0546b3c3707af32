"""The entries of a ledger in Cassandra: each append is one conditional batch in the partition of the shard."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cassandra.query import BatchStatement, BatchType, PreparedStatement

from kit.adapters.cassandra.engine import Cassandra
from kit.adapters.cassandra.schema import Schema
from kit.engine_url import CannotUse
from kit.errors import OutcomeUnknown, Problem
from kit.ids import new_id
from kit.ledger.entry import Entry
from kit.ledger.ports import Page, Watermarks

SCHEMA = Schema("ledger", Path(__file__).with_name("ledger_schema"))


@dataclass(frozen=True, slots=True)
class _Statements:
    advance: PreparedStatement
    insert: PreparedStatement
    read: PreparedStatement
    tail: PreparedStatement
    marks: PreparedStatement
    save_applied: PreparedStatement
    save_published: PreparedStatement
    trim: PreparedStatement


_SHARD = "WHERE ledger = ? AND shard = ?"


async def _prepare(cassandra: Cassandra) -> _Statements:
    prepare = cassandra.prepare
    return _Statements(
        advance=await prepare(f"UPDATE ledger_entry SET tail = ? {_SHARD} IF tail = ?"),
        insert=await prepare(
            "INSERT INTO ledger_entry (ledger, shard, position, append_id, stamp, payload) VALUES (?, ?, ?, ?, ?, ?)"
        ),
        read=await prepare(
            f"SELECT position, append_id, stamp, payload, tail FROM ledger_entry {_SHARD} AND position >= ? LIMIT ?"
        ),
        tail=await prepare(f"SELECT DISTINCT tail FROM ledger_entry {_SHARD}"),
        marks=await prepare(f"SELECT applied, published FROM ledger_mark {_SHARD}"),
        save_applied=await prepare(f"UPDATE ledger_mark USING TIMESTAMP ? SET applied = ? {_SHARD}"),
        save_published=await prepare(f"UPDATE ledger_mark USING TIMESTAMP ? SET published = ? {_SHARD}"),
        trim=await prepare(f"DELETE FROM ledger_entry {_SHARD} AND position < ?"),
    )


class CassandraLedger:
    """See `kit.ledger.ports.LedgerStore`. Made by `open_cassandra_ledger`."""

    is_atomic = False

    def __init__(self, cassandra: Cassandra, statements: _Statements, name: str, incarnation: str) -> None:
        self.incarnation = incarnation
        self._cassandra = cassandra
        self._statements = statements
        self._name = name

    async def commit(self, shard: int, entry: Entry, writes: Any = None) -> bool:
        """See `LedgerStore`. Sent once: neither the driver nor this class retries it."""
        shard_key = (self._name, shard)
        position = entry.position
        # Both rows are in one partition, so the condition on the first holds for the whole batch.
        batch = BatchStatement(BatchType.UNLOGGED)
        batch.add(self._statements.advance.bind((position, *shard_key, position - 1 or None)))
        batch.add(self._statements.insert.bind((*shard_key, position, entry.append_id, entry.stamp, entry.payload)))
        rows = await self._cassandra.conditional(batch)
        return bool(rows[0][0])

    async def read(self, shard: int, after: int, limit: int) -> Page:
        """See `LedgerStore`."""
        # Every row has the last position, and the last row is never trimmed. So the row at `after` is read, too: if it
        # is the last one, it has the last position at the same moment.
        bound = self._statements.read.bind((self._name, shard, max(after, 1), limit + 1))
        rows = await self._cassandra.rows(bound, page_size=limit + 2, serial=True)
        if not rows:
            return Page((), await self.tail(shard, confirm=True) if after else 0)
        entries = [Entry(*row[:4]) for row in rows if row[0] > after]
        return Page(entries[:limit], rows[0][4])

    async def tail(self, shard: int, *, confirm: bool) -> int:
        """See `LedgerStore`."""
        rows = await self._cassandra.rows(self._statements.tail.bind((self._name, shard)), serial=confirm)
        return int(rows[0][0]) if rows and rows[0][0] is not None else 0

    async def watermarks(self, shard: int) -> Watermarks:
        """See `LedgerStore`."""
        rows = await self._cassandra.rows(self._statements.marks, (self._name, shard))
        return Watermarks(rows[0][0] or 0, rows[0][1] or 0) if rows else Watermarks()

    async def save_watermarks(self, shard: int, marks: Watermarks) -> None:
        """See `LedgerStore`."""
        shard_key = (self._name, shard)
        batch = BatchStatement(BatchType.UNLOGGED)
        # The position is the timestamp, so the larger value wins in any order of the writes.
        batch.add(self._statements.save_applied.bind((marks.applied, marks.applied, *shard_key)))
        batch.add(self._statements.save_published.bind((marks.published, marks.published, *shard_key)))
        await self._cassandra.write(batch)

    async def trim(self, shard: int, before: int) -> None:
        """See `LedgerStore`."""
        await self._cassandra.write(self._statements.trim.bind((self._name, shard, before)))


async def open_cassandra_ledger(cassandra: Cassandra, name: str, shards: int) -> CassandraLedger:
    """Opens a ledger; creates it with so many shards where it does not exist.

    Raises CannotUse where it has another number of shards, and where Cassandra does not answer. `open_cassandra` has
    checked that the keyspace is in one data centre.
    """
    try:
        found_shards, incarnation = await _meta(cassandra, name, shards)
        if found_shards != shards:
            raise CannotUse(
                f"the ledger {name} in the keyspace {cassandra.keyspace} was made with {found_shards} shards,"
                f" it cannot be opened with {shards}"
            )
        return CassandraLedger(cassandra, await _prepare(cassandra), name, incarnation)
    except Problem as problem:
        raise CannotUse(f"the ledger {name} cannot be opened: {problem}") from problem


async def _meta(cassandra: Cassandra, name: str, shards: int) -> tuple[int, str]:
    """The number of shards and the incarnation, as the first process that opened the ledger wrote them."""
    read = await cassandra.prepare("SELECT shards, incarnation FROM ledger_meta WHERE ledger = ?")
    make = await cassandra.prepare(
        "INSERT INTO ledger_meta (ledger, shards, incarnation) VALUES (?, ?, ?) IF NOT EXISTS"
    )
    rows = await cassandra.rows(read, (name,), serial=True)
    if not rows:
        # If the outcome is unknown, the serial read below settles it.
        with suppress(OutcomeUnknown):
            await cassandra.conditional(make.bind((name, shards, new_id())))
        rows = await cassandra.rows(read, (name,), serial=True)
    if not rows:
        raise CannotUse(f"the ledger {name} could not be made, try again")
    return int(rows[0][0]), str(rows[0][1])
