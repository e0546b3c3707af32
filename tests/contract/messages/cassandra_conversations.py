"""Where tests of conversations in Cassandra have their tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.adapters.cassandra.ledger import SCHEMA as LEDGER_SCHEMA
from message_svc.adapters.cassandra_tables import SCHEMA
from tests.contract.keyspaces import keyspace_with
from tests.engines import Engines

_TABLES = (
    "conversations", "messages", "deleted_messages", "conversation_names", "conversation_operations",
    "user_conversations", "drafts", "retention_due", "message_reports", "user_reports", "audit_records",
    "moderation_days",
)  # fmt: skip


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> Iterator[str]:
    """A keyspace for all tests of this file: to make tables costs seconds, to empty them less."""
    with keyspace_with(engines, LEDGER_SCHEMA, SCHEMA) as url:
        yield url


@pytest.fixture(name="session")
async def fixture_session(keyspace: str) -> AsyncIterator[Cassandra]:
    async with open_cassandra(keyspace, timeout=10.0, check=[SCHEMA]) as session:
        yield session
        await asyncio.gather(*(session.execute(f"TRUNCATE {table}") for table in _TABLES))
