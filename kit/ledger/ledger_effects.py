"""Performs the effects of shards on the stores of the ledger."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from kit.errors import Problem
from kit.ledger import metrics
from kit.ledger.append_outcomes import AppendOutcomes
from kit.ledger.ports import LedgerEventLog, LedgerStore, Tables
from kit.ledger.shard.effects import (
    Append,
    Effect,
    LoadTables,
    Publish,
    ReadEntries,
    ReadTail,
    ReadWatermarks,
    SaveWatermarks,
    Trim,
    WriteTables,
)


class LedgerEffects:
    """The effects of the shards of one ledger. `event_log` is None where the store publishes its entries itself."""

    def __init__(self, name: str, store: LedgerStore, tables: Tables, event_log: LedgerEventLog | None) -> None:
        self._append_outcomes = AppendOutcomes(name)
        self._store = store
        self._tables = tables
        self._event_log = event_log

    async def perform(self, shard: int, effect: Effect) -> Any:
        """The result of the effect; raises Problem where it failed."""
        match effect:
            case Append(entry, writes):
                began = perf_counter()
                try:
                    committed = await self._store.commit(shard, entry, writes)
                except Problem as error:
                    self._append_outcomes.failed(error, asyncio.get_running_loop().time())
                    raise
                metrics.APPEND_SECONDS.observe(perf_counter() - began)
                metrics.ENTRY_BYTES.observe(len(entry.payload))
                self._append_outcomes.appended(committed)
                return committed
            case WriteTables(writes, _):
                with metrics.TABLES_SECONDS.time():
                    return await self._tables.write(shard, writes)
            case LoadTables(need, _):
                return await self._tables.load(shard, need)
            case ReadEntries(after, limit, _):
                return await self._store.read(shard, after, limit)
            case ReadTail(confirm):
                return await self._store.tail(shard, confirm=confirm)
            case ReadWatermarks():
                return await self._store.watermarks(shard)
            case SaveWatermarks(marks):
                return await self._store.save_watermarks(shard, marks)
            case Trim(before):
                return await self._store.trim(shard, before)
            case Publish(entries):
                assert self._event_log is not None
                return await self._event_log.publish(shard, entries)
