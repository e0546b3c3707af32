"""One shard of reactions at full rate: the real ledger node, model and tables; only the event log is left out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

from kit.adapters.cassandra.engine import open_cassandra
from kit.adapters.cassandra.ledger import SCHEMA, CassandraLedger, open_cassandra_ledger
from kit.adapters.cassandra.schema import migrate
from kit.clock import SystemClock
from kit.errors import Problem
from kit.ids import new_id
from kit.ledger.entry import Entry
from kit.ledger.node import LedgerNode, running_node
from kit.ledger.shard.limits import ShardLimits
from kit.tasks import background
from reaction_svc.adapters import cassandra_tables
from reaction_svc.domain import Action, Op
from reaction_svc.ledger_codec import EventCodec
from reaction_svc.model.model import ModelLimits, ReactionModel

LEDGER = "reactions"
SHARD = 0
_TARGETS, _USERS = 20, 2_000
_EMOJIS = ("👍", "❤", "😆", "😮", "🎉")
_OP_SECONDS = 86_400.0
_STORE_SECONDS = 5.0
_CALL_SECONDS = 10.0
_PAUSE_SECONDS = 0.1


class TimedLedger:
    """See `kit.ledger.ports.LedgerStore`; notes how long each append takes, seconds."""

    is_atomic = False

    def __init__(self, ledger: CassandraLedger) -> None:
        self.incarnation = ledger.incarnation
        self.appends: list[float] = []
        self._ledger = ledger
        self.read, self.tail = ledger.read, ledger.tail
        self.watermarks, self.save_watermarks, self.trim = ledger.watermarks, ledger.save_watermarks, ledger.trim

    async def commit(self, shard: int, entry: Entry, writes: Any) -> bool:
        """See `LedgerStore`."""
        began = perf_counter()
        committed = await self._ledger.commit(shard, entry, writes)
        self.appends.append(perf_counter() - began)
        return committed


class NoEventLog:
    """See `kit.ledger.ports.Feed`: everything counts as published, so the entries are trimmed."""

    async def publish(self, shard: int, entries: Sequence[Entry]) -> None:
        """See `Feed`."""


class LoadCounters:
    """Callers that toggle reactions of random users, each with its next batch as soon as it has an answer."""

    def __init__(self, node: LedgerNode, ledger: TimedLedger) -> None:
        self.changes = 0
        self.failed = 0
        self._node = node
        self._ledger = ledger

    def take(self) -> tuple[list[float], int, int]:
        """The times of appends, seconds, the changes answered and the calls that failed since the last time."""
        found = sorted(self._ledger.appends), self.changes, self.failed
        self._ledger.appends.clear()
        self.changes = self.failed = 0
        return found

    async def call(self, commands: int) -> None:
        """One caller, until it is cancelled."""
        while True:
            try:
                await self._node.execute(SHARD, [_toggle() for _ in range(commands)], _CALL_SECONDS)
                self.changes += commands
            except Problem:
                self.failed += 1
                await asyncio.sleep(_PAUSE_SECONDS)  # as a client backs off


def _toggle() -> Op:
    target, user = f"messages/{random.randrange(_TARGETS)}", f"u{random.randrange(_USERS)}"
    return Op("default", target, user, random.choice(_EMOJIS), Action.TOGGLE, new_id())


@asynccontextmanager
async def loaded(url: str, callers: int, commands: int) -> AsyncIterator[LoadCounters]:
    """A shard in a new keyspace under load, for the block. Raises CannotUse."""
    await migrate(url, [SCHEMA, cassandra_tables.SCHEMA])
    async with open_cassandra(url, timeout=_STORE_SECONDS) as cassandra:
        ledger = TimedLedger(await open_cassandra_ledger(cassandra, LEDGER, 1))
        tables = await cassandra_tables.open_cassandra_tables(cassandra, _OP_SECONDS)
        running = running_node(
            LEDGER, 1, ledger, tables, NoEventLog(), lambda: ReactionModel(EventCodec(), ModelLimits()), SystemClock(),
            ShardLimits(), lambda shard: True,
        )  # fmt: skip
        async with running as node:
            load = LoadCounters(node, ledger)
            async with background(*(load.call(commands) for _ in range(callers))):
                yield load


__all__ = ["LEDGER", "SHARD", "LoadCounters", "loaded"]
