"""The room as a whole: what it is made of, what runs in it, what it hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from counter_svc.adapters.mesh_records import MeshRecords
from counter_svc.adapters.sqlite import opened_sqlite
from counter_svc.config import Config
from counter_svc.consumer import TOPIC, Consumer, keep_saved
from counter_svc.errors import ERRORS
from counter_svc.ports import CountStore, Records
from counter_svc.rebuild import Rebuild
from counter_svc.service import Counts
from counter_svc.servicer import CounterServicer
from kit.engines import Engines
from kit.eventlog import EventLog
from kit.mesh import Mesh
from kit.server import Hosted
from kit.tasks import background, keep_running
from plaudit.counter.v1 import counter_service_pb2_grpc


@asynccontextmanager
async def opened(config: Config, mesh: Mesh, engines: Engines) -> AsyncIterator[list[Hosted]]:
    """Everything but the server; counts are in `counts.db` of the folder `data`.

    Raises `kit.adapters.sqlite_file.NewerData` where a newer version of the program wrote them.
    """
    async with (
        opened_sqlite(engines.data / "counts.db") as store,
        running(config, store, MeshRecords(mesh), engines.log) as hosted,
    ):
        yield hosted


@asynccontextmanager
async def running(config: Config, store: CountStore, records: Records, log: EventLog) -> AsyncIterator[list[Hosted]]:
    """The room on any store, with its loops; saves what is left when the block ends."""
    counts = Counts(store, await store.position(), config)

    async def last_position() -> int:
        return (await log.bounds(TOPIC))[1]

    rebuild = Rebuild(counts, records, last_position)
    consumer = Consumer(log, counts, rebuild, config.records_at_once)
    loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "counter log": consumer.follow,
        "counter save": partial(keep_saved, counts, config.save_seconds),
        "counter rebuild": rebuild.heal,
    }
    if config.drift_seconds:
        loops["counter drift"] = partial(rebuild.look_for_drift, config.drift_seconds, config.drift_sample)
    servicer = CounterServicer(counts, rebuild)
    try:
        async with background(*[keep_running(name, loop) for name, loop in loops.items()]):
            yield [
                Hosted(
                    servicer,
                    counter_service_pb2_grpc.add_CounterServiceServicer_to_server,
                    ERRORS,
                    {"GetReactionCounts": servicer.many_reaction_counts, "GetCounts": servicer.many_counts},
                    counts.drain,
                )
            ]
    finally:
        await counts.save()
