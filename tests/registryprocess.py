"""A session registry, or a node with one session, in a process of its own that can be paused and killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import structlog

from kit.adapters.cassandra.engine import open_cassandra
from kit.adapters.redis.engine import open_redis
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.cluster.registration import Registration
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import connected
from kit.rpc.server import Server, serving
from session_registry.adapters.cassandra_lease import SCHEMA
from session_registry.app import opened
from session_registry.config import Config

ROOT = Path(__file__).resolve().parent.parent
LEASE = 6.5
QUICK = Config(lease_seconds=LEASE, leader_seconds=2.0, sweep_seconds=0.02, life_seconds=0.5)


@asynccontextmanager
async def registry(
    keys: Keys, engines: str, listen: str = "127.0.0.1:0", config: Config = QUICK
) -> AsyncIterator[Server]:
    """One of several registries, whose grace is long enough that a stop which hangs is noticed.

    `engines`: the URL of Redis, and after a blank that of Cassandra where the lease is there.
    """
    where = ""
    redis_url, _, cassandra_url = engines.partition(" ")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_redis(redis_url, timeout=0.2))
        cassandra = None
        if cassandra_url:
            cassandra = await stack.enter_async_context(open_cassandra(cassandra_url, check=[SCHEMA]))
        hosted = await stack.enter_async_context(
            opened(config, cassandra=cassandra, redis=redis, address=lambda: where)
        )
        limits = ServerLimits(grace=30.0)
        server = await stack.enter_async_context(
            serving(hosted, verifier=keys.verifier(), listen=listen, limits=limits)
        )
        where = server.address
        yield server


class Process:
    """This module in a process: `registry KEYS ENGINES LISTEN` or `node KEYS REGISTRIES NAME TENANT USER DEVICE`."""

    def __init__(self, *arguments: str) -> None:
        path = os.pathsep.join(str(ROOT / folder) for folder in ("", "gen", "client"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.registryprocess", *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said = self.line()
        """Its first line, which it says when it runs."""
        assert self.said, "the process has ended; what it said stands above"

    def line(self) -> str:
        """The next line it says; waits for it."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        self._process.send_signal(number)

    def end(self) -> None:
        """Kills it, also where it is paused."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def process(*arguments: str) -> Iterator[Process]:
    """See `Process`; it ends with the block."""
    running = Process(*arguments)
    try:
        yield running
    finally:
        running.end()


async def _registry(keys: str, engines: str, listen: str) -> None:
    async with registry(open_keys(Path(keys)), engines, listen) as server:
        print(server.address, flush=True)
        await asyncio.Event().wait()


async def _node(keys: str, registries: str, name: str, tenant: str, user: str, device: str) -> None:
    tokens = NodeTokens(open_keys(Path(keys)).minter(), name)
    node = Registration(name)
    node.on_fenced(lambda ids: print("fenced", *ids, flush=True))
    async with (
        connected(StaticNodes(), tokens) as mesh,
        node.running(mesh, registries, f"{name}:1", ["plaudit.echo.v1.EchoService"]),
    ):
        await node.attached()
        node.opened(f"s-{name}", tenant, user, device)
        print("attached", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    kind, *rest = sys.argv[1:]
    asyncio.run(_registry(*rest) if kind == "registry" else _node(*rest))
