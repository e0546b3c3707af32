"""The live nodes of each service: as the session registry reports them, or fixed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from kit.clock import Clock, SystemClock
from kit.cluster.registration import OnFenced, Registration
from kit.cluster.registry_endpoints import ChannelProvider, RegistryEndpoints, watch
from kit.tasks import run_with_backoff
from plaudit.session.v1 import session_registry_service_pb2 as pb

__all__ = ["ChannelProvider", "NodeView", "OnFenced", "Registration", "RegistryNodes", "StaticNodes"]


class StaticNodes:
    """Fixed nodes: those named for a service, or else those that host everything."""

    def __init__(self, *everywhere: str, services: Mapping[str, Sequence[str]] | None = None) -> None:
        self._everywhere = everywhere
        self._services = {name: tuple(addresses) for name, addresses in (services or {}).items()}

    def addresses(self, service: str) -> tuple[str, ...]:
        """See `kit.rpc.mesh.Nodes`."""
        return self._services.get(service, self._everywhere)

    def address_of(self, node_id: str) -> str:
        """See `kit.rpc.mesh.Nodes`. Fixed nodes have no ids."""
        return ""


class NodeView:
    """The nodes that the registry reports. No I/O.

    A registry that has just started has no nodes until they attach again. So a node that is missing after a break stays
    for `grace` seconds, unless the registry reports it as down, or another node has its address.
    """

    def __init__(self, grace: float = 5.0) -> None:
        self._grace = grace
        self._nodes: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._missing: dict[str, float] = {}  # node id -> when it is removed
        self._reported: set[str] | None = set()  # since the watch began; None: the first state is complete
        self._by_service: dict[str, tuple[str, ...]] = {}

    def restart(self) -> None:
        """Begins a new watch, which reports the whole state again."""
        self._reported = set()

    def apply(self, response: pb.WatchResponse, now: float) -> None:
        """Applies a response of the registry; `now` in seconds of the monotonic clock."""
        for node_id in response.down:
            self._nodes.pop(node_id, None)
            self._missing.pop(node_id, None)
        for node in response.up:
            for other in [known for known, (address, _) in self._nodes.items() if address == node.address]:
                del self._nodes[other]
                self._missing.pop(other, None)
            self._nodes[node.node_id] = (node.address, tuple(node.services))
            self._missing.pop(node.node_id, None)
            if self._reported is not None:
                self._reported.add(node.node_id)
        if response.synced and self._reported is not None:
            for node_id in self._nodes.keys() - self._reported:
                self._missing.setdefault(node_id, now + self._grace)
            self._reported = None
        if response.down or response.up:
            self._index_services()

    def addresses(self, service: str, now: float) -> tuple[str, ...]:
        """The addresses of the nodes that host a service, sorted."""
        if self._missing and now >= min(self._missing.values()):
            for node_id in [known for known, until in self._missing.items() if until <= now]:
                del self._missing[node_id]
                self._nodes.pop(node_id, None)
            self._index_services()
        return self._by_service.get(service, ())

    def address_of(self, node_id: str) -> str:
        """The address of a node; empty where it is not live."""
        return self._nodes.get(node_id, ("", ()))[0]

    def _index_services(self) -> None:
        found: dict[str, set[str]] = {}
        for address, services in self._nodes.values():
            for service in services:
                found.setdefault(service, set()).add(address)
        self._by_service = {service: tuple(sorted(addresses)) for service, addresses in found.items()}


class RegistryNodes:
    """The live nodes. While the registry cannot be reached, those of its last report."""

    def __init__(self, *, grace: float = 5.0, clock: Clock | None = None) -> None:
        self._view = NodeView(grace)
        self._clock = clock or SystemClock()
        self._synced = asyncio.Event()

    def addresses(self, service: str) -> tuple[str, ...]:
        """See `kit.rpc.mesh.Nodes`."""
        return self._view.addresses(service, self._clock.monotonic())

    def address_of(self, node_id: str) -> str:
        """See `kit.rpc.mesh.Nodes`."""
        return self._view.address_of(node_id)

    async def synced(self) -> None:
        """Waits until the registry has reported all nodes for the first time."""
        await self._synced.wait()

    @asynccontextmanager
    async def running(self, reach: ChannelProvider, registry: Sequence[str] | str) -> AsyncIterator[None]:
        """Watches the leader of the registries at the addresses `registry` for the block."""
        registries = RegistryEndpoints(registry)
        attempt = run_with_backoff("watch of the nodes", lambda: self._attempt(reach, registries), ceiling=0.5)
        loop = asyncio.create_task(attempt)
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    async def _attempt(self, reach: ChannelProvider, registries: RegistryEndpoints) -> None:
        self._view.restart()
        async with aclosing(watch(reach, registries, topics=False)) as responses:
            async for response in responses:
                self._view.apply(response, self._clock.monotonic())
                if response.synced:
                    self._synced.set()
