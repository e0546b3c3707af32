"""The room as a whole: what it is made of, what runs in it, what it hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fanout_svc.adapters.grpc_nodes import opened_nodes
from fanout_svc.adapters.mesh_counts import MeshCounts
from fanout_svc.adapters.registry_watch import RegistryWatch
from fanout_svc.config import Config
from fanout_svc.consumer import Consumer, follow_interest
from fanout_svc.errors import ERRORS
from fanout_svc.service import Fanout
from fanout_svc.servicer import FanoutServicer
from kit.clock import Clock, SystemClock
from kit.engines import Engines
from kit.mesh import Mesh
from kit.server import Hosted
from kit.tasks import background, keep_running
from plaudit.fanout.v1 import fanout_service_pb2_grpc


@asynccontextmanager
async def opened(
    config: Config, mesh: Mesh, engines: Engines, clock: Clock | None = None
) -> AsyncIterator[list[Hosted]]:
    """Everything but the server."""
    async with opened_nodes(mesh, config) as nodes:
        fanout = Fanout(MeshCounts(mesh, config.counts_seconds), nodes, clock or SystemClock(), config)
        consumer = Consumer(engines.log, fanout, config.records_at_once, config.look_back_records)
        # Whoever begins to want a topic is told its state, so changes before the first interest need no window; but
        # none may come between: the place in the log is taken first.
        await consumer.advance()
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "fan-out log": consumer.follow,
            "fan-out interest": partial(follow_interest, RegistryWatch(mesh), fanout),
            "fan-out windows": fanout.run,
        }
        async with background(*[keep_running(name, loop) for name, loop in loops.items()]):
            yield [Hosted(FanoutServicer(fanout), fanout_service_pb2_grpc.add_FanoutServiceServicer_to_server, ERRORS)]
