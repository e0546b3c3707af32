"""The room as a whole: what it is made of, what runs in it, what it hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from kit.adapters.sqlite_log import SqliteLog
from kit.clock import Clock, SystemClock
from kit.cursor import Cursors, cursor_secret
from kit.engines import Engines
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
from reaction_svc.housekeeping import keep_house
from reaction_svc.ports import RateLimit
from reaction_svc.service import Reactions
from reaction_svc.servicer import ReactionServicer


@asynccontextmanager
async def opened(
    config: Config, mesh: Mesh, engines: Engines, clock: Clock | None = None
) -> AsyncIterator[list[Hosted]]:
    """Everything but the server; without engines records are in the log's file. The key of page tokens is in `keys`.

    Raises `kit.adapters.sqlite_file.NewerData` where a newer version of the program wrote the file.
    """
    clock = clock or SystemClock()
    log = engines.log
    assert isinstance(log, SqliteLog)
    emoji.forms()
    limits = Limits(config.max_emoji, config.ops_per_commit, config.ops_waiting, config.busy_seconds)
    limit = _rate_limit(config, clock, engines)
    cursors = Cursors(cursor_secret(engines.data / "keys"), clock, config.cursor_seconds)
    async with open_sqlite_store(log, codec.facts_to_bytes, clock, limits) as store:
        servicer = ReactionServicer(
            Reactions(store, MeshCounts(mesh, config.counts_seconds), limit, cursors), config.batches_in_flight
        )
        housekeeping = keep_running("reaction housekeeping", partial(keep_house, store, log, clock, config))
        async with background(housekeeping):
            yield [
                Hosted(
                    servicer,
                    reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server,
                    ERRORS,
                    servicer.batches,
                    servicer.drain,
                )
            ]


def _rate_limit(config: Config, clock: Clock, engines: Engines) -> RateLimit:
    if not config.changes_per_second:
        return NoRateLimit()
    rate, at_once = config.changes_per_second, config.changes_at_once
    local = MemoryRateLimit(clock, rate, at_once, config.limited_users)
    return RedisRateLimit(engines.redis, rate, at_once, local) if engines.redis else local
