"""Reactions as tests of their stores open them: the ledger, its tables, and reads of these, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kit.adapters.sqlite.event_log import SqliteLog
from kit.adapters.sqlite.ledger import SqliteLedger, open_sqlite_ledger
from kit.clock import Clock
from kit.errors import Problem
from kit.ledger.node import running_node
from kit.ledger.ports import LedgerEventLog, LedgerStore, Tables
from kit.ledger.shard.limits import ShardLimits
from reaction_svc.adapters.sqlite_reads import SqliteReads
from reaction_svc.adapters.sqlite_tables import SqliteTables
from reaction_svc.domain import Op, Outcome, Refusal
from reaction_svc.ledger import ShardedReactions
from reaction_svc.ledger_codec import EventCodec
from reaction_svc.model.model import ModelLimits, OnCommit, ReactionModel
from reaction_svc.ports import OwnReactions, ReactionLedger, Reactor, Reads, TargetCounts

LEDGER = "reactions"
SECONDS = 20.0
"""What a call may take; a busy machine is slow, not wrong."""


class File(NamedTuple):
    """A SQLite file, beneath a store."""

    ledger: SqliteLedger
    tables: SqliteTables

    async def forget(self, before: int) -> int:
        """Forgets answers from before that time, some at a time; says how many rows it were."""
        return await self.ledger.transact(lambda: self.tables.delete_answers_before(self.ledger.connection, before))


class Store:
    """The ledger and the reads as one thing to ask."""

    def __init__(self, ledger: ReactionLedger, reads: Reads) -> None:
        self.ledger = ledger
        self.reads = reads
        self.file: File | None = None

    async def apply(self, ops: Sequence[Op]) -> list[Outcome | Refusal]:
        """The answers in order; raises the problem of an operation that has one."""
        answers: list[Outcome | Refusal] = []
        for answer in (await self.ledger.apply(ops)).answers:
            if isinstance(answer, Problem):
                raise answer
            answers.append(answer)
        return answers

    async def own(self, tenant: str, user: str, targets: Sequence[str]) -> Sequence[OwnReactions]:
        """See `ports.ReactionReads`."""
        return await self.reads.own(tenant, user, targets)

    async def reactors(self, tenant: str, target: str, emoji: str, before: int, limit: int) -> Sequence[Reactor]:
        """See `ports.ReactionReads`."""
        return await self.reads.reactors(tenant, target, emoji, before, limit)

    async def tally(self, tenant: str, targets: Sequence[str]) -> Sequence[TargetCounts]:
        """See `ports.ReactionReads`, with the counts of the heads compared."""
        found = await self.reads.tally(tenant, targets)
        heads = await self.reads.heads([(tenant, target) for target in dict.fromkeys(targets)])
        for tally in found:
            head = heads.get((tenant, tally.target))
            assert head is None or head.version != tally.version or dict(head.counts) == dict(tally.counts)
        return found

    async def tally_all(self, after: int, limit: int) -> tuple[Sequence[TargetCounts], int]:
        """See `ports.ReactionReads`."""
        return await self.reads.tally_all(after, limit)


@asynccontextmanager
async def opened_store(
    store: LedgerStore,
    tables: Tables,
    reads: Reads,
    clock: Clock,
    *,
    shards: int = 1,
    event_log: LedgerEventLog | None = None,
    rules: ModelLimits | None = None,
    limits: ShardLimits | None = None,
    on_commit: OnCommit | None = None,
) -> AsyncIterator[Store]:
    """A node that owns all shards, as far as it knows."""
    rules = rules or ModelLimits()
    make_model = partial(ReactionModel, EventCodec(), rules, on_commit)
    async with running_node(
        LEDGER, shards, store, tables, event_log, make_model, clock, limits or ShardLimits(), lambda shard: True
    ) as node:
        yield Store(ShardedReactions(shards, partial(node.execute, timeout=SECONDS), rules.max_emoji), reads)


@asynccontextmanager
async def opened_in_file(
    log: SqliteLog, path: Path, clock: Clock, *, rules: ModelLimits | None = None, limits: ShardLimits | None = None
) -> AsyncIterator[Store]:
    """A store in the log's file."""
    tables = SqliteTables(path)
    reads = SqliteReads(path)
    try:
        async with (
            open_sqlite_ledger(log, LEDGER, tables) as ledger,
            opened_store(ledger, tables, reads, clock, rules=rules, limits=limits) as store,
        ):
            store.file = File(ledger, tables)
            yield store
    finally:
        await reads.close()
        tables.close()
