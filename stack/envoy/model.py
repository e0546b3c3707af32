"""The model of an Envoy: its configuration is derived from this and the contracts."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.contracts.sizes import LONGEST_LINE, OTHER_FIELDS
from kit.rpc.tls import Tls
from stack.addresses import is_loopback, split

GATEWAY = "gateway"
SOCKETS = "gateway-sockets"
"""The names of the clusters of gateways; a service's cluster has the full name of the service."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate of the edge."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the edge. Times are seconds, sizes are bytes."""

    request_bytes: int = 1 << 20
    # The longest request line of the contracts, and 8 KiB of fields.
    header_kilobytes: int = (LONGEST_LINE + OTHER_FIELDS) // 1024
    headers: int = 64
    header_timeout: float = 10.0
    # A whole unary request, with its body and answer.
    call_seconds: float = 30.0
    # One attempt at a node; clients set shorter ones with `grpc-timeout`.
    attempt_seconds: float = 10.0
    # An idle WebSocket or stream: clients ping every 30 s.
    idle_seconds: float = 120.0
    clients: int = 100_000
    # To one service: concurrent calls and streams, and how many of them may be retries.
    calls: int = 8_192
    retry_percent: float = 20.0


@dataclass(frozen=True, slots=True)
class Model:
    """One Envoy. Addresses are `host:port`; an empty one means that there is no such listener."""

    gateways: tuple[str, ...]
    """The HTTP ports of the gateways."""
    services: Mapping[str, tuple[str, ...]]
    """The gRPC ports of the nodes that host a service, by its full name."""
    keys: Mapping[str, Ed25519PublicKey]
    """The keys that tokens may be signed with, by their ids."""
    has_other_issuers: bool = False
    """Whether services also accept tokens of identity providers, whose keys Envoy does not have."""
    https: str = ""
    """TLS for clients: the page, sockets, REST and gRPC; needs `certificate`."""
    http: str = ""
    """The same without TLS."""
    internal: str = ""
    """For processes of the system that find nodes through this Envoy."""
    spread: str = "127.0.0.1:9903"
    """For Envoy alone, on loopback: see `clusters`."""
    admin: str = ""
    """The admin interface of Envoy; every client of it can stop Envoy."""
    certificate: Certificate | None = None
    tls: Tls | None = None
    """Mutual TLS with the services, and on the internal listener."""
    rest: Literal["services", "gateways"] = "services"
    """Whether REST is served by the services through Envoy's transcoder, as far as it answers as the contracts say, or
    by the gateways."""
    origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may call, such as `https://chat.example.com`."""
    endpoints: Path | None = None
    """A folder with a file of addresses for each cluster, reloaded when it changes; None: fixed addresses."""
    access_log: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Raises ValueError if the model is not valid."""
        if not (self.https or self.http or self.internal):
            raise ValueError("an Envoy listens somewhere: give https, http or internal")
        if self.https and self.certificate is None:
            raise ValueError("https needs a certificate")
        if (self.https or self.http) and not (self.gateways and self.keys):
            raise ValueError("the edge needs gateways, and the keys of tokens")
        for name, address in (("the admin page", self.admin), ("the spread listener", self.spread)):
            if address and not is_loopback(address):
                raise ValueError(f"{name} must listen on loopback, not on {address}")
        for address in self.addresses():
            split(address)

    def addresses(self) -> list[str]:
        """All addresses of the model."""
        nodes = [address for nodes in self.services.values() for address in nodes]
        return [*filter(None, (self.https, self.http, self.internal, self.spread, self.admin)), *self.gateways, *nodes]


def key_set(keys: Mapping[str, Ed25519PublicKey]) -> str:
    """The keys as a JWK set (RFC 7517, RFC 8037)."""

    def jwk(key_id: str, key: Ed25519PublicKey) -> dict[str, str]:
        x = urlsafe_b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id, "x": x}

    return json.dumps({"keys": [jwk(key_id, key) for key_id, key in sorted(keys.items())]})
