"""Drains a node: its connections are closed one after the other, and other nodes take the sessions over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from gateway.config import Config
from gateway.sessions.connection import Connection

log = structlog.get_logger()
# Seconds from goaway to the first close, and between two closes where there are few connections.
_FIRST_CLOSE = 0.5
_CLOSE_INTERVAL = 0.01


async def drain_connections(
    connections: Sequence[Connection],
    grace: float,
    *,
    config: Config,
    has_successors: bool,
    is_drained: Callable[[], bool],
    monotonic: Callable[[], float],
) -> None:
    """Sends goaway on each connection, closes each at its own time within `grace` seconds, or later where calls are in
    flight, when the last of them is answered. Returns when `is_drained`, or when the grace is over.

    `has_successors`: whether other nodes can take the sessions over.
    """
    began = monotonic()
    # The last quarter is for the answers to close frames. Few connections need no long interval.
    deadline = began + grace * 0.75
    lead = min(grace * 0.25, _FIRST_CLOSE)
    # To resume its session on a successor, a client has to come back while the session is still here.
    spread = min(config.reconnect_spread, grace * 0.5) if has_successors else config.reconnect_spread
    remaining = random.sample(connections, len(connections))
    for index, connection in enumerate(remaining):
        close_at = began + min(lead + index * _CLOSE_INTERVAL, lead + grace * 0.5 * index / len(remaining))
        connection.run(connection.session.drain(random.uniform(0, spread), close_at, deadline))
        if index % config.slice == 0:
            await asyncio.sleep(0)
    log.info("draining", connections=len(remaining), grace=round(grace, 3))
    while not is_drained() and monotonic() < began + grace:
        now = monotonic()
        remaining = [connection for connection in remaining if not connection.session.closed]
        for connection in remaining:
            connection.run(connection.session.tick(now))
        await asyncio.sleep(min(0.05 + len(remaining) / 100_000, grace / 20))
