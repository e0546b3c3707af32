"""A node empties itself: clients go one after the other, and other nodes take their sessions along."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from plaudit.gateway.v1 import node_service_pb2

if TYPE_CHECKING:
    from gateway.node import Node
    from gateway.sessions.connection import Connection

log = structlog.get_logger()
_GATEWAY = node_service_pb2.DESCRIPTOR.services_by_name["NodeService"].full_name
# Seconds from goaway to the first close, and from one close to the next where there are few.
_LEAD = 0.5
_APART = 0.01


async def empty(node: Node, remaining: Sequence[Connection], grace: float) -> None:
    """Says goaway to everybody, closes each at its own time within `grace` seconds, at the latest when its calls are
    answered, and waits for other nodes, where there are any, to fetch the sessions."""
    began = node.monotonic()
    # The last quarter is for close frames to be answered. A few clients need no long farewell.
    deadline = began + grace * 0.75
    lead = min(grace * 0.25, _LEAD)
    has_heirs = len(node.calls.addresses(_GATEWAY)) > 1
    # Who is to find the session again has to come while it is still here.
    spread = min(node.config.reconnect_spread, grace * 0.5) if has_heirs else node.config.reconnect_spread
    remaining = random.sample(remaining, len(remaining))
    for index, connection in enumerate(remaining):
        close_at = began + min(lead + index * _APART, lead + grace * 0.5 * index / len(remaining))
        connection.run(connection.session.drain(random.uniform(0, spread), close_at, deadline))
        if index % node.config.slice == 0:
            await asyncio.sleep(0)
    log.info("draining", connections=len(remaining), grace=grace)
    while (len(node) or (has_heirs and not node.is_empty)) and node.monotonic() < began + grace:
        now = node.monotonic()
        remaining = [connection for connection in remaining if not connection.session.closed]
        for connection in remaining:
            connection.run(connection.session.tick(now))
        await asyncio.sleep(min(0.05 + len(remaining) / 100_000, grace / 20))
