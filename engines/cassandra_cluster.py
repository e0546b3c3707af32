"""A Cassandra cluster on loopback: three nodes on 127.0.0.1 to 127.0.0.3, each with a third of the ring."""

from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from engines.cassandra import Cassandra
from engines.errors import CannotStart
from engines.group import start
from engines.server import free_port

NODES = 3
HEAP_MIB = 512
PAXOS_VARIANTS = ("v1", "v2")
_READY_SECONDS = 180.0
_POLL_SECONDS = 0.1
_STARTUP, _READY, _QUERY, _RESULT = 1, 2, 7, 8
_ALL = 5
# A key of the keyspace that has three replicas by default. The row need not exist.
_READ_ALL = (
    b"SELECT parent_id FROM system_distributed.parent_repair_history"
    b" WHERE parent_id = 00000000-0000-1000-8000-000000000000"
)


class CassandraNode(Cassandra):
    """One node of a cluster. See `Server`. Ports are the same on every address; `number` counts from 0."""

    name: ClassVar[str] = "cassandra-node"

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        storage_port: int = 0,
        *,
        number: int = 0,
        paxos_variant: str = "v2",
        short_lived: bool = True,
    ) -> None:
        super().__init__(folder, port, storage_port)
        self.number = number
        self.host = address(number)
        self.paxos_variant = paxos_variant
        self.short_lived = short_lived

    @property
    def url(self) -> str:
        return f"cassandra://{self.host}:{self.port}/plaudit"

    @property
    def data(self) -> Path:
        """The folder of its tables: `<keyspace>/<table>-<id>/`."""
        return self.folder / "data" / "data"

    def settings(self) -> dict[str, Any]:
        more = {"number": self.number, "paxos_variant": self.paxos_variant, "short_lived": self.short_lived}
        return {**super().settings(), **more}

    def values(self) -> dict[str, Any]:
        return {
            **super().values(),
            # Seeds do not bootstrap, so all of them may start at once; each has fixed tokens.
            "seeds": ",".join(f"{address(number)}:{self.storage_port}" for number in range(NODES)),
            "token": -(2**63) + (2 * self.number + 1) * 2**64 // (2 * NODES),
            "ring_delay_ms": 1_000,
            "hints": "true",
            "paxos_variant": self.paxos_variant,
            "write_ms": 5_000,
            "heap": HEAP_MIB,
            "heap_at_first": HEAP_MIB // 2,
            "memtable": HEAP_MIB // 8,
        }

    def command(self) -> list[str]:
        java, *options = super().command()
        # Three JVMs that compile their code at the start leave little of two cores to other processes.
        return [java, *(["-XX:TieredStopAtLevel=1"] if self.short_lived else []), *options]

    def unreachable_reason(self) -> str:
        """The reason why a read through this node does not reach every node of the ring; "" if it does."""
        query = struct.pack(">i", len(_READ_ALL)) + _READ_ALL + struct.pack(">HB", _ALL, 0)
        version = b"\x00\x01" + _string(b"CQL_VERSION") + _string(b"3.0.0")
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                for opcode, body, expected in ((_STARTUP, version, _READY), (_QUERY, query, _RESULT)):
                    answered, answer = _request(connection, opcode, body)
                    if answered != expected:
                        return answer[6:].decode("utf-8", "replace")  # after the code and the length
        except OSError as error:
            return str(error)
        return ""


class CassandraCluster:
    """The nodes of a cluster, by their numbers from 0. All have the same data."""

    def __init__(self, nodes: list[CassandraNode]) -> None:
        self.nodes = nodes

    def url(self, keyspace: str) -> str:
        """The URL for clients; a keyspace created with this URL has a replica on every node."""
        return cluster_url(self.nodes[0].port, keyspace)

    def wait_ok(self) -> None:
        """Returns when every node reaches all nodes; raises CannotStart."""
        end = time.monotonic() + _READY_SECONDS
        while why := next(filter(None, (node.unreachable_reason() for node in self.nodes)), ""):
            if time.monotonic() > end:
                raise CannotStart(f"the Cassandra nodes did not find each other within {_READY_SECONDS:.0f} s: {why}")
            time.sleep(_POLL_SECONDS)

    def kill(self, number: int) -> None:
        """Kills a node with SIGKILL; the others continue, and store hints for it."""
        self.nodes[number].kill()

    def restart(self, number: int) -> None:
        """Starts a node that was killed, on its data; returns when all nodes reach each other. Raises CannotStart."""
        self.nodes[number].start()
        self.wait_ok()


def address(number: int) -> str:
    """The address of a node, by its number from 0."""
    return f"127.0.0.{number + 1}"


def cluster_url(port: int, keyspace: str) -> str:
    """The URL of a cluster on this port. It lists all nodes, because any of them may be down."""
    hosts = ",".join(f"{address(number)}:{port}" for number in range(NODES))
    return f"cassandra://{hosts}/{keyspace}?replication={NODES}"


def _string(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def _request(connection: socket.socket, opcode: int, body: bytes) -> tuple[int, bytes]:
    """Sends a frame of the native protocol 4, without flags, on stream 0; returns opcode and body of the answer."""
    connection.sendall(struct.pack(">BBHBI", 4, 0, 0, opcode, len(body)) + body)
    _, _, _, answered, length = struct.unpack(">BBHBI", _receive_exactly(connection, 9))
    return answered, _receive_exactly(connection, length)


def _receive_exactly(connection: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        more = connection.recv(length - len(found))
        if not more:
            raise ConnectionError("the connection was closed")
        found += more
    return found


@contextmanager
def cassandra_cluster(
    folder: Path | None = None, *, paxos_variant: str = "v2", short_lived: bool = True
) -> Iterator[CassandraCluster]:
    """Runs a cluster on free ports for the block; without a folder its data is deleted. Raises CannotRun.

    One that is `short_lived` is fast at once, but not as fast as it could become within minutes.
    The nodes are killed at the end: a clean stop takes some 10 s, and answered writes are on disk already.
    """
    with contextlib.ExitStack() as leaving:
        if folder is None:
            folder = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="cassandra-cluster-")))
        port, storage_port = free_port(), free_port()
        nodes = [
            CassandraNode(
                folder / f"node-{number + 1}",
                port,
                storage_port,
                number=number,
                paxos_variant=paxos_variant,
                short_lived=short_lived,
            )
            for number in range(NODES)
        ]
        for node in nodes:
            node.tied = True
            leaving.callback(node.kill)
        start(nodes)
        cluster = CassandraCluster(nodes)
        cluster.wait_ok()
        yield cluster


__all__ = [
    "HEAP_MIB",
    "NODES",
    "PAXOS_VARIANTS",
    "CassandraCluster",
    "CassandraNode",
    "cassandra_cluster",
    "cluster_url",
]
