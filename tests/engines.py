"""Real servers for tests: each started when a test first asks for it, shared by all tests, stopped at the end."""

from __future__ import annotations

import os
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import engines
from engines import Server
from engines.cassandra_cluster import cassandra_cluster, cluster_url
from engines.group import running
from engines.redis_cluster import RedisCluster, redis_cluster

RUNNING = "TEST_ENGINES"
"""A variable with servers that run already, such as `redis=6390 kafka=9190 cassandra=9140`: ports on 127.0.0.1, and for
`cassandra-cluster` on the addresses of its nodes."""

_CLUSTER = "cassandra-cluster"


class Engines:
    """The servers of a test session. Every call of `redis`, `cassandra`, `kafka` returns an unused namespace."""

    def __init__(self, folder: Path, leaving: ExitStack) -> None:
        self._folder = folder
        self._leaving = leaving
        self._servers: dict[str, Server] = {}
        self._missing: dict[str, str] = {}
        self._cluster: RedisCluster | None = None
        self._given = dict(pair.split("=", 1) for pair in os.environ.get(RUNNING, "").split())

    def redis(self, *, port: int | None = None) -> str:
        """redis://… of one server, with a key prefix of its own; `port` is that of a proxy in between."""
        return f"redis://127.0.0.1:{port or self.port('redis')}/0?prefix={_fresh()}:"

    def redis_cluster(self) -> str:
        """redis://… of a cluster of three primaries, with a key prefix of its own."""
        return f"{self.redis_nodes().url}?prefix={_fresh()}:"

    def redis_nodes(self) -> RedisCluster:
        """The shared Redis Cluster. Faults are for a cluster of your own: `redis_cluster()`."""
        if self._cluster is None:
            try:
                with _untimed():
                    self._cluster = self._leaving.enter_context(redis_cluster(self._folder / "redis-cluster"))
            except engines.Missing as error:
                unavailable(str(error))
        assert self._cluster is not None
        return self._cluster

    def cassandra(self, *, port: int | None = None) -> str:
        """cassandra://… with the name of a keyspace that is not there yet."""
        return f"cassandra://127.0.0.1:{port or self.port('cassandra')}/{_fresh()}"

    def cassandra_cluster(self) -> str:
        """cassandra://… of three nodes, with the name of a keyspace that is not there yet and will be on all three."""
        if _CLUSTER not in self._given:
            try:
                with _untimed():
                    started = self._leaving.enter_context(cassandra_cluster(self._folder / _CLUSTER))
            except engines.Missing as error:
                unavailable(str(error))
            self._given[_CLUSTER] = str(started.nodes[0].port)
        return cluster_url(int(self._given[_CLUSTER]), _fresh())

    def postgres(self, *, port: int | None = None) -> str:
        """postgresql://… with the name of a schema that is not there yet."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port('postgresql')}/postgres?schema={_fresh()}"

    def kafka(self, *, port: int | None = None) -> str:
        """kafka://… with a topic prefix of its own."""
        return f"kafka://127.0.0.1:{port or self.port('kafka')}/{_fresh()}"

    def port(self, name: str) -> int:
        """Where that server listens."""
        return int(self._given[name]) if name in self._given else self.server(name).port

    def server(self, name: str) -> Server:
        """The shared server. Faults are for servers of your own: `engines.running([name])`."""
        if name in self._missing:
            unavailable(self._missing[name])
        if name not in self._servers:
            try:
                with _untimed():
                    self._servers |= self._leaving.enter_context(running([name], self._folder))
            except engines.Missing as error:
                self._missing[name] = str(error)
                unavailable(str(error))
        return self._servers[name]


def unavailable(reason: str) -> None:
    """Ends the test: it cannot run on this machine, which on the machine that must run everything is a failure."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"an engine is missing: {reason}", pytrace=False)
    pytest.skip(f"an engine is missing: {reason}")


@contextmanager
def _untimed() -> Iterator[None]:
    """Getting and starting a server, which has its own limits, is not held against the test that came first."""
    left, every = signal.setitimer(signal.ITIMER_REAL, 0)  # that of pytest-timeout
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, every)


def _fresh() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(name="engines", scope="session")
def fixture_engines() -> Iterator[Engines]:
    """Redis, Cassandra, Kafka, PostgreSQL and toxiproxy, as far as tests ask for them."""
    with ExitStack() as leaving:
        # Not pytest's own folder: PostgreSQL may run as another user, who could not enter that.
        folder = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="plaudit-engines-")))
        folder.chmod(0o711)
        yield Engines(folder, leaving)
