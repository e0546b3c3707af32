"""Composes the service: its parts, its background tasks and the servicers it hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import NamedTuple

from kit.access.opened import access_without_log
from kit.access.ports import Access
from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import SqliteLog
from kit.adapters.sqlite.ledger import open_sqlite_ledger
from kit.auth.cursor import Cursors, cursor_secret
from kit.clock import Clock, SystemClock
from kit.cluster.partitions import Partitions
from kit.event_log.ports import Log
from kit.ledger.event_log import ShardedEventLog
from kit.ledger.node import running_node
from kit.ledger.ports import LedgerEventLog, LedgerStore, Tables
from kit.ledger.router import LedgerRouter, LedgerServicer
from kit.ledger.shard.limits import ShardLimits
from kit.rpc.mesh import Mesh
from kit.rpc.server import Hosted
from kit.tasks import background, run_with_backoff
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from reaction_svc import emoji, ledger_codec
from reaction_svc.adapters.memory_limits import MemoryRateLimit, NoRateLimit
from reaction_svc.adapters.redis_limits import RedisRateLimit
from reaction_svc.adapters.sqlite_reads import SqliteReads
from reaction_svc.adapters.sqlite_tables import SqliteTables
from reaction_svc.config import Config
from reaction_svc.erasure import Erasure
from reaction_svc.errors import ERRORS
from reaction_svc.export import Export
from reaction_svc.ledger import ShardedReactions
from reaction_svc.model.model import ModelLimits, OnCommit, ReactionModel
from reaction_svc.ports import RateLimit, Reads
from reaction_svc.retention import LEDGER, run_retention
from reaction_svc.service import Reactions
from reaction_svc.servicer import ReactionServicer

SERVICE = "plaudit.reaction.v1.ReactionService"


class _Store(NamedTuple):
    """The store of reactions: the ledger, its tables, reads of the tables, and the event log where it is separate."""

    ledger: LedgerStore
    tables: Tables
    reads: Reads
    event_log: LedgerEventLog | None
    on_commit: OnCommit | None = None


@asynccontextmanager
async def opened(
    config: Config,
    mesh: Mesh,
    engines: Engines,
    ledgers: LedgerServicer,
    clock: Clock | None = None,
    *,
    access: Access | None = None,
    grace_seconds: Callable[[], float] = lambda: 3.0,
) -> AsyncIterator[list[Hosted]]:
    """Runs everything except the server for the block; without engines records are in the log's file. The key of page
    tokens is in `keys`. The ledger is added to `ledgers`, which the server hosts, too.

    `access` decides who may react to messages of conversations. `grace_seconds` returns, when the block ends, for how
    many seconds accepted operations may be finished.

    Raises `kit.adapters.sqlite.file.NewerData` where a newer version of the program wrote the file, and CannotUse where
    the store has another number of shards.
    """
    clock = clock or SystemClock()
    emoji.forms(), emoji.names()
    limit = _rate_limit(config, clock, engines)
    cursors = Cursors(cursor_secret(engines.data / "keys"), clock, config.cursor_seconds)
    shards = engines.log.partitions(LEDGER)
    division = Partitions(mesh.hosts, SERVICE, lambda: mesh.member_id, shards)
    rules = ModelLimits(config.max_emoji, config.op_seconds, config.users_in_memory, config.users_in_memory // 2)
    async with (
        _store(config, clock, engines) as store,
        running_node(
            LEDGER,
            shards,
            store.ledger,
            store.tables,
            store.event_log,
            lambda: ReactionModel(ledger_codec.EventCodec(), rules, store.on_commit),
            clock,
            _limits(config),
            division.is_assigned,
            grace_seconds=grace_seconds,
        ) as node,
    ):
        op_codec = ledger_codec.OpCodec()
        ledgers.add(node, op_codec, config.write_seconds)
        router = LedgerRouter(node, op_codec, mesh, SERVICE, config.write_seconds, is_forwarding=config.forward)
        ledger = ShardedReactions(shards, router.execute, config.max_emoji)
        reactions = Reactions(ledger, store.reads, limit, cursors, access or access_without_log(mesh))
        erasure = Erasure(ledger, store.reads, cursors)
        servicer = ReactionServicer(reactions, erasure, Export(store.reads, cursors), config.batches_in_flight)
        yield [
            Hosted(
                servicer,
                reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server,
                ERRORS,
                servicer.batches,
                servicer.drain,
            ),
        ]


def _limits(config: Config) -> ShardLimits:
    return ShardLimits(
        batch_commands=config.ops_per_commit,
        queued_commands=config.ops_waiting,
        unpublished_entries=config.unpublished_entries,
    )


def _store(config: Config, clock: Clock, engines: Engines) -> AbstractAsyncContextManager[_Store]:
    return _on_engines(config, engines) if engines.cassandra else _in_a_file(config, clock, engines.log)


@asynccontextmanager
async def _in_a_file(config: Config, clock: Clock, event_log: Log) -> AsyncIterator[_Store]:
    assert isinstance(event_log, SqliteLog)
    tables = SqliteTables(event_log.path)
    reads = SqliteReads(event_log.path)
    try:
        async with open_sqlite_ledger(event_log, LEDGER, tables, busy_seconds=config.busy_seconds) as ledger:

            async def delete_before(before: int) -> int:
                return await ledger.transact(lambda: tables.delete_answers_before(ledger.connection, before))

            retention = partial(run_retention, delete_before, event_log, clock, config)
            async with background(run_with_backoff("reaction retention", retention)):
                yield _Store(ledger, tables, reads, None)
    finally:
        await reads.close()
        tables.close()


@asynccontextmanager
async def _on_engines(config: Config, engines: Engines) -> AsyncIterator[_Store]:
    # Importing the driver takes a third of a second, so it is imported only where it is used.
    from kit.adapters.cassandra.ledger import open_cassandra_ledger
    from reaction_svc.adapters.cassandra_queries import open_cassandra_queries
    from reaction_svc.adapters.cassandra_tables import open_cassandra_tables

    assert engines.cassandra is not None
    ledger = await open_cassandra_ledger(engines.cassandra, LEDGER, engines.log.partitions(LEDGER))
    tables = await open_cassandra_tables(engines.cassandra, config.op_seconds)
    event_log = ShardedEventLog(engines.log, LEDGER, ledger.incarnation)
    if engines.redis is None:
        yield _Store(ledger, tables, await open_cassandra_queries(engines.cassandra, tables), event_log)
        return
    from reaction_svc.adapters.redis_latest import RedisLatest

    latest = RedisLatest(engines.redis, config.retention_seconds)
    queries = await open_cassandra_queries(engines.cassandra, tables, latest)
    async with background(run_with_backoff("latest reactors", latest.run)):
        yield _Store(ledger, tables, queries, event_log, latest.record_entry)


def _rate_limit(config: Config, clock: Clock, engines: Engines) -> RateLimit:
    if not config.changes_per_second:
        return NoRateLimit()
    rate, at_once = config.changes_per_second, config.changes_at_once
    local = MemoryRateLimit(clock, rate, at_once, config.limited_users)
    return RedisRateLimit(engines.redis, rate, at_once, local) if engines.redis else local
