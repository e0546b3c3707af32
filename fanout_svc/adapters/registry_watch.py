"""Changes of nodes and interest, from the session registry."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fanout_svc import codec
from fanout_svc.errors import RegistryUnreachable
from fanout_svc.topics.interest import RegistryDelta
from kit.cluster.registry_endpoints import RegistryEndpoints, watch
from kit.rpc.mesh import Mesh

REGISTRY = "plaudit.session.v1.SessionRegistryService"
GATEWAY = "plaudit.gateway.v1.NodeService"


class RegistryWatch:
    """See `ports.Watch`."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._registries = RegistryEndpoints(())

    async def deltas(self) -> AsyncGenerator[RegistryDelta, None]:
        """See `ports.Watch`."""
        addresses = self._mesh.addresses(REGISTRY)
        if not addresses:
            raise RegistryUnreachable("no session registry is known")
        self._registries.use(addresses)
        async with aclosing(watch(self._mesh, self._registries, topics=True)) as responses:
            async for response in responses:
                yield codec.delta_from_pb(response, GATEWAY)
