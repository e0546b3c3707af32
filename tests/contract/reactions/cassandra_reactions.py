"""Where tests of the reaction tables in Cassandra open them, and what they write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import count

import pytest

from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.ids import new_id
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.cassandra_queries import CassandraQueries, open_cassandra_queries
from reaction_svc.adapters.cassandra_tables import SCHEMA, CassandraTables, open_cassandra_tables
from reaction_svc.domain import TargetHead
from reaction_svc.model.state import LoadedTarget, LoadRequest, TargetWrites, Writes
from tests.contract.keyspaces import keyspace_with
from tests.engines import Engines

Record = tuple[str, str, bool, int]
OP_SECONDS = 3_600.0
_SHARDS = count(1)


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> Iterator[str]:
    """A keyspace for all tests of this file, each with a tenant and a shard of its own."""
    with keyspace_with(engines, SCHEMA) as url:
        yield url


@pytest.fixture(name="session")
async def fixture_session(keyspace: str) -> AsyncIterator[Cassandra]:
    async with open_cassandra(keyspace, timeout=10.0, check=[SCHEMA]) as session:
        yield session


@pytest.fixture(name="tables")
async def fixture_tables(session: Cassandra) -> CassandraTables:
    return await open_cassandra_tables(session, OP_SECONDS)


@pytest.fixture(name="queries")
async def fixture_queries(session: Cassandra, tables: CassandraTables) -> CassandraQueries:
    return await open_cassandra_queries(session, tables)


@pytest.fixture(name="tenant")
def fixture_tenant() -> str:
    return new_id()


@pytest.fixture(name="shard")
def fixture_shard() -> int:
    return next(_SHARDS)


@pytest.fixture(name="key")
def fixture_key(tenant: str) -> TargetKey:
    return (tenant, "messages/1")


def head(version: int, /, **counts: int) -> TargetHead:
    """A head whose stamp is its version."""
    return TargetHead(version, version, counts, "", ())


def change(key: TargetKey, records: Sequence[Record], after: TargetHead) -> Writes:
    """What one entry does to one target."""
    return Writes([TargetWrites(key, after.stamp, after, records)], [])


async def found(tables: CassandraTables, key: TargetKey) -> LoadedTarget:
    return (await tables.load(0, LoadRequest([key], {}, []))).targets[key]


def crowd(size: int, *, held: bool = True) -> list[Record]:
    return [(f"user{i:05}", "like", held, 1_000 + i) for i in range(size)]
