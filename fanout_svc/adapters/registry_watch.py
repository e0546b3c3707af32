"""News of nodes and interest, from the session registry."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from fanout_svc import codec
from fanout_svc.errors import RegistryUnreachable
from fanout_svc.interest import News
from kit.mesh import Mesh
from plaudit.session.v1 import session_registry_service_pb2_grpc

REGISTRY = "plaudit.session.v1.SessionRegistryService"
GATEWAY = "plaudit.gateway.v1.NodeService"


class RegistryWatch:
    """See `ports.Watch`."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    async def news(self) -> AsyncGenerator[News, None]:
        """See `ports.Watch`."""
        addresses = self._mesh.addresses(REGISTRY)
        if not addresses:
            raise RegistryUnreachable("no session registry is known")
        stub: Any = session_registry_service_pb2_grpc.SessionRegistryServiceStub(self._mesh.channel(addresses[0]))
        call = stub.Watch(codec.watch_to_pb(), metadata=self._mesh.metadata())
        try:
            async for response in call:
                yield codec.news_from_pb(response, GATEWAY)
        finally:
            call.cancel()
