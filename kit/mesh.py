"""How a process reaches the others: channels kept for life, one call stream per node, routing by key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import grpc
from google.rpc import status_pb2

from kit.callstream import CallStream, OnReply
from kit.errors import make_status, remote_error
from kit.rendezvous import pick
from kit.tasks import Crew, crew
from kit.telemetry import CALLS_WAITING
from kit.tls import CHANNEL_OPTIONS as TLS_OPTIONS
from kit.tls import Tls

_NO_NODE = make_status(
    grpc.StatusCode.UNAVAILABLE, "NO_NODE", "no live node serves this method; nothing was done", retry_after=0.5
)


class Nodes(Protocol):
    """Knows which live nodes host a service."""

    def addresses(self, service: str) -> tuple[str, ...]:
        """The `host:port` of each node that hosts the service of that full name, in the same order everywhere."""
        ...

    def address_of(self, node_id: str) -> str:
        """The `host:port` of a live node; empty: there is none of that id."""
        ...


CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.max_send_message_length", 4 << 20),
    # One process may host several nodes in tests: no sharing of connections behind our back.
    ("grpc.use_local_subchannel_pool", 1),
]


def open_channel(address: str, tls: Tls | None = None) -> grpc.aio.Channel:
    """A channel to a node, over mutual TLS where there is one."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(address, tls.channel_credentials(), options=[*CHANNEL_OPTIONS, *TLS_OPTIONS])


class Mesh:
    """Calls to other processes. Made by `connected`."""

    def __init__(self, nodes: Nodes, token: Callable[[], str], tasks: Crew, tls: Tls | None = None) -> None:
        self._nodes = nodes
        self._token = token
        self._crew = tasks
        self._tls = tls
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._streams: dict[str, CallStream] = {}
        self.own_address = ""
        """Where this process serves, as the others see it; "" as long as it does not serve."""
        CALLS_WAITING.set_function(lambda: sum(map(len, self._streams.values())))

    def addresses(self, service: str) -> tuple[str, ...]:
        """The live nodes that host a service, by its full name."""
        return self._nodes.addresses(service)

    def address_of(self, node_id: str) -> str:
        """Where a live node is; empty: there is none of that id."""
        return self._nodes.address_of(node_id)

    def use(self, nodes: Nodes) -> None:
        """Looks nodes up in `nodes` from now on."""
        self._nodes = nodes

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What this process identifies itself with, for streaming stubs."""
        return (("authorization", f"Bearer {self._token()}"),)

    def channel(self, address: str) -> grpc.aio.Channel:
        """The channel to a node, opened on first use and kept."""
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = open_channel(address, self._tls)
        return channel

    def submit(
        self,
        method: str,
        request: bytes,
        on_reply: OnReply,
        *,
        key: str = "",
        at: str = "",
        tenant: str = "",
        user: str = "",
        unlimited: bool = False,
        timeout: float = 5.0,
    ) -> None:
        """Calls `/package.Service/Method` on the node that owns the key, or `at` an address; `timeout` in seconds.

        `on_reply(response bytes, None)` or `on_reply(None, status)` is called exactly once, from the loop.
        """
        found = (at,) if at else self._nodes.addresses(method[1 : method.index("/", 1)])
        if len(found) == 1:
            address = found[0]
        elif found:
            address = pick(key, found)
        else:
            asyncio.get_running_loop().call_soon(on_reply, None, _NO_NODE)
            return
        stream = self._streams.get(address)
        if stream is None:  # an idle stream is falsy: it has a length, that of the calls in flight
            stream = self._open(address)
        stream.submit(method, request, on_reply, tenant=tenant, user=user, unlimited=unlimited, timeout=timeout)

    async def call(
        self,
        method: str,
        request: bytes,
        *,
        key: str = "",
        at: str = "",
        tenant: str = "",
        user: str = "",
        unlimited: bool = False,
        timeout: float = 5.0,
    ) -> bytes:
        """As `submit`, awaited: the response's bytes; raises RemoteError."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def done(response: bytes | None, status: status_pb2.Status | None) -> None:
            if future.done():
                return
            if response is not None:
                future.set_result(response)
            else:
                future.set_exception(remote_error(status or _NO_NODE))

        who = {"tenant": tenant, "user": user}
        self.submit(method, request, done, key=key, at=at, unlimited=unlimited, timeout=timeout, **who)
        return await future

    def _open(self, address: str) -> CallStream:
        stream = self._streams[address] = CallStream(self.channel(address), self.metadata)
        self._crew.start(stream.run(address))
        return stream

    async def close(self) -> None:
        """Closes the channels."""
        for channel in self._channels.values():
            await channel.close()


@asynccontextmanager
async def connected(nodes: Nodes, token: Callable[[], str], tls: Tls | None = None) -> AsyncIterator[Mesh]:
    """A mesh for the block; `token` gives this process's service token, asked for each new stream."""
    async with crew() as tasks:
        mesh = Mesh(nodes, token, tasks, tls)
        try:
            yield mesh
        finally:
            tasks.dismiss()
            await mesh.close()
