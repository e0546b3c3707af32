"""What a gateway needs of other services."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import grpc

from kit.cluster.registration import LeaseStatus
from kit.rpc.service_call import Payload, ServiceCall


class Calls(Protocol):
    """Calls services: `kit.rpc.mesh.Mesh`."""

    def submit(self, call: ServiceCall, *, key: str = "") -> None:
        """Makes a call. Never blocks; its `on_reply` is called once, later, on the loop."""
        ...

    async def call(
        self,
        method: str,
        request: Payload,
        *,
        key: str = "",
        at: str = "",
        tenant: str = "",
        user: str = "",
        unlimited: bool = False,
        timeout: float = 5.0,
        scope: str = "",
    ) -> bytes:
        """Calls `/package.Service/Method` and returns the response. Raises RemoteError. `at`: on the node of this
        address."""
        ...

    def addresses(self, service: str) -> Sequence[str]:
        """The addresses of the live nodes that host a service."""
        ...

    def address_of(self, node_id: str) -> str:
        """The address of a live node; empty: there is no such node."""
        ...

    def channel(self, address: str) -> grpc.aio.Channel:
        """The channel to an address."""
        ...

    def metadata(self, method: str) -> tuple[tuple[str, str], ...]:
        """This process's token for a method."""
        ...


class Directory(Protocol):
    """Registers the sessions and topics of this node: `kit.cluster.registration.Registration`.

    Never blocks; registers everything again after the connection to the registry broke.
    """

    def on_fenced(self, callback: Callable[[Sequence[str]], None]) -> None:
        """Calls back with the ids of sessions that later ones of the same device have replaced."""
        ...

    def on_logged_out(self, callback: Callable[[Sequence[str]], None]) -> None:
        """Calls back with the ids of sessions whose user has logged out their device."""
        ...

    def opened(self, session_id: str, tenant: str, user: str, device: str, *, token_issued: int | None = None) -> None:
        """Registers a session that opened here, or moved here from another node. `token_issued`: when its token was, in
        Unix seconds; 0: the token does not say."""
        ...

    def closed(self, session_id: str) -> None:
        """Removes a session that ended, or moved to another node."""
        ...

    def is_attached(self) -> bool:
        """Whether this node is registered now."""
        ...

    def lease_status(self) -> LeaseStatus:
        """The lease of this node."""
        ...

    def subscribe(self, tenant: str, topic: str) -> None:
        """Registers a topic: its first subscriber on this node has subscribed."""
        ...

    def unsubscribe(self, tenant: str, topic: str) -> None:
        """Removes a topic: its last subscriber on this node has unsubscribed."""
        ...
