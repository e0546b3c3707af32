"""A whole system of single processes, with proxies between them and their engines where a network is to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kit.auth.keys import open_keys
from kit.auth.tokens import Minter
from tests.faults.mutants.crash_points import POINTS
from tests.faults.system.nodes import NodeProcess

if TYPE_CHECKING:
    from tests.faults.system.backends import Backends

Layout = Sequence[tuple[str, str]]  # names and services, the registry first

SERVICES = "session_registry,reaction_svc,counter_svc,fanout_svc"
SMALL: Layout = (("services", SERVICES), ("gateway-1", "gateway"), ("gateway-2", "gateway"))
"""Three processes on files, for faults of all services at once."""
FEW: Layout = (
    ("services", SERVICES),
    ("reaction-2", "reaction_svc"),
    ("gateway-1", "gateway"),
    ("gateway-2", "gateway"),
)
"""Two writers of the ledger, for engines that need the cores."""
FILES: Layout = (
    ("registry-1", "session_registry"),
    ("reaction-1", "reaction_svc"),
    ("reaction-2", "reaction_svc"),
    ("counter-1", "counter_svc"),
    ("fanout-1", "fanout_svc"),
    ("gateway-1", "gateway"),
    ("gateway-2", "gateway"),
)
"""One process of every service, on files."""
ENGINES: Layout = tuple(
    (f"{name}-{number}", service)
    for name, service in (
        ("registry", "session_registry"),
        ("reaction", "reaction_svc"),
        ("counter", "counter_svc"),
        ("fanout", "fanout_svc"),
        ("gateway", "gateway"),
    )
    for number in (1, 2)
)
"""Two of every service, on engines."""
MESSAGES: Layout = tuple(
    (f"{name}-{number}", service)
    for name, service in (
        ("registry", "session_registry"),
        ("message", "message_svc"),
        ("fanout", "fanout_svc"),
        ("gateway", "gateway"),
    )
    for number in (1, 2)
)
"""Two of every service of messages, on engines."""
MESSAGES_ON_FILES: Layout = (
    ("services", "session_registry,message_svc,fanout_svc"),
    ("gateway-1", "gateway"),
    ("gateway-2", "gateway"),
)
"""Three processes on files."""
EMBEDDED: Layout = (("all", "session_registry,reaction_svc,message_svc,counter_svc,fanout_svc,gateway"),)
"""Everything in one process, as `make run` starts it."""

# Higher limits, because few users make the load, and leases short enough to expire in a test.
_SETTINGS = {
    "REACTION__CHANGES_PER_SECOND": "50",
    "REACTION__CHANGES_AT_ONCE": "50",
    "MESSAGE__SENDS_PER_SECOND": "0",
    "SESSION__LEASE_SECONDS": "2",
    "GATEWAY__SESSION__SLOW_TIMEOUT": "3",
    "GATEWAY__RECONNECT_SPREAD": "1",
}


class Cluster:
    """Running nodes by name. Tokens name the tenants."""

    def __init__(self, folder: Path, layout: Layout, backends: Backends | None, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.backends = backends
        own = {"DATA": str(folder / "data"), "LOG": "info", "GRACE_SECONDS": "5", **_SETTINGS, **settings}
        if backends is not None:
            own |= backends.settings
        self.nodes = {name: NodeProcess(name, services, folder, own) for name, services in layout}
        for node in self.nodes.values():
            node.settings["REGISTRY"] = ",".join(one.grpc for one in self.registries)
            if backends is not None:
                node.settings["DATA"] = str(folder / "data" / node.name)
        self._minter: Minter | None = None

    def nodes_of(self, service: str) -> list[NodeProcess]:
        """The nodes of a service."""
        return [node for node in self.nodes.values() if service in node.services.split(",")]

    def crash_points(self, service: str) -> list[str]:
        """The names of the crash points of a service."""
        engine = "files" if self.backends is None else "engines"
        return [name for name, point in POINTS.items() if point.service == service and engine in point.on]

    @property
    def registries(self) -> list[NodeProcess]:
        """The registry's nodes."""
        return self.nodes_of("session_registry")

    @property
    def gateways(self) -> list[NodeProcess]:
        """The gateway nodes."""
        return self.nodes_of("gateway")

    def start(self) -> None:
        """Starts all nodes, the registry before the others."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        # The keys are created here, because the first of several processes would create them.
        keys = self.folder / "data" / "keys"
        self._minter = open_keys(keys).minter()
        if self.backends is not None:
            for name in self.nodes:
                (self.folder / "data" / name).mkdir()
                (self.folder / "data" / name / "keys").symlink_to(keys)
        for node in self.registries:
            node.launch()
        for node in self.registries:
            node.wait_ready()
        others = [node for node in self.nodes.values() if node not in self.registries]
        for node in others:
            node.launch()
        for node in others:
            node.wait_ready()

    def shut_down(self) -> None:
        """Ends all nodes."""
        for node in self.nodes.values():
            node.shut_down()

    def user_token(self, tenant: str, user: str) -> str:
        """A token of a user."""
        assert self._minter is not None
        return self._minter.mint_user(user, tenant)

    def service_token(self, tenant: str = "default") -> str:
        """A token of a service that acts for users of a tenant."""
        assert self._minter is not None
        return self._minter.mint_service("faults", ("act-as", "tenants", "audit"), tenant=tenant)


@asynccontextmanager
async def running(
    folder: Path,
    layout: Layout,
    backends: Backends | None = None,
    mutants: Mapping[str, str] | None = None,
    **settings: str,
) -> AsyncIterator[Cluster]:
    """A cluster for the block; `mutants`: planted bugs by node name, "" for all nodes."""
    cluster = Cluster(folder, layout, backends, settings)
    for name, what in (mutants or {}).items():
        for node in [cluster.nodes[name]] if name else cluster.nodes.values():
            node.mutants = what
    try:
        await asyncio.to_thread(cluster.start)
        yield cluster
    finally:
        await asyncio.to_thread(cluster.shut_down)
