"""Where tests of the reaction store on Redis and Cassandra open stores, and what they put in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kit.adapters.cassandra import open_cassandra
from kit.adapters.cassandra_schema import migrate
from kit.adapters.redis import open_redis
from kit.adapters.sqlite_log import open_sqlite_log
from kit.clock import ManualClock
from kit.engines import Log
from reaction_svc.adapters.cassandra import SCHEMA, CassandraReactionStore, Limits, open_cassandra_store
from reaction_svc.codec import facts_to_bytes
from tests.contract.reaction_store import MOST, Engine
from tests.engines import Engines

# A busy machine is slow, not wrong; and no Redis has lost anything here, but where a test says so.
LIMITS = Limits(max_emoji=MOST, grace_seconds=0.3, write_seconds=10.0, rounds=200)


class Place:
    """Redis and Cassandra with a namespace, and a log; stores are opened on them until the test ends."""

    def __init__(self, redis: str, cassandra: str, log: Log, leaving: AsyncExitStack) -> None:
        self.redis = redis
        self.cassandra = cassandra
        self.log = log
        self.clock = ManualClock()
        self.stores: list[CassandraReactionStore] = []
        self._leaving = leaving

    async def store(self, limits: Limits = LIMITS, *, redis: str = "", cassandra: str = "") -> CassandraReactionStore:
        """Another store, as in another process, ready for changes."""
        enter = self._leaving.enter_async_context
        timeout = max(1.0, limits.write_seconds)
        session = await enter(open_cassandra(cassandra or self.cassandra, timeout=timeout, check=[SCHEMA]))
        client = await enter(open_redis(redis or self.redis))
        store = await enter(open_cassandra_store(session, client, self.log, facts_to_bytes, self.clock, limits))
        await store.ready()
        self.stores.append(store)
        return store

    async def engine(self, limits: Limits = LIMITS, *, redis: str = "", cassandra: str = "") -> Engine:
        """Another store, with what the contract's helpers need."""
        store = await self.store(limits, redis=redis, cassandra=cassandra)
        return Engine(store, self.log, self.clock, self.published, repeats=True)

    async def published(self) -> None:
        """Returns once all facts of all stores are on the log."""
        for store in self.stores:
            await store.published()


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> Iterator[str]:
    """A keyspace for all tests of this file, one after the other: to make tables costs seconds, to empty them less."""
    url = engines.cassandra()
    asyncio.run(migrate(url, [SCHEMA]))
    yield url
    asyncio.run(_execute(url, f"DROP KEYSPACE {url.rpartition('/')[2]}"))


async def _execute(url: str, *statements: str) -> None:
    async with open_cassandra(url) as session:
        await asyncio.gather(*map(session.execute, statements))


@pytest.fixture(name="place")
async def fixture_place(engines: Engines, keyspace: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as leaving:
        log = await leaving.enter_async_context(open_sqlite_log(tmp_path / "log.db"))
        yield Place(engines.redis(), keyspace, log, leaving)
    await _execute(keyspace, *(f"TRUNCATE {table}" for table in ("reactions", "operations", "outbox", "outbox_node")))
