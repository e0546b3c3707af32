"""The addresses of the session registries, and which of them leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol

import grpc
from google.rpc import status_pb2

from kit.errors import RemoteError, remote_error
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc

NOT_LEADER = "NOT_LEADER"
LEADER = "leader"
# A watch says something every two seconds.
_SILENCE = 6.0
_WATCH = "/plaudit.session.v1.SessionRegistryService/Watch"
_DETAILS = "grpc-status-details-bin"


class ChannelProvider(Protocol):
    """Channels to other processes: `kit.rpc.mesh.Mesh`."""

    def channel(self, address: str) -> grpc.aio.Channel:
        """The channel to an address."""
        ...

    def metadata(self, method: str) -> tuple[tuple[str, str], ...]:
        """This process's token for a method."""
        ...


class RegistryEndpoints:
    """Chooses a registry. No I/O.

    A registry that answers is chosen again. After a failure the next of the list is chosen, and after NOT_LEADER the
    leader that it names, even where the list does not contain it: a name in the list may stand for several processes.
    """

    def __init__(self, addresses: Sequence[str] | str) -> None:
        """`addresses`: `host:port`, at least one; in a text they are separated by commas."""
        given = addresses.split(",") if isinstance(addresses, str) else addresses
        self._addresses = tuple(address.strip() for address in given)
        self._index = 0
        self._named = ""

    def __len__(self) -> int:
        return len(self._addresses)

    def __str__(self) -> str:
        return ",".join(self._addresses)

    def address(self) -> str:
        """The address of the chosen registry."""
        return self._named or self._addresses[self._index]

    def use(self, addresses: Sequence[str]) -> None:
        """Replaces the list; the choice stays if it is in the new one."""
        if tuple(addresses) != self._addresses:
            asked = self.address() if self._addresses else ""
            self._addresses = tuple(addresses)
            self._named = ""
            self._index = self._addresses.index(asked) if asked in self._addresses else 0

    def failed(self, error: Exception | None = None) -> bool:
        """The one asked has failed. True where it says who leads: then the next attempt need not wait."""
        asked, found = self.address(), problem_of(error)
        leader = found.about.get(LEADER, "") if found is not None and found.reason == NOT_LEADER else ""
        if leader and leader != asked:
            if leader in self._addresses:
                self._named, self._index = "", self._addresses.index(leader)
            else:
                self._named = leader
            return True
        self._named = ""
        self._index = (self._index + 1) % len(self._addresses)
        return False


def problem_of(error: Exception | None) -> RemoteError | None:
    """The problem in a failed call, with its reason; None where it has none."""
    if isinstance(error, grpc.aio.AioRpcError):
        for key, value in error.trailing_metadata() or ():
            if key == _DETAILS and isinstance(value, bytes):
                return remote_error(status_pb2.Status.FromString(value))
    return None


async def watch(
    reach: ChannelProvider, registries: RegistryEndpoints, *, topics: bool
) -> AsyncGenerator[pb.WatchResponse, None]:
    """The responses of the leading registry, until the watch breaks, which raises; then watch again.

    Raises TimeoutError where the registry is silent for longer than it may be.
    """
    for _ in range(len(registries) + 1):
        stub: Any = pb_grpc.SessionRegistryServiceStub(reach.channel(registries.address()))
        call = stub.Watch(pb.WatchRequest(topics=topics), metadata=reach.metadata(_WATCH))
        has_responded = False
        try:
            while True:
                async with asyncio.timeout(_SILENCE):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    raise EOFError("the registry has ended the watch")
                has_responded = True
                yield response
        except (grpc.aio.AioRpcError, EOFError, TimeoutError) as error:
            if not registries.failed(error) or has_responded:
                raise
        finally:
            call.cancel()
    raise ConnectionError(f"no registry of {registries} leads")
