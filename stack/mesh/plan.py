"""Plans the processes of a mesh on one machine: their addresses, folders and settings, and the Envoy in front."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.server import free_port
from kit.rpc.tls import Tls, check, open_tls
from stack import certs
from stack.envoy.contracts import read_methods
from stack.envoy.model import Certificate, Model
from stack.process.stopping import MARGIN_SECONDS
from stack.process.supervisor import UP_COMMAND, CannotStart, Program
from stack.settings.model import SERVICES, Settings


@dataclass(frozen=True)
class MeshOptions:
    """Options of `plaudit mesh`."""

    https: str = "127.0.0.1:8443"
    http: str = "127.0.0.1:8080"
    nodes: int = 2
    engines: bool = True
    """Use Redis, Cassandra and Kafka: those of the settings, or servers started in the data folder."""
    mtls: bool = False
    """Mutual TLS between all processes."""
    through_envoy: bool = False
    """Gateways find the services through Envoy instead of the session registry."""
    hosts: tuple[str, ...] = field(default=certs.LOCAL)
    """Host names of the edge, for a new certificate."""


@dataclass(frozen=True)
class MeshNode:
    """One process of `plaudit up`."""

    name: str
    service: str
    grpc: str
    http: str


def open_certificates(settings: Settings, options: MeshOptions) -> tuple[Certificate, Tls | None]:
    """The certificates of the edge and of the services; creates missing ones. Raises CannotUse."""
    folder = (settings.data / "certs").absolute()
    if not (folder / certs.EDGE).exists():
        certs.make(folder, hosts=options.hosts)
    own = Tls(folder / certs.CA, folder / certs.SERVICE, folder / certs.SERVICE_KEY)
    tls = open_tls(settings.tls)
    if tls is None and options.mtls:
        check(own)
        tls = own
    return Certificate(folder / certs.EDGE, folder / certs.EDGE_KEY), tls


def plan_nodes(settings: Settings, options: MeshOptions, ports: Iterator[int]) -> list[MeshNode]:
    """The nodes of each service; only one if its data is in files, which processes do not share."""
    nodes = []
    for service in SERVICES:
        # Users are in a store of their own.
        is_shared = settings.is_shared and (service != "message_svc" or bool(settings.users))
        for number in range(1, (options.nodes if is_shared or service == "gateway" else 1) + 1):
            http = f"127.0.0.1:{next(ports)}" if service == "gateway" else ""
            nodes.append(MeshNode(f"{service}-{number}", service, f"127.0.0.1:{next(ports)}", http))
    return nodes


def common_environment(settings: Settings, nodes: list[MeshNode], tls: Tls | None) -> dict[str, str]:
    """The environment of all nodes."""
    connections = str(settings.gateway.socket.connections)
    registries = [node.grpc for node in nodes if node.service == "session_registry"]
    variables = {
        "REGISTRY": ",".join(registries),
        "RECORDS": settings.records,
        "HOT": settings.hot,
        "EVENTS": settings.events,
        "USERS": settings.users,
        "IDENTITY__ISSUERS": settings.identity.as_variable(),
        "WORKERS": "1",
        "GRACE_SECONDS": f"{settings.grace_seconds:g}",
        # Envoy carries all clients on its own connections, and opens another one when the calls of one are used up.
        "SERVER__STREAMS_PER_CONNECTION": str(settings.server.calls_per_connection),
        # It is one address, which may have all connections of the port.
        "GATEWAY__HANDSHAKES_SHARE": "1",
        "GATEWAY__SOCKET__CONNECTIONS": connections,
        "GATEWAY__SOCKET__IDLE_PER_ADDRESS": connections,
        "GATEWAY__CONNECTIONS_PER_ADDRESS": connections,
    }
    if tls is not None:
        files = {"TLS__CA": tls.ca, "TLS__CERT": tls.cert, "TLS__KEY": tls.key}
        variables |= {name: str(path.absolute()) for name, path in files.items()}
    return {f"PLAUDIT_{name}": value for name, value in variables.items()}


def node_program(settings: Settings, node: MeshNode, environment: Mapping[str, str]) -> Program:
    """The command and environment of a node."""
    own = {
        "PLAUDIT_NAME": node.name.replace("-", " "),
        "PLAUDIT_SERVICES": node.service,
        "PLAUDIT_GRPC": node.grpc,
        "PLAUDIT_HTTP": node.http or settings.http,
        "PLAUDIT_DATA": str(_folder(settings, node).absolute()),
    }
    return Program(
        node.name,
        UP_COMMAND,
        settings.data / "logs" / f"{node.name}.log",
        {**environment, **own},
        stop_seconds=settings.grace_seconds + MARGIN_SECONDS,
    )


def _folder(settings: Settings, node: MeshNode) -> Path:
    """On engines each node has its own folder with a link to the shared keys; otherwise nodes share one folder."""
    if not settings.is_shared:
        return settings.data
    folder = settings.data / node.name
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "keys").is_symlink():
        (folder / "keys").symlink_to((settings.data / "keys").absolute())
    return folder


def envoy_model(
    options: MeshOptions,
    nodes: list[MeshNode],
    certificate: Certificate,
    tls: Tls | None,
    keys: Any,
    ports: Iterator[int],
    *,
    has_other_issuers: bool = False,
) -> Model:
    """The model of the Envoy in front of these nodes."""
    services: dict[str, tuple[str, ...]] = {}
    for service in {method.service for method in read_methods()}:
        # The package that implements `plaudit.reaction.v1.ReactionService` is `reaction_svc`.
        addresses = tuple(node.grpc for node in nodes if node.service.split("_")[0] == service.split(".")[1])
        if addresses and service.split(".")[1] != "gateway":
            services[service] = addresses
    return Model(
        gateways=tuple(node.http for node in nodes if node.service == "gateway"),
        services=services,
        keys=keys,
        has_other_issuers=has_other_issuers,
        https=options.https,
        http=options.http,
        internal=f"127.0.0.1:{next(ports)}",
        spread=f"127.0.0.1:{next(ports)}",
        admin=f"127.0.0.1:{next(ports)}",
        certificate=certificate,
        tls=tls,
    )


def check_port_free(address: str) -> None:
    """Raises CannotStart if something listens on an address."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            raise CannotStart(f"cannot listen on {address}: something else does") from None


def free_ports() -> Iterator[int]:
    """Free ports below the ephemeral range, so that no outgoing connection uses the port of a node that restarts."""
    while True:
        try:
            yield free_port()
        except OSError as error:
            raise CannotStart("there are not enough free ports") from error
