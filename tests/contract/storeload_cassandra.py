"""Loads a store on Redis and Cassandra: `… REDIS CASSANDRA LOG NAME BATCHES`; see `storeload`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from kit.adapters.cassandra import open_cassandra
from kit.adapters.redis import open_redis
from kit.adapters.sqlite_log import open_sqlite_log
from kit.clock import SystemClock
from kit.errors import OutcomeUnknown, Unavailable
from reaction_svc.adapters.cassandra import Limits, open_cassandra_store
from reaction_svc.codec import facts_to_bytes
from reaction_svc.domain import Op, Outcome, Refusal
from reaction_svc.ports import ReactionStore
from tests.contract.storeload import toggle

LIMITS = Limits(grace_seconds=0.3, write_seconds=10.0, lease_seconds=2.0, rounds=1_000)


class Insisting:
    """Asks until there is an answer, as a client does: its operations have ids."""

    def __init__(self, store: ReactionStore) -> None:
        self._store = store

    async def apply(self, ops: Sequence[Op]) -> Sequence[Outcome | Refusal]:
        """See `ports.ReactionStore`."""
        while True:
            try:
                return await self._store.apply(ops)
            except (Unavailable, OutcomeUnknown):
                await asyncio.sleep(0.05)


async def load(redis: str, cassandra: str, log: Path, name: str, batches: int) -> None:
    """Opens the store and toggles."""
    async with (
        open_sqlite_log(log) as events,
        open_cassandra(cassandra) as session,
        open_redis(redis) as client,
        open_cassandra_store(session, client, events, facts_to_bytes, SystemClock(), LIMITS) as store,
    ):
        await store.ready()
        await toggle(Insisting(store), name, batches)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(load(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
