"""Engines of the trials, each upstream a proxy that can fail."""

from __future__ import annotations

import os
import re
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import redis

import engines
from engines.cassandra_cluster import CassandraCluster, cassandra_cluster
from engines.kafka import Kafka
from engines.server import Server, free_port
from engines.toxiproxy import Toxiproxy
from stack.settings.model import load
from stack.storage.migrate import migrate
from tests.engines import RUNNING
from tests.faults.checks.final_state import VersionedCounts
from tests.faults.checks.model import Key

ENGINES = ("redis", "cassandra", "kafka", "postgresql")
_BYTES = re.compile(r'^toxiproxy_proxy_received_bytes_total\{.*proxy="(\w+)".*\} (\S+)$', re.MULTILINE)


class MeteredToxiproxy(Toxiproxy):
    """See `engines.toxiproxy.Toxiproxy`; it counts the bytes of each proxy."""

    name: ClassVar[str] = "toxiproxy"

    def command(self) -> list[str]:
        return [*super().command(), "-proxy-metrics"]

    def bytes_through(self, proxy: str) -> int:
        """The bytes that clients have sent through a proxy."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            text = answer.read().decode("utf-8")
        return sum(int(float(count)) for name, count in _BYTES.findall(text) if name == proxy)


class Backends:
    """Redis, Cassandra, Kafka and PostgreSQL of one trial: with names of its own, through proxies.

    A Cassandra cluster has no proxy.
    """

    def __init__(
        self,
        servers: Mapping[str, Server],
        meter: MeteredToxiproxy,
        ports: Mapping[str, int],
        cluster: CassandraCluster | None = None,
    ) -> None:
        self.servers = servers
        self.cluster = cluster
        self._meter = meter
        name = f"f{uuid.uuid4().hex[:10]}"
        self._prefix = name
        self.settings = {
            "HOT": f"redis://127.0.0.1:{ports['redis']}/0?prefix={name}:",
            "RECORDS": cluster.url(name) if cluster else f"cassandra://127.0.0.1:{ports['cassandra']}/{name}",
            "EVENTS": f"kafka://127.0.0.1:{ports['kafka']}/{name}",
            "USERS": f"postgresql://postgres@127.0.0.1:{ports['postgresql']}/postgres?schema={name}",
        }
        self._before = {engine: meter.bytes_through(engine) for engine in ports}

    async def migrate(self) -> None:
        """Creates keyspace, tables and topics."""
        settings = load().model_copy(update={name.lower(): url for name, url in self.settings.items()})
        await migrate(settings)

    def disconnect(self, engine: str) -> None:
        """Resets connections and refuses new ones."""
        self._meter.enable(engine, False)

    def add_toxic(self, engine: str, kind: str, stream: str = "downstream", toxicity: float = 1.0, **how: int) -> None:
        """Adds a toxic: see https://github.com/Shopify/toxiproxy#toxics."""
        body = {"name": f"{kind}-{stream}", "type": kind, "stream": stream, "toxicity": toxicity, "attributes": how}
        self._meter.ask("POST", f"/proxies/{engine}/toxics", body)

    def reset(self) -> None:
        """Removes all faults from the proxies."""
        self._meter.ask("POST", "/reset")

    def bytes_through(self, engine: str) -> int:
        """The bytes that the nodes of this trial have sent to an engine."""
        return self._meter.bytes_through(engine) - self._before[engine]

    def counts(self, keys: Sequence[Key]) -> dict[Key, VersionedCounts]:
        """The counts in Redis; version -1 for a target without a hash."""
        found: dict[Key, VersionedCounts] = {}
        with redis.Redis(port=self.servers["redis"].port, decode_responses=True) as client:
            for key in keys:
                row: Any = client.hgetall(f"{self._prefix}:reaction_counts:{{{key[0]}/{key[1]}}}")
                version = int(row.pop("version", -1))
                found[key] = (version, {emoji: int(count) for emoji, count in row.items()})
        return found


@contextmanager
def running(*, one_node: bool = True, three_nodes: bool = False) -> Iterator[Servers]:
    """Runs the engines and their proxies for the block, Cassandra as one node or three. Raises `engines.CannotRun`.

    Engines in the variable `TEST_ENGINES` run already, and are used through their proxies.
    """
    given = dict(pair.split("=", 1) for pair in os.environ.get(RUNNING, "").split())
    with ExitStack() as leaving:
        folder = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="plaudit-faults-engines-")))
        folder.chmod(0o711)  # PostgreSQL may run as another user
        names = [name for name in ENGINES if one_node or name != "cassandra"]
        servers = leaving.enter_context(engines.running([name for name in names if name not in given], folder))
        cluster = leaving.enter_context(cassandra_cluster(folder / "cassandra-cluster")) if three_nodes else None
        meter = MeteredToxiproxy(folder / "toxiproxy", free_port())
        meter.start(tied=True)
        leaving.callback(meter.stop)
        ports = {name: free_port() for name in names}
        upstream = {name: server.port for name, server in servers.items()} | {name: int(given[name]) for name in given}
        # Kafka advertises its address to clients, which must be that of the proxy.
        kafka = servers["kafka"]
        assert isinstance(kafka, Kafka)
        ports["kafka"], upstream["kafka"] = kafka.advertised_port, kafka.upstream_port
        for name in names:
            meter.proxy(name, ports[name], upstream[name])
        yield Servers(servers, meter, ports, cluster)


class Servers:
    """Running engines, which trials share with names of their own."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        meter: MeteredToxiproxy,
        ports: Mapping[str, int],
        cluster: CassandraCluster | None = None,
    ) -> None:
        self._servers = servers
        self._meter = meter
        self._ports = ports
        self.cluster = cluster

    def stop_cluster(self) -> None:
        """Stops the Cassandra cluster, if there is one."""
        for node in self.cluster.nodes if self.cluster else ():
            node.kill()

    async def backends(self, *, three_nodes: bool = False) -> Backends:
        """The backends of one trial, migrated; `three_nodes`: on the Cassandra cluster."""
        self._meter.ask("POST", "/reset")
        made = Backends(self._servers, self._meter, self._ports, self.cluster if three_nodes else None)
        await made.migrate()
        return made
