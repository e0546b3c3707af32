"""The room, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.clock import Clock, SystemClock
from kit.server import Hosted
from kit.tasks import background
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc
from session_registry import telemetry
from session_registry.config import Config
from session_registry.errors import ERRORS
from session_registry.service import Registry
from session_registry.servicer import SessionRegistryServicer


@asynccontextmanager
async def opened(config: Config, clock: Clock | None = None) -> AsyncIterator[list[Hosted]]:
    """The registry, to be hosted until the block ends. It calls nobody and keeps nothing on disk."""
    registry = Registry(config, clock or SystemClock())
    telemetry.show(registry.sizes)
    add = pb_grpc.add_SessionRegistryServiceServicer_to_server
    async with background(registry.sweep()):
        yield [Hosted(SessionRegistryServicer(registry), add, ERRORS, drain=registry.stop)]
