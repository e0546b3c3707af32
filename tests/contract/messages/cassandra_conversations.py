"""Where tests of conversations in Cassandra have their tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.adapters.cassandra.ledger import SCHEMA as LEDGER_SCHEMA
from kit.adapters.cassandra.schema import migrate
from message_svc.adapters.cassandra_tables import SCHEMA
from tests.engines import Engines

_TABLES = (
    "conversations", "messages", "deleted_messages", "conversation_names", "conversation_operations",
    "user_conversations",
)  # fmt: skip


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> Iterator[str]:
    """A keyspace for all tests of this file: to make tables costs seconds, to empty them less."""
    url = engines.cassandra()
    asyncio.run(migrate(url, [LEDGER_SCHEMA, SCHEMA]))
    yield url
    asyncio.run(_execute(url, f"DROP KEYSPACE {url.rpartition('/')[2]}"))


async def _execute(url: str, *statements: str) -> None:
    async with open_cassandra(url, timeout=20.0) as session:
        await asyncio.gather(*map(session.execute, statements))


@pytest.fixture(name="session")
async def fixture_session(keyspace: str) -> AsyncIterator[Cassandra]:
    async with open_cassandra(keyspace, timeout=10.0, check=[SCHEMA]) as session:
        yield session
        await asyncio.gather(*(session.execute(f"TRUNCATE {table}") for table in _TABLES))
