"""A Redis Cluster on loopback: three primaries without replicas, each with a third of the slots."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from engines.errors import CannotStart
from engines.group import start, stop
from engines.redis import Redis
from engines.server import ask, free_port

SLOTS = 16_384
NODES = 3
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05


class RedisNode(Redis):
    """One node of a cluster. See `Server`."""

    name: ClassVar[str] = "redis-node"

    def __init__(self, folder: Path, port: int = 0, bus_port: int = 0) -> None:
        super().__init__(folder, port)
        self.bus_port = bus_port or self.port + 10_000

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, self.bus_port)

    def settings(self) -> dict[str, Any]:
        return {"port": self.port, "bus_port": self.bus_port}

    def command(self) -> list[str]:
        cluster = {
            "cluster-enabled": "yes",
            "cluster-port": str(self.bus_port),
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": "2000",
        }
        return [*super().command(), *(word for name, value in cluster.items() for word in (f"--{name}", value))]


class RedisCluster:
    """The nodes of a cluster, in the order of their slots."""

    def __init__(self, nodes: list[RedisNode]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        """The URL for clients; each node reports the others."""
        return f"redis://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}/0"

    def form(self) -> None:
        """Assigns the slots and joins the nodes; returns when all serve all slots. Raises CannotStart."""
        for number, node in enumerate(self.nodes):
            first, after = number * SLOTS // len(self.nodes), (number + 1) * SLOTS // len(self.nodes)
            _expect_ok(node, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            _expect_ok(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            _expect_ok(node, "CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus_port)
        self.wait_ok()

    def wait_ok(self) -> None:
        """Returns when every node reports that the cluster serves all slots; raises CannotStart."""
        end = time.monotonic() + _READY_SECONDS
        while not all(self._is_ok(node) for node in self.nodes):
            if time.monotonic() > end:
                raise CannotStart(f"the Redis Cluster at {self.url} was not formed within {_READY_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)

    def restart(self, number: int) -> None:
        """Kills and restarts a node: it loses its keys and keeps its slots."""
        self.nodes[number].kill()
        self.nodes[number].start()
        self.wait_ok()

    def _is_ok(self, node: RedisNode) -> bool:
        with contextlib.suppress(OSError):
            # This section of INFO has some 400 bytes; the state is in the first hundred.
            about = ask(node.port, b"CLUSTER INFO\r\n", 100)
            return b"cluster_state:ok" in about and f"cluster_slots_ok:{SLOTS}".encode() in about
        return False


def _expect_ok(node: RedisNode, *words: str | int) -> None:
    answer = ask(node.port, " ".join(map(str, words)).encode() + b"\r\n", 5)
    if not answer.startswith(b"+OK"):
        raise CannotStart(f"redis at port {node.port} refused {' '.join(map(str, words))}: {answer!r}")


@contextmanager
def redis_cluster(folder: Path | None = None) -> Iterator[RedisCluster]:
    """Runs a cluster on free ports for the block; without a folder its data is deleted. Raises CannotRun."""
    with contextlib.ExitStack() as leaving:
        if folder is None:
            folder = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="redis-cluster-")))
        nodes = [RedisNode(folder / f"node-{number + 1}", free_port(), free_port()) for number in range(NODES)]
        for node in nodes:
            node.tied = True
        leaving.callback(stop, nodes)
        start(nodes)
        cluster = RedisCluster(nodes)
        cluster.form()
        yield cluster
