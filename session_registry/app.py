"""The service as a whole: its parts, its loops, its servicers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kit.clock import Clock, SystemClock
from kit.ids import new_id
from kit.rpc.mesh import Mesh
from kit.rpc.server import Hosted
from kit.tasks import background
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry import metrics
from session_registry.adapters.cassandra_lease import CassandraLease
from session_registry.adapters.mesh_leader import MeshLeader
from session_registry.adapters.redis_lease import RedisLease
from session_registry.adapters.redis_log_outs import RedisLogOuts
from session_registry.adapters.redis_routes import RedisRoutes
from session_registry.adapters.single_node import SingleNodeLeadership
from session_registry.config import Config
from session_registry.elected import ElectedRegistry
from session_registry.election import LeaseLeadership
from session_registry.errors import ERRORS
from session_registry.ports import Leadership, LeaseStore
from session_registry.servicer import SessionRegistryServicer

if TYPE_CHECKING:
    from kit.adapters.cassandra.engine import Cassandra
    from kit.adapters.redis.engine import Redis


@asynccontextmanager
async def opened(
    config: Config,
    clock: Clock | None = None,
    *,
    cassandra: Cassandra | None = None,
    redis: Redis | None = None,
    address: Callable[[], str] = str,
    mesh: Mesh | None = None,
) -> AsyncIterator[list[Hosted]]:
    """Runs everything but the server for the block. Nothing is kept on disk.

    With an engine, this registry is one of several that elect a leader, in Cassandra where there is one, as soon as
    `address` returns the address it serves at; `mesh` leads to the others. Without, it is the only one. Routes and log
    outs are kept in Redis, if at all.
    """
    clock = clock or SystemClock()
    leadership: Leadership = SingleNodeLeadership(clock)
    seconds = config.leader_seconds
    store: LeaseStore | None = None
    if cassandra is not None:
        # The lease is renewed each third of its length; a renewal that fails must be repeated in time.
        store = CassandraLease(cassandra, timeout=seconds / 4)
    elif redis is not None:
        store = RedisLease(redis)
    if store is not None:
        leadership = LeaseLeadership(store, clock, name=new_id(), address=address, seconds=seconds)
    routes = RedisRoutes(redis, config.route_seconds) if redis is not None else None
    log_outs = RedisLogOuts(redis, config.token_seconds) if redis is not None else None
    leader = MeshLeader(mesh) if mesh is not None else None
    elected = ElectedRegistry(config, clock, leadership, routes, leader, log_outs)
    metrics.show(elected.sizes)
    add = pb_grpc.add_SessionRegistryServiceServicer_to_server
    async with background(elected.campaign()):
        if store is None:
            await elected.began.wait()
        yield [Hosted(SessionRegistryServicer(elected), add, ERRORS, drain=elected.stop)]
