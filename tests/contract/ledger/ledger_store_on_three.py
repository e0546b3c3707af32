"""The entries of a ledger on three nodes of Cassandra, each with a replica.

They take half a minute to start, so `make test` leaves this out; `make faults` runs it, also with one node killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.adapters.cassandra.ledger import SCHEMA, CassandraLedger, open_cassandra_ledger
from kit.adapters.cassandra.schema import migrate
from kit.ids import new_id
from tests.contract.ledger.ledger_store import WatermarksContract
from tests.engines import Engines

_SHARDS = 4
_SECONDS = 10.0


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> str:
    """A keyspace for all tests of this file, each with a ledger of its own."""
    url = engines.cassandra_cluster()
    # It goes with the cluster, which is made for these tests.
    asyncio.run(migrate(url, [SCHEMA]))
    return url


@pytest.fixture(name="session")
async def fixture_session(keyspace: str) -> AsyncIterator[Cassandra]:
    async with open_cassandra(keyspace, timeout=_SECONDS, check=[SCHEMA]) as session:
        yield session


@pytest.fixture(name="name")
def fixture_name() -> str:
    return new_id()


class TestLedgerOnThreeNodes(WatermarksContract):
    """At LOCAL_SERIAL and LOCAL_QUORUM: two of the three decide."""

    @pytest.fixture(name="store")
    async def fixture_store(self, session: Cassandra, name: str) -> CassandraLedger:
        return await open_cassandra_ledger(session, name, _SHARDS)

    @pytest.fixture(name="other")
    async def fixture_other(self, keyspace: str, name: str, store: CassandraLedger) -> AsyncIterator[CassandraLedger]:
        async with open_cassandra(keyspace, timeout=_SECONDS, check=[SCHEMA]) as session:
            yield await open_cassandra_ledger(session, name, _SHARDS)

    async def test_every_row_has_three_replicas(self, session: Cassandra) -> None:
        rows = await session.execute(
            f"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{session.keyspace}'"
        )
        assert rows[0][0]["replication_factor"] == "3"
