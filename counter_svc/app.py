"""Composes the service: its parts, its background tasks and the servicers it hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from counter_svc.adapters.mesh_peers import SERVICE, MeshPeers
from counter_svc.adapters.mesh_records import MeshRecords
from counter_svc.config import Config
from counter_svc.consumer import TOPIC
from counter_svc.errors import ERRORS
from counter_svc.ports import SharedCounts
from counter_svc.service import Counters
from counter_svc.servicer import CounterServicer
from kit.access.opened import access_without_log
from kit.access.ports import Access
from kit.access.targets import TargetAccess
from kit.adapters.engines import Engines
from kit.cluster.partitions import Partitions, run_assigned_partitions
from kit.rpc.mesh import Mesh
from kit.rpc.server import Hosted
from kit.tasks import background, run_with_backoff
from plaudit.counter.v1 import counter_service_pb2_grpc


@asynccontextmanager
async def opened(
    config: Config, mesh: Mesh, engines: Engines, *, access: Access | None = None
) -> AsyncIterator[list[Hosted]]:
    """Runs everything except the server for the block. `access` decides who may see messages of conversations."""
    partitions = engines.log.partitions(TOPIC)
    shared: SharedCounts | None = None
    if engines.redis is not None:
        from counter_svc.adapters.redis_counts import RedisCounts

        shared = RedisCounts(engines.redis, config.hot_seconds)
    counters = Counters(config, engines.log, MeshRecords(mesh, partitions), MeshPeers(mesh, partitions), shared)
    division = Partitions(mesh.hosts, SERVICE, lambda: mesh.member_id, partitions)
    loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "counter partitions": partial(run_assigned_partitions, division, counters.consuming),
        **counters.loops(),
    }
    servicer = CounterServicer(counters, TargetAccess(access or access_without_log(mesh)))
    async with background(*[run_with_backoff(name, loop) for name, loop in loops.items()]):
        yield [
            Hosted(
                servicer,
                counter_service_pb2_grpc.add_CounterServiceServicer_to_server,
                ERRORS,
                {"GetReactionCounts": servicer.many_reaction_counts, "GetCounts": servicer.many_counts},
                counters.drain,
            )
        ]
