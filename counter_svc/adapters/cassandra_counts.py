"""Snapshots of counts in Cassandra: rows that win by version, then the position they are folded to."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cassandra.query import BatchStatement, BatchType, PreparedStatement

from counter_svc.domain import Key, Totals, totals
from kit.adapters.cassandra import Cassandra
from kit.adapters.cassandra_schema import Schema

SCHEMA = Schema("counter_svc", Path(__file__).with_name("cassandra"))
SLOTS = 64
_ROWS = 100  # in one batch: some ten kilobytes
_AT_ONCE = 32  # statements of one save or load


def slot_of(key: Key) -> int:
    """Which part of its partition a target is in: the bits of its hash that `partition_of` uses least."""
    return zlib.crc32("/".join(key).encode()) >> 26


@dataclass(frozen=True)
class _Statements:
    load: PreparedStatement
    put: PreparedStatement
    first_keys: PreparedStatement
    keys: PreparedStatement
    position: PreparedStatement
    put_position: PreparedStatement


class CassandraCountStore:
    """See `ports.CountStore`.

    A row's write timestamp is its version, or a later one where a correction had to win over a higher version; then
    the timestamps of its next versions go on from there. So it is with the position, which is its own timestamp: no
    clock has a say in what wins.
    """

    def __init__(self, cassandra: Cassandra, statements: _Statements, partitions: int, partition: int) -> None:
        self._cassandra = cassandra
        self._do = statements
        self._place = (partitions, partition)
        self._ahead: dict[Key, int] = {}
        self._position = 0
        self._position_stamp = 0

    async def position(self) -> int:
        """See `ports.CountStore`."""
        rows = await self._cassandra.rows(self._do.position, self._place)
        if rows:
            self._position, self._position_stamp = map(int, rows[0])
        return self._position

    async def load(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """See `ports.CountStore`."""
        found: dict[Key, Totals] = {}
        for (tenant, target), version, reactions, written in await self._rows(keys):
            key = (tenant, target)
            found[key] = totals(version, reactions or {})
            if written > version:
                self._ahead[key] = written
        return found

    async def save(self, totals: Mapping[Key, Totals], position: int, corrected: Collection[Key] = ()) -> None:
        """See `ports.CountStore`."""
        if corrected:
            for key, _, _, written in await self._rows(list(corrected)):
                self._ahead[key] = written
        stamps = {key: self._stamp(key, value.version) for key, value in totals.items()}
        by_slot: dict[int, list[Any]] = {}
        for key, value in totals.items():
            slot = slot_of(key)
            row = (*self._place, slot, *key, value.version, dict(value.reactions), stamps[key])
            by_slot.setdefault(slot, []).append(self._do.put.bind(row))
        await _all(self._cassandra.write(batch) for rows in by_slot.values() for batch in _batches(rows))
        self._ahead.update((key, stamp) for key, stamp in stamps.items() if key in self._ahead)
        for key in [key for key in totals if self._ahead.get(key, 0) == totals[key].version]:
            del self._ahead[key]
        if position != self._position:
            stamp = max(position, self._position_stamp + 1)
            put_position = self._do.put_position.bind((*self._place, position, stamp))
            put_position.is_idempotent = True
            await self._cassandra.write(put_position)
            self._position, self._position_stamp = position, stamp

    async def keys(self, after: Key | None, limit: int) -> Sequence[Key]:
        """See `ports.CountStore`. The order is that of the slots, and within a slot that of the keys."""
        found: list[Key] = []
        for slot in range(0 if after is None else slot_of(after), SLOTS):
            place: tuple[Any, ...] = (*self._place, slot)
            if after is not None and slot == slot_of(after):
                rows = await self._cassandra.rows(self._do.keys, (*place, *after, limit - len(found)))
            else:
                rows = await self._cassandra.rows(self._do.first_keys, (*place, limit - len(found)))
            found += [(str(tenant), str(target)) for tenant, target in rows]
            if len(found) >= limit:
                break
        return found

    def _stamp(self, key: Key, version: int) -> int:
        ahead = self._ahead.get(key)
        return version if ahead is None else max(version, ahead + 1)

    async def _rows(self, keys: Sequence[Key]) -> list[tuple[Key, int, dict[str, int] | None, int]]:
        by_slot: dict[int, list[Key]] = {}
        for key in keys:
            by_slot.setdefault(slot_of(key), []).append(key)
        found: list[tuple[Key, int, dict[str, int] | None, int]] = []

        async def read(slot: int, names: list[Key]) -> None:
            for tenant, target, *rest in await self._cassandra.rows(self._do.load, (*self._place, slot, names)):
                found.append(((tenant, target), *rest))

        await _all(read(slot, part) for slot, names in by_slot.items() for part in _parts(names))
        return found


class CassandraCountStores:
    """See `ports.CountStores`. Made by `open_cassandra_stores`."""

    def __init__(self, cassandra: Cassandra, statements: _Statements, partitions: int) -> None:
        self._cassandra = cassandra
        self._statements = statements
        self._partitions = partitions

    def of(self, partition: int) -> CassandraCountStore:
        """See `ports.CountStores`."""
        return CassandraCountStore(self._cassandra, self._statements, self._partitions, partition)


async def open_cassandra_stores(cassandra: Cassandra, partitions: int) -> CassandraCountStores:
    """The snapshots of a log with so many partitions. Raises Unavailable."""
    counts, positions = f"{cassandra.keyspace}.counter_counts", f"{cassandra.keyspace}.counter_position"
    of_slot = "WHERE partitions = ? AND partition = ? AND slot = ?"
    load = f"SELECT tenant, target, version, reactions, writetime(version) FROM {counts} {of_slot}"
    keys = f"SELECT tenant, target FROM {counts} {of_slot}"
    statements = _Statements(
        load=await cassandra.prepare(f"{load} AND (tenant, target) IN ?"),
        put=await cassandra.prepare(
            f"INSERT INTO {counts} (partitions, partition, slot, tenant, target, version, reactions)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        ),
        first_keys=await cassandra.prepare(f"{keys} LIMIT ?"),
        keys=await cassandra.prepare(f"{keys} AND (tenant, target) > (?, ?) LIMIT ?"),
        position=await cassandra.prepare(
            f"SELECT position, writetime(position) FROM {positions} WHERE partitions = ? AND partition = ?"
        ),
        put_position=await cassandra.prepare(
            f"INSERT INTO {positions} (partitions, partition, position) VALUES (?, ?, ?) USING TIMESTAMP ?"
        ),
    )
    return CassandraCountStores(cassandra, statements, partitions)


def _parts(names: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(names)
    while part := list(islice(rest, _ROWS)):
        yield part


def _batches(rows: Sequence[Any]) -> Iterator[BatchStatement]:
    for part in _parts(rows):
        batch = BatchStatement(BatchType.UNLOGGED)
        batch.is_idempotent = True
        batch.add_all(part, [()] * len(part))
        yield batch


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Does everything, some at a time; raises the first failure once nothing is under way."""
    rest = iter(work)
    while part := list(islice(rest, _AT_ONCE)):
        for failure in await asyncio.gather(*part, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
