"""The room as a whole: what it is made of, what runs in it, what it hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from counter_svc.adapters.mesh_peers import SERVICE, MeshPeers
from counter_svc.adapters.mesh_records import MeshRecords
from counter_svc.adapters.sqlite import opened_sqlite_stores
from counter_svc.config import Config
from counter_svc.consumer import TOPIC
from counter_svc.errors import ERRORS
from counter_svc.ports import CountStores, SharedCounts
from counter_svc.service import Shards
from counter_svc.servicer import CounterServicer
from kit.engines import Engines
from kit.mesh import Mesh
from kit.partitions import Partitions, keep_divided
from kit.server import Hosted
from kit.tasks import background, keep_running
from plaudit.counter.v1 import counter_service_pb2_grpc


@asynccontextmanager
async def opened(config: Config, mesh: Mesh, engines: Engines) -> AsyncIterator[list[Hosted]]:
    """Everything but the server; without engines, counts are in `counts.db` of the data folder.

    Raises `kit.adapters.sqlite_file.NewerData` where a newer version of the program wrote them, and Unavailable where
    Cassandra does not answer.
    """
    partitions = engines.log.partitions(TOPIC)
    async with AsyncExitStack() as stack:
        stores: CountStores
        if engines.cassandra is not None:
            from counter_svc.adapters.cassandra_counts import open_cassandra_stores

            stores = await open_cassandra_stores(engines.cassandra, partitions)
            save_seconds = config.snapshot_seconds
        else:
            stores = await stack.enter_async_context(opened_sqlite_stores(engines.data, partitions))
            save_seconds = config.save_seconds
        shared: SharedCounts | None = None
        if engines.redis is not None:
            from counter_svc.adapters.redis_counts import RedisCounts

            shared = RedisCounts(engines.redis, config.hot_seconds)
        shards = Shards(
            config, engines.log, stores, MeshRecords(mesh), MeshPeers(mesh, partitions), shared, save_seconds
        )
        division = Partitions(mesh.hosts, SERVICE, lambda: mesh.worker, partitions)
        yield await stack.enter_async_context(running(shards, division))


@asynccontextmanager
async def running(shards: Shards, division: Partitions) -> AsyncIterator[list[Hosted]]:
    """The room with its loops; saves what is left when the block ends."""
    loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "counter partitions": partial(keep_divided, division, shards.folding),
        **shards.loops(),
    }
    servicer = CounterServicer(shards)
    async with background(*[keep_running(name, loop) for name, loop in loops.items()]):
        yield [
            Hosted(
                servicer,
                counter_service_pb2_grpc.add_CounterServiceServicer_to_server,
                ERRORS,
                {"GetReactionCounts": servicer.many_reaction_counts, "GetCounts": servicer.many_counts},
                shards.drain,
            )
        ]
