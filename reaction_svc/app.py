"""The room as a whole: what it is made of, what runs in it, what it hosts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import structlog

from kit.adapters.sqlite_log import SqliteLog
from kit.clock import Clock, SystemClock
from kit.cursor import Cursors, cursor_secret
from kit.engines import Engines, Log
from kit.engineurl import CannotUse
from kit.mesh import Mesh
from kit.server import Hosted
from kit.tasks import background, keep_running
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from reaction_svc import codec, emoji
from reaction_svc.adapters.memory_limits import MemoryRateLimit, NoRateLimit
from reaction_svc.adapters.mesh_counts import MeshCounts
from reaction_svc.adapters.redis_limits import RedisRateLimit
from reaction_svc.adapters.sqlite import Limits, open_sqlite_store
from reaction_svc.config import Config
from reaction_svc.errors import ERRORS
from reaction_svc.heat import HeatRule
from reaction_svc.housekeeping import TOPIC, keep_house
from reaction_svc.ports import RateLimit, ReactionStore
from reaction_svc.service import Reactions
from reaction_svc.servicer import ReactionServicer

_READY_SECONDS = 5.0
log = structlog.get_logger()


@asynccontextmanager
async def opened(
    config: Config, mesh: Mesh, engines: Engines, clock: Clock | None = None
) -> AsyncIterator[list[Hosted]]:
    """Everything but the server; without engines records are in the log's file. The key of page tokens is in `keys`.

    Raises `kit.adapters.sqlite_file.NewerData` where a newer version of the program wrote the file.
    """
    clock = clock or SystemClock()
    emoji.forms()
    limit = _rate_limit(config, clock, engines)
    cursors = Cursors(cursor_secret(engines.data / "keys"), clock, config.cursor_seconds)
    partitions = engines.log.partitions(TOPIC)
    async with _store(config, clock, engines) as store:
        servicer = ReactionServicer(
            Reactions(store, MeshCounts(mesh, config.counts_seconds, partitions), limit, cursors),
            config.batches_in_flight,
        )
        yield [
            Hosted(
                servicer,
                reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server,
                ERRORS,
                servicer.batches,
                servicer.drain,
            )
        ]


def _store(config: Config, clock: Clock, engines: Engines) -> AbstractAsyncContextManager[ReactionStore]:
    return _on_engines(config, clock, engines) if engines.cassandra else _in_a_file(config, clock, engines.log)


@asynccontextmanager
async def _in_a_file(config: Config, clock: Clock, event_log: Log) -> AsyncIterator[ReactionStore]:
    assert isinstance(event_log, SqliteLog)
    limits = Limits(config.max_emoji, config.ops_per_commit, config.ops_waiting, config.busy_seconds)
    async with (
        open_sqlite_store(event_log, codec.facts_to_bytes, clock, limits) as store,
        background(keep_running("reaction housekeeping", partial(keep_house, store, event_log, clock, config))),
    ):
        yield store


@asynccontextmanager
async def _on_engines(config: Config, clock: Clock, engines: Engines) -> AsyncIterator[ReactionStore]:
    # The driver takes a third of a second to import: only who uses it pays for that.
    from reaction_svc.adapters import cassandra

    if engines.cassandra is None or engines.redis is None:
        raise CannotUse("records in Cassandra need Redis too")
    limits = cassandra.Limits(
        max_emoji=config.max_emoji,
        ops_per_commit=config.ops_per_commit,
        ops_waiting=config.ops_waiting,
        op_seconds=config.op_seconds,
        retention_seconds=config.retention_seconds,
        write_seconds=config.write_seconds,
        grace_seconds=config.grace_seconds,
        lease_seconds=config.lease_seconds,
        in_flight=config.commits_in_flight,
        outbox_in_memory=config.outbox_in_memory,
        outbox_facts=config.outbox_changes,
        heat=HeatRule(config.hot_rate, config.hot_seconds, config.cool_seconds),
    )
    async with cassandra.open_cassandra_store(
        engines.cassandra, engines.redis, engines.log, codec.facts_to_bytes, clock, limits
    ) as store:
        try:
            async with asyncio.timeout(config.grace_seconds + _READY_SECONDS):
                await store.ready()
        except TimeoutError:
            log.warning("the reaction store is not ready yet, changes are refused until it is")
        yield store


def _rate_limit(config: Config, clock: Clock, engines: Engines) -> RateLimit:
    if not config.changes_per_second:
        return NoRateLimit()
    rate, at_once = config.changes_per_second, config.changes_at_once
    local = MemoryRateLimit(clock, rate, at_once, config.limited_users)
    return RedisRateLimit(engines.redis, rate, at_once, local) if engines.redis else local
