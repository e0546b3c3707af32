"""What the nodes of a Cassandra cluster say of the ledger's tables: SSTables of a read, tombstones, latency, disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cassandra import ConsistencyLevel
from cassandra.cluster import Session

from engines.cassandra_cluster import CassandraCluster
from kit.adapters.cassandra.session import make_cluster, parse_cassandra

_SECONDS = 20.0
_MERGED = re.compile(r"Merged data from memtables and (\d+) sstables")
_MIB = 1 << 20


class Reading(NamedTuple):
    """At the node with the most of each; see `tests.soak.verdict.Line`."""

    sstables: float
    tombstones: float
    read_p99: float
    entries: float
    paxos: float


class Replicas:
    """Queries each node. Made by `open_replicas`; it blocks, so it is called in a thread."""

    def __init__(self, session: Session, cluster: CassandraCluster, keyspace: str, ledger: str) -> None:
        self._session = session
        self._cluster = cluster
        self._keyspace = keyspace
        self._tail = session.prepare(
            f"SELECT DISTINCT tail FROM {keyspace}.ledger_entry WHERE ledger = '{ledger}' AND shard = ?"
        )
        # Every replica answers, so the trace has what each of them read from.
        self._tail.consistency_level = ConsistencyLevel.ALL

    def read(self, shard: int) -> Reading:
        """The state of the moment; raises what the driver raises."""
        tables = [("ledger_entry", self._keyspace), ("ledger_mark", self._keyspace)]
        return Reading(
            self._sstables(shard),
            max(self._seen("tombstones_per_read", "p99th")),
            max(self._seen("local_read_latency", "p99th_ms")),
            max(sum(_disk(node.data, *table) for table in tables) for node in self._cluster.nodes),
            max(_disk(node.data, "paxos", "system") for node in self._cluster.nodes),
        )

    def _sstables(self, shard: int) -> float:
        # What an append reads for its condition.
        trace = self._session.execute(self._tail, (shard,), trace=True).get_query_trace(_SECONDS)
        found = [match for event in trace.events if (match := _MERGED.search(event.description))]
        return max((float(match[1]) for match in found), default=float("nan"))

    def _seen(self, view: str, column: str) -> Iterator[float]:
        """Of the entries, by node: a virtual table has the values of the queried node."""
        ask = (
            f"SELECT {column} FROM system_views.{view}"
            f" WHERE keyspace_name = '{self._keyspace}' AND table_name = 'ledger_entry'"
        )
        for host in self._session.hosts:
            rows: list[Any] = list(self._session.execute(ask, host=host))
            yield float(rows[0][0]) if rows else 0.0


def _disk(data: Path, table: str, keyspace: str) -> float:
    """MiB of a table's files. `system_views.disk_usage` has whole ones only."""
    size = 0
    for file in data.glob(f"{keyspace}/{table}-*/*"):
        try:
            size += file.stat().st_size
        except FileNotFoundError:
            continue  # compacted meanwhile
    return size / _MIB


@contextmanager
def open_replicas(cluster: CassandraCluster, keyspace: str, ledger: str) -> Iterator[Replicas]:
    """For the block; the keyspace has its tables."""
    driver = make_cluster(parse_cassandra(cluster.url(keyspace)), _SECONDS)
    try:
        yield Replicas(driver.connect(), cluster, keyspace, ledger)
    finally:
        driver.shutdown()
