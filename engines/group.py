"""Groups of servers: created by name, started and stopped concurrently."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engines.cassandra import Cassandra
from engines.envoy import Envoy
from engines.errors import CannotRun
from engines.kafka import Kafka
from engines.postgres import Postgres
from engines.redis import Redis
from engines.server import Server, free_port, settings_of
from engines.toxiproxy import Toxiproxy

KINDS: dict[str, type[Server]] = {kind.name: kind for kind in (Redis, Kafka, Cassandra, Postgres, Toxiproxy, Envoy)}
ALONE = tuple(name for name in KINDS if name != Envoy.name)
"""Servers that need only a folder and ports."""


def make(name: str, folder: Path, **settings: Any) -> Server:
    """Creates the server of that name, with its data in a subfolder of `folder`."""
    return KINDS[name](folder / name, **settings)


def known(folder: Path) -> list[Server]:
    """The servers of this folder that run, or that ended without being stopped."""
    found = {name: settings_of(folder / name) for name in KINDS}
    return [make(name, folder, **settings) for name, settings in found.items() if settings is not None]


def free_ports(name: str) -> dict[str, int]:
    """Free ports for all ports of that server."""
    further = {"kafka": ("controller_port", "upstream_port", "advertised_port"), "cassandra": ("storage_port",)}
    return {setting: free_port() for setting in ("port", *further.get(name, ()))}


def start(servers: Sequence[Server]) -> None:
    """Starts servers concurrently; if one fails, stops all. Raises CannotRun."""
    begun: list[Server] = []
    try:
        with ThreadPoolExecutor(max_workers=max(1, len(servers))) as pool:
            list(pool.map(lambda server: server.prepare(), servers))
        for server in servers:
            server.spawn()
            begun.append(server)
        for server in servers:
            server.wait_ready()
    except BaseException:
        stop(begun)
        raise


def stop(servers: Sequence[Server]) -> list[Server]:
    """Stops servers concurrently; returns those that ran."""
    with ThreadPoolExecutor(max_workers=max(1, len(servers))) as pool:
        ran = list(pool.map(lambda server: server.stop(), servers))
    return [server for server, did in zip(servers, ran, strict=True) if did]


@contextmanager
def running(
    names: Sequence[str], folder: Path | None = None, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> Iterator[dict[str, Server]]:
    """Runs the servers of these names on free ports for the block; without a folder their data is deleted.

    `settings` are more arguments by name of the server, for example {"kafka": {"advertised_port": 9400}}.
    Raises CannotRun.
    """
    with contextlib.ExitStack() as leaving:
        if folder is None:
            folder = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="engines-")))
            folder.chmod(0o711)  # PostgreSQL may run as another user, who must be able to enter its folder
        given = settings or {}
        servers = {name: make(name, folder, **{**free_ports(name), **given.get(name, {})}) for name in names}
        leaving.callback(stop, list(servers.values()))
        for server in servers.values():
            server.tied = True
        start(list(servers.values()))
        yield servers


__all__ = ["ALONE", "KINDS", "CannotRun", "free_ports", "known", "make", "running", "start", "stop"]
