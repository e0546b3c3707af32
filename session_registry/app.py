"""The room, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kit.clock import Clock, SystemClock
from kit.ids import new_id
from kit.server import Hosted
from kit.tasks import background
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry import telemetry
from session_registry.adapters.alone import Alone
from session_registry.adapters.redis_leader import RedisLeader
from session_registry.adapters.redis_routes import RedisRoutes
from session_registry.config import Config
from session_registry.errors import ERRORS
from session_registry.leading import Leading
from session_registry.servicer import SessionRegistryServicer

if TYPE_CHECKING:
    from kit.adapters.redis import Redis


@asynccontextmanager
async def opened(
    config: Config, clock: Clock | None = None, *, redis: Redis | None = None, address: Callable[[], str] = str
) -> AsyncIterator[list[Hosted]]:
    """The registry, to be hosted until the block ends; it keeps nothing on disk.

    With `redis` it is one of several that elect a leader there, as soon as `address` says where it serves; without,
    it is alone.
    """
    clock = clock or SystemClock()
    if redis is None:
        leading = Leading(config, clock, Alone(clock), None)
    else:
        leader = RedisLeader(redis, clock, name=new_id(), address=address, lease=config.leader_seconds)
        leading = Leading(config, clock, leader, RedisRoutes(redis, config.route_seconds))
    telemetry.show(leading.sizes)
    add = pb_grpc.add_SessionRegistryServiceServicer_to_server
    async with background(leading.campaign()):
        if redis is None:
            await leading.began.wait()
        yield [Hosted(SessionRegistryServicer(leading), add, ERRORS, drain=leading.stop)]
