"""Which live nodes host which service: as the session registry tells it, or fixed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from kit.attachment import Attachment, OnFenced
from kit.clock import Clock, SystemClock
from kit.registries import Reach, Registries, watch
from kit.tasks import keep_running
from plaudit.session.v1 import session_registry_service_pb2 as pb

__all__ = ["Attachment", "NodeView", "OnFenced", "Reach", "RegistryNodes", "StaticNodes"]


class StaticNodes:
    """Nodes that never change: those named for a service, or else the ones that host everything."""

    def __init__(self, *everywhere: str, services: Mapping[str, Sequence[str]] | None = None) -> None:
        self._everywhere = everywhere
        self._services = {name: tuple(addresses) for name, addresses in (services or {}).items()}

    def addresses(self, service: str) -> tuple[str, ...]:
        """See `kit.mesh.Nodes`."""
        return self._services.get(service, self._everywhere)

    def address_of(self, node_id: str) -> str:
        """See `kit.mesh.Nodes`. Nobody is known by an id."""
        return ""


class NodeView:
    """The nodes as the registry tells them. No I/O.

    A registry that has just started knows nobody until the nodes have told it anew. So a node that was there before a
    break and is missing after it stays for `grace` seconds, unless the registry says that it is down, or another node
    has its address.
    """

    def __init__(self, grace: float = 5.0) -> None:
        self._grace = grace
        self._nodes: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._missing: dict[str, float] = {}  # node id -> when it is given up
        self._told: set[str] | None = set()  # since the watch began; None: the first state is complete
        self._by_service: dict[str, tuple[str, ...]] = {}

    def restart(self) -> None:
        """A new watch begins: it tells everything anew."""
        self._told = set()

    def apply(self, response: pb.WatchResponse, now: float) -> None:
        """Takes in what the registry tells; `now` in seconds of a clock that only grows."""
        for node_id in response.down:
            self._nodes.pop(node_id, None)
            self._missing.pop(node_id, None)
        for node in response.up:
            for other in [known for known, (address, _) in self._nodes.items() if address == node.address]:
                del self._nodes[other]
                self._missing.pop(other, None)
            self._nodes[node.node_id] = (node.address, tuple(node.services))
            self._missing.pop(node.node_id, None)
            if self._told is not None:
                self._told.add(node.node_id)
        if response.synced and self._told is not None:
            for node_id in self._nodes.keys() - self._told:
                self._missing.setdefault(node_id, now + self._grace)
            self._told = None
        if response.down or response.up:
            self._arrange()

    def addresses(self, service: str, now: float) -> tuple[str, ...]:
        """The addresses of the nodes that host a service, sorted."""
        if self._missing and now >= min(self._missing.values()):
            for node_id in [known for known, until in self._missing.items() if until <= now]:
                del self._missing[node_id]
                self._nodes.pop(node_id, None)
            self._arrange()
        return self._by_service.get(service, ())

    def address_of(self, node_id: str) -> str:
        """The address of a node; empty: it is not there."""
        return self._nodes.get(node_id, ("", ()))[0]

    def _arrange(self) -> None:
        found: dict[str, set[str]] = {}
        for address, services in self._nodes.values():
            for service in services:
                found.setdefault(service, set()).add(address)
        self._by_service = {service: tuple(sorted(addresses)) for service, addresses in found.items()}


class RegistryNodes:
    """The live nodes. While the registry cannot be reached, those that were there last."""

    def __init__(self, *, grace: float = 5.0, clock: Clock | None = None) -> None:
        self._view = NodeView(grace)
        self._clock = clock or SystemClock()
        self._synced = asyncio.Event()

    def addresses(self, service: str) -> tuple[str, ...]:
        """See `kit.mesh.Nodes`."""
        return self._view.addresses(service, self._clock.monotonic())

    def address_of(self, node_id: str) -> str:
        """See `kit.mesh.Nodes`."""
        return self._view.address_of(node_id)

    async def synced(self) -> None:
        """Waits until the registry has told all nodes for the first time."""
        await self._synced.wait()

    @asynccontextmanager
    async def running(self, reach: Reach, registry: Sequence[str] | str) -> AsyncIterator[None]:
        """Watches whichever leads of the registries at the addresses `registry` for the block."""
        registries = Registries(registry)
        attempt = keep_running("watch of the nodes", lambda: self._attempt(reach, registries), ceiling=0.5)
        loop = asyncio.create_task(attempt)
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    async def _attempt(self, reach: Reach, registries: Registries) -> None:
        self._view.restart()
        async with aclosing(watch(reach, registries, topics=False)) as told:
            async for response in told:
                self._view.apply(response, self._clock.monotonic())
                if response.synced:
                    self._synced.set()
