"""Copies the data of the version before the ledger in Cassandra into the tables of the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import blake2b
from typing import Any

import msgspec

from kit.adapters.cassandra.batches import all_of
from kit.adapters.cassandra.engine import Cassandra
from kit.engine_url import CannotUse
from kit.errors import Problem
from kit.ledger.op_ids import location_of
from kit.target import partition_of
from reaction_svc.adapters.cassandra_tables import CassandraTables, open_cassandra_tables
from reaction_svc.domain import OperationRow, TargetHead
from reaction_svc.model.state import AnswerWrites, TargetWrites, Writes

_PAGE = 50
_FIRST_TOKEN = -(1 << 63)
_NAME = "reaction_svc.records"
_TARGETS = (
    "SELECT DISTINCT tenant, target, bucket, head, token(tenant, target, bucket) FROM reactions"
    " WHERE token(tenant, target, bucket) > ? LIMIT ?"
)
_RECORDS = "SELECT user, emoji, held, version FROM reactions WHERE tenant = ? AND target = ? AND bucket IN ?"
_SLICES = (
    "SELECT DISTINCT tenant, target, slice, token(tenant, target, slice) FROM operations"
    " WHERE token(tenant, target, slice) > ? LIMIT ?"
)
_ANSWERS = "SELECT part, stamp, answers FROM operations WHERE tenant = ? AND target = ? AND slice = ?"
_OUTBOXES = "SELECT node, generation FROM outbox_node"
# (user, emoji, action, on, version, op_id)
_decode_answers = msgspec.msgpack.Decoder(list[tuple[str, str, int, bool, int, str]]).decode


class _OldHead(msgspec.Struct):
    stamp: int
    version: int
    spread: int = 1
    highest: str = ""
    ahead: list[str] = []


_decode_head = msgspec.json.Decoder(_OldHead).decode


async def needs_upgrade(cassandra: Cassandra) -> bool:
    """Whether there are records of the earlier version that were not copied. Raises Unavailable."""
    if not await cassandra.execute("SELECT tenant FROM reactions LIMIT 1"):
        return False
    return not await cassandra.execute(f"SELECT number FROM schema_migration WHERE component = '{_NAME}'")


async def upgrade(cassandra: Cassandra, shards: int, op_seconds: float) -> None:
    """Copies all records and answers; it can be repeated without loss, also after changes in the new tables.

    No process of the earlier version may run. Raises CannotUse where one has unfinished work, or Cassandra fails.
    """
    try:
        await _check_outboxes(cassandra)
        tables = await open_cassandra_tables(cassandra, op_seconds)
        async for page in _pages(cassandra, _TARGETS):
            heads = [(tenant, target, head) for tenant, target, bucket, head, _ in page if bucket == 0 and head]
            await tables.write(0, Writes(await all_of(_target(cassandra, *each) for each in heads), []))
        async for page in _pages(cassandra, _SLICES):
            await all_of(_copy_answers(cassandra, tables, shards, *row[:3]) for row in page)
        await cassandra.execute(
            f"INSERT INTO schema_migration (component, number, file) VALUES ('{_NAME}', 1, 'records')"
        )
    except Problem as problem:
        raise CannotUse(f"the records of the version before could not be copied, try again: {problem}") from problem


async def _check_outboxes(cassandra: Cassandra) -> None:
    # A process that stops publishes its events and removes its outbox; for a killed one, another process does that.
    if any(generation is not None for _, generation in await cassandra.execute(_OUTBOXES)):
        raise CannotUse(
            "processes of the version before run, or were killed with changes that are not published: start one of that"
            " version, wait until plaudit_reaction_outbox_facts is 0, stop it, and migrate then"
        )


async def _pages(cassandra: Cassandra, cql: str) -> AsyncIterator[list[Any]]:
    """The partitions of a table in the order of their tokens, which are last in each row."""
    statement = await cassandra.prepare(cql)
    token = _FIRST_TOKEN
    while rows := await cassandra.rows(statement, (token, _PAGE), timeout=10.0):
        yield rows
        token = rows[-1][-1]


async def _target(cassandra: Cassandra, tenant: str, target: str, text: str) -> TargetWrites:
    old = _decode_head(text)
    statement = await cassandra.prepare(_RECORDS)
    rows = await cassandra.rows(statement, (tenant, target, list(range(old.spread))), timeout=10.0)
    # While a target was hot, records went to several buckets: the newest of a user and an emoji is valid.
    newest = {(row[0], row[1]): row for row in sorted(rows, key=lambda row: row[3] or 0) if row[0] is not None}
    records = [(user, emoji, True, version) for user, emoji, held, version in newest.values() if held]
    counts: dict[str, int] = {}
    for _, emoji, _, _ in records:
        counts[emoji] = counts.get(emoji, 0) + 1
    version = max([old.version, *(row[3] for row in newest.values())])
    head = TargetHead(version, old.stamp, counts, old.highest, tuple(old.ahead))
    return TargetWrites((tenant, target), old.stamp, head, records)


async def _copy_answers(
    cassandra: Cassandra, tables: CassandraTables, shards: int, tenant: str, target: str, slice_: str
) -> None:
    found: list[AnswerWrites] = []
    statement = await cassandra.prepare(_ANSWERS)
    for part, stamp, blob in await cassandra.rows(statement, (tenant, target, slice_)):
        places: dict[tuple[int, int], list[Any]] = {}
        for user, emoji, action, on, version, op_id in _decode_answers(blob):
            row = OperationRow(user, "", "", version, op_id, emoji, action, on)
            places.setdefault(location_of((tenant, target), op_id), []).append(row)
        # Targets of one batch had the same stamp, but here no two may share a row. So they get a number that is the
        # same each time, and less than the stamps of all entries.
        name = blake2b(f"{tenant}/{target}/{slice_}/{part}/{stamp}".encode(), digest_size=6)
        number = int.from_bytes(name.digest(), "big")
        found += (AnswerWrites(number, *place, [(tenant, target, rows)]) for place, rows in places.items())
    await tables.write(partition_of(tenant, target, shards), Writes([], found))
