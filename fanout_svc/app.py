"""The service as a whole: its parts, its loops, its servicers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fanout_svc import message_entries, reaction_entries
from fanout_svc.adapters.grpc_nodes import opened_nodes
from fanout_svc.adapters.mesh_counts import MeshCounts
from fanout_svc.adapters.mesh_members import MeshMembers
from fanout_svc.adapters.registry_watch import RegistryWatch
from fanout_svc.config import Config
from fanout_svc.consumer import Consumers, follow_interest
from fanout_svc.errors import ERRORS
from fanout_svc.own_changes import OwnChangePushes
from fanout_svc.receipts import ReceiptPushes
from fanout_svc.service import Fanout
from fanout_svc.servicer import FanoutServicer
from kit.adapters.engines import Engines
from kit.clock import Clock, SystemClock
from kit.cluster.partitions import Partitions, run_assigned_partitions
from kit.rpc.mesh import Mesh
from kit.rpc.server import Hosted
from kit.tasks import background, run_with_backoff
from plaudit.fanout.v1 import fanout_service_pb2_grpc

SERVICE = "plaudit.fanout.v1.FanoutService"


@asynccontextmanager
async def opened(
    config: Config, mesh: Mesh, engines: Engines, clock: Clock | None = None
) -> AsyncIterator[list[Hosted]]:
    """Runs everything but the server for the block.

    The partitions of the log are divided among the fan-out nodes of the mesh; each delivers the changes of its own.
    """
    clock = clock or SystemClock()
    async with opened_nodes(mesh, config) as nodes:
        count = engines.log.partitions(reaction_entries.TOPIC)
        partitions = Partitions(mesh.hosts, SERVICE, lambda: mesh.member_id, count)
        counts = MeshCounts(mesh, config.counts_seconds, count)
        fanout = Fanout(counts, nodes, partitions, clock, config)
        reactions = reaction_entries.ReactionEntries(fanout)
        consumers = Consumers(engines.log, reactions, fanout.synced, clock, config)
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "fan-out log": partial(run_assigned_partitions, partitions, consumers.of, topic=reactions.topic),
            "fan-out interest": partial(follow_interest, RegistryWatch(mesh), fanout),
            "fan-out windows": fanout.run,
        }
        if engines.message_log is not None:
            receipts = ReceiptPushes(fanout.interest, nodes, clock)
            own_changes = OwnChangePushes(fanout.interest, nodes, clock)
            members = MeshMembers(mesh, config.members_seconds)
            messages = message_entries.MessageEntries(fanout, receipts, own_changes, members)
            of_messages = Consumers(engines.message_log, messages, fanout.synced, clock, config)
            count = engines.message_log.partitions(message_entries.TOPIC)
            divided = Partitions(mesh.hosts, SERVICE, lambda: mesh.member_id, count)
            loops["fan-out messages"] = partial(run_assigned_partitions, divided, of_messages.of, topic=messages.topic)
            loops["fan-out receipts"] = receipts.run
            loops["fan-out own changes"] = own_changes.run
        async with background(*[run_with_backoff(name, loop) for name, loop in loops.items()]):
            yield [Hosted(FanoutServicer(fanout), fanout_service_pb2_grpc.add_FanoutServiceServicer_to_server, ERRORS)]
