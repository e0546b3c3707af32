"""The promises of `session_registry.ports.Leadership`: a registry alone, and leases in Cassandra and in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kit.adapters.cassandra.engine import Cassandra, open_cassandra
from kit.adapters.cassandra.schema import migrate
from kit.adapters.redis.engine import open_redis
from kit.clock import SystemClock
from session_registry.adapters.cassandra_lease import SCHEMA, CassandraLease
from session_registry.adapters.redis_lease import RedisLease
from session_registry.adapters.single_node import SingleNodeLeadership
from session_registry.ports import Leadership, LeaseStore
from tests.contract.registry.leadership import LeadershipContract, LeaseContract, OneServerContract
from tests.engines import Engines
from tests.ownredis import OwnRedis, own_redis


@pytest.fixture(name="server", scope="module")
def fixture_server() -> Iterator[OwnRedis]:
    with own_redis() as server:
        yield server


@pytest.fixture(name="keyspace", scope="module")
def fixture_keyspace(engines: Engines) -> str:
    url = engines.cassandra()
    asyncio.run(migrate(url, [SCHEMA]))
    return url


class TestAlone(LeadershipContract):
    @asynccontextmanager
    async def opened(self, request: Any) -> AsyncIterator[Leadership]:
        yield SingleNodeLeadership(SystemClock())


class TestRedis(OneServerContract):
    lease = 1.2

    def port(self, request: Any) -> int:
        server: OwnRedis = request.getfixturevalue("server")
        return server.port

    @asynccontextmanager
    async def store(self, request: Any, port: int) -> AsyncIterator[LeaseStore]:
        async with open_redis(f"redis://127.0.0.1:{port}/0?prefix=t:", timeout=0.2) as redis:
            yield RedisLease(redis)

    async def lose(self, request: Any) -> None:
        request.getfixturevalue("server").send("FLUSHALL")


class TestRedisCluster(LeaseContract):
    lease = 1.2

    def port(self, request: Any) -> int:
        return int(request.getfixturevalue("engines").redis_nodes().nodes[0].port)

    @asynccontextmanager
    async def store(self, request: Any, port: int) -> AsyncIterator[LeaseStore]:
        async with open_redis(f"redis://127.0.0.1:{port}/0?prefix=lease:", timeout=0.2) as redis:
            yield RedisLease(redis)

    async def lose(self, request: Any) -> None:
        async with open_redis(f"redis://127.0.0.1:{self.port(request)}/0?prefix=lease:") as redis:
            await redis.client.delete(redis.key("registry", "lease"))


@pytest.mark.usefixtures("keyspace")
class TestCassandra(OneServerContract):
    lease = 2.4

    def port(self, request: Any) -> int:
        return int(request.getfixturevalue("engines").port("cassandra"))

    @asynccontextmanager
    async def session(self, request: Any, port: int) -> AsyncIterator[Cassandra]:
        keyspace = request.getfixturevalue("keyspace").rpartition("/")[2]
        async with open_cassandra(f"cassandra://127.0.0.1:{port}/{keyspace}", check=[SCHEMA]) as cassandra:
            yield cassandra

    @asynccontextmanager
    async def store(self, request: Any, port: int) -> AsyncIterator[LeaseStore]:
        async with self.session(request, port) as cassandra:
            yield CassandraLease(cassandra, timeout=self.lease / 4)

    async def lose(self, request: Any) -> None:
        async with self.session(request, self.port(request)) as cassandra:
            await cassandra.execute("DELETE FROM registry_lease WHERE name = 'leader' IF EXISTS")
