"""Calls to other processes: one channel and one call stream per node, routing by key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import grpc
from google.rpc import status_pb2

from kit.cluster.routing import node_of
from kit.errors import NoNode, remote_error, status_of
from kit.rpc.call_stream import BROKEN, EXCHANGE, LATE, CallStream
from kit.rpc.service_call import Payload, ServiceCall, bytes_of
from kit.rpc.tls import CHANNEL_OPTIONS as TLS_OPTIONS
from kit.rpc.tls import Tls
from kit.tasks import TaskScope, task_scope
from kit.telemetry import CALLS_WAITING

_NO_NODE = status_of(NoNode("no live node serves this method; nothing was done", retry_after=0.5), {})


class Nodes(Protocol):
    """The live nodes of services."""

    def addresses(self, service: str) -> tuple[str, ...]:
        """The `host:port` of each node that hosts the service of that full name, in the same order everywhere."""
        ...

    def address_of(self, node_id: str) -> str:
        """The `host:port` of a live node; empty where there is none of that id."""
        ...


# A stream is closed when it was not used for this long; at most twice as long passes before.
_IDLE_SECONDS = 15.0
RENEW_SECONDS = 30.0

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
    # In tests one process hosts several nodes, which must not share connections.
    ("grpc.use_local_subchannel_pool", 1),
]


def open_channel(address: str, tls: Tls | None = None) -> grpc.aio.Channel:
    """A channel to a node, over mutual TLS where there is one."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(address, tls.channel_credentials(), options=[*CHANNEL_OPTIONS, *TLS_OPTIONS])


class Calls(Protocol):
    """Calls to one node."""

    def __len__(self) -> int:
        """Number of calls without a reply."""
        ...

    def submit(self, call: ServiceCall) -> None:
        """See `kit.rpc.call_stream.CallStream`."""
        ...


class _OpenStream:
    """A call stream, and when it was opened. `used`: since the last `close_idle`; `renewed`: opened again regularly."""

    __slots__ = ("opened", "renewed", "stream", "task", "used")

    def __init__(self, stream: CallStream, task: asyncio.Task[None], opened: float, *, renewed: bool) -> None:
        self.stream = stream
        self.task = task
        self.opened = opened
        self.renewed = renewed
        self.used = True


class Mesh:
    """Calls to other processes. Made by `connected`."""

    def __init__(self, nodes: Nodes, token: Callable[[str], str], tasks: TaskScope, tls: Tls | None = None) -> None:
        self._nodes = self._hosts = nodes
        self._token = token
        self._tasks = tasks
        self._tls = tls
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._streams: dict[str, _OpenStream] = {}
        self._retired: list[_OpenStream] = []
        self._shared_channels: set[str] = set()  # channels with other users than call streams
        self.own_address = ""
        """The address of this process for other nodes; "" while it does not serve."""
        self.own_calls: Calls | None = None
        """Takes calls to that address; None: they go over the network."""
        self.shares_work = False
        """Whether other nodes may host the same services as this one."""
        self.sharded: Mapping[str, int] = {}
        """The number of shards of services that divide their keys: a call goes to the node that owns the shard of its
        key."""
        CALLS_WAITING.set_function(self._waiting)

    @property
    def member_id(self) -> str:
        """The name of this process where work is divided: "" where it is the only one, no valid name before it
        serves."""
        return self.own_address or ("not yet" if self.shares_work else "")

    def addresses(self, service: str) -> tuple[str, ...]:
        """The live nodes that host a service, by its full name."""
        return self._nodes.addresses(service)

    def address_of(self, node_id: str) -> str:
        """The address of a live node; empty where there is none of that id."""
        return self._nodes.address_of(node_id)

    def hosts(self, service: str) -> tuple[str, ...]:
        """The nodes that divide the work of a service, also where calls to them go through a proxy."""
        return self._hosts.addresses(service)

    def set_resolver(self, nodes: Nodes, hosts: Nodes | None = None) -> None:
        """Sets where nodes are looked up; `hosts`, where given, is for nodes that divide work."""
        self._nodes = nodes
        self._hosts = hosts or nodes

    def metadata(self, method: str) -> tuple[tuple[str, str], ...]:
        """The metadata with this process's token, for a call of `/package.Service/Method`."""
        return (("authorization", f"Bearer {self._token(method)}"),)

    def channel(self, address: str) -> grpc.aio.Channel:
        """The channel to a node, opened on first use."""
        self._shared_channels.add(address)
        return self._channel(address)

    def _channel(self, address: str) -> grpc.aio.Channel:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = open_channel(address, self._tls)
        return channel

    def submit(self, call: ServiceCall, *, key: str = "", at: str = "") -> None:
        """Makes a call on the node that owns the key, or `at` an address. Its `on_reply` is called once, from the loop.

        A call to this process is not serialized: request and response are shared, and neither side may change them.
        """
        method = call.method
        service = method[1 : method.index("/", 1)]
        found = (at,) if at else self._nodes.addresses(service)
        if len(found) == 1:
            address = found[0]
        elif found:
            address = node_of(self.sharded, service, call.tenant, key, found)
        else:
            asyncio.get_running_loop().call_soon(call.on_reply, None, _NO_NODE)
            return
        calls = self.own_calls if address == self.own_address and self.own_calls is not None else self._stream(address)
        calls.submit(call)

    def silent_since(self, address: str, asked: float) -> float:
        """Seconds since the last message from an address, at most since `asked`, a time of the loop's clock."""
        opened = self._streams.get(address)
        heard_at = opened.stream.heard_at if opened is not None else 0.0
        return asyncio.get_running_loop().time() - max(asked, heard_at)

    @staticmethod
    def is_broken(status: status_pb2.Status) -> bool:
        """Whether a status means that no answer came, so that the call may have been executed."""
        return status is BROKEN or status is LATE

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
        """Calls `/package.Service/Method` as `submit` does, and returns the response's bytes; raises RemoteError."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def done(response: Payload | None, status: status_pb2.Status | None) -> None:
            if future.done():
                return
            if response is not None:
                future.set_result(bytes_of(response))
            else:
                future.set_exception(remote_error(status or _NO_NODE))

        self.submit(ServiceCall(method, request, done, tenant, user, unlimited, timeout, scope), key=key, at=at)
        return await future

    def _stream(self, address: str) -> CallStream:
        opened = self._streams.get(address) or self._open(address)
        opened.used = True
        return opened.stream

    def _open(self, address: str) -> _OpenStream:
        target, *slot = address.split("#")
        # The headers that Envoy routes by, see `kit.rpc.envoy_nodes`.
        labels = tuple(zip(("plaudit-service", "plaudit-route-key"), slot, strict=False))
        stream = CallStream(self._channel(target), lambda: (*self.metadata(EXCHANGE), *labels))
        opened = _OpenStream(stream, self._tasks.start(stream.run(address)), time.monotonic(), renewed=bool(slot))
        self._streams[address] = opened
        return opened

    def _waiting(self) -> int:
        return len(self.own_calls or ()) + sum(len(opened.stream) for opened in self._streams.values())

    async def run_idle_check(self) -> None:
        """Closes unused streams, such as those to nodes that are gone, until it is cancelled."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            await self.close_idle()

    async def close_idle(self) -> None:
        """Closes streams that were not used since the last call, and renews those that go through Envoy.

        Envoy keeps a stream at the node it was routed to first; only a new stream reaches a node that has come back.
        """
        now = time.monotonic()
        for address, opened in list(self._streams.items()):
            if not opened.used and not len(opened.stream):
                del self._streams[address]
                opened.task.cancel()
                await self._close_channel(address)
            elif opened.renewed and now - opened.opened > RENEW_SECONDS:
                self._retired.append(opened)
                self._open(address)
            else:
                opened.used = False
        for opened in [retired for retired in self._retired if not len(retired.stream)]:
            self._retired.remove(opened)
            opened.task.cancel()

    async def _close_channel(self, address: str) -> None:
        if address not in self._shared_channels and (channel := self._channels.pop(address, None)) is not None:
            await channel.close()

    async def close(self) -> None:
        """Closes the channels."""
        for channel in self._channels.values():
            await channel.close()


@asynccontextmanager
async def connected(nodes: Nodes, token: Callable[[str], str], tls: Tls | None = None) -> AsyncIterator[Mesh]:
    """A mesh for the block; `token` returns this process's token for a method, and is called for each new stream."""
    async with task_scope() as tasks:
        mesh = Mesh(nodes, token, tasks, tls)
        tasks.start(mesh.run_idle_check())
        try:
            yield mesh
        finally:
            tasks.cancel_all()
            await mesh.close()
