"""How a process reaches the others: channels kept for life, one call stream per node, routing by key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import grpc
from google.rpc import status_pb2

from kit.callstream import BROKEN, EXCHANGE, LATE, CallStream, OnReply
from kit.errors import make_status, remote_error
from kit.ledger.routing import node_of
from kit.tasks import TaskScope, task_scope
from kit.telemetry import CALLS_WAITING
from kit.tls import CHANNEL_OPTIONS as TLS_OPTIONS
from kit.tls import Tls
from plaudit.edge.v1 import call_service_pb2 as pb

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


# A stream that was not used for at least this long, and at most twice as long, is ended.
_IDLE_SECONDS = 15.0
_RENEW_SECONDS = 30.0

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


class Calls(Protocol):
    """Where calls to one node go."""

    def __len__(self) -> int:
        """How many wait for their replies."""
        ...

    def submit(self, call: pb.Call, on_reply: OnReply) -> None:
        """See `kit.callstream.CallStream`."""
        ...


class _Held:
    """A call stream, and when it was opened. `used`: since the last time somebody looked; `renewed`: now and then."""

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
        self._crew = tasks
        self._tls = tls
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._streams: dict[str, _Held] = {}
        self._retired: list[_Held] = []
        self._shared_channels: set[str] = set()  # channels that others hold too
        self.own_address = ""
        """Where this process serves, as the others see it; "" as long as it does not serve."""
        self.own_calls: Calls | None = None
        """Where calls to that address go, if not over the wire."""
        self.shares_work = False
        """Whether other nodes may host the same services as this one."""
        self.sharded: Mapping[str, int] = {}
        """Into how many shards services divide their keys: calls of a key go to the node that owns its shard."""
        CALLS_WAITING.set_function(self._waiting)

    @property
    def member_id(self) -> str:
        """Who this process is where work is divided: nobody before it serves, unless it is alone: then ""."""
        return self.own_address or ("not yet" if self.shares_work else "")

    def addresses(self, service: str) -> tuple[str, ...]:
        """The live nodes that host a service, by its full name."""
        return self._nodes.addresses(service)

    def address_of(self, node_id: str) -> str:
        """Where a live node is; empty: there is none of that id."""
        return self._nodes.address_of(node_id)

    def hosts(self, service: str) -> tuple[str, ...]:
        """The nodes themselves, also where calls to them go another way: those that divide the work of a service."""
        return self._hosts.addresses(service)

    def set_resolver(self, nodes: Nodes, hosts: Nodes | None = None) -> None:
        """Looks nodes up in `nodes` from now on, and in `hosts`, where given, those that divide work."""
        self._nodes = nodes
        self._hosts = hosts or nodes

    def metadata(self, method: str) -> tuple[tuple[str, str], ...]:
        """What this process identifies itself with where it calls `/package.Service/Method` itself."""
        return (("authorization", f"Bearer {self._token(method)}"),)

    def channel(self, address: str) -> grpc.aio.Channel:
        """The channel to a node, opened on first use and kept."""
        self._shared_channels.add(address)
        return self._channel(address)

    def _channel(self, address: str) -> grpc.aio.Channel:
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
        service = method[1 : method.index("/", 1)]
        found = (at,) if at else self._nodes.addresses(service)
        if len(found) == 1:
            address = found[0]
        elif found:
            address = node_of(self.sharded, service, tenant, key, found)
        else:
            asyncio.get_running_loop().call_soon(on_reply, None, _NO_NODE)
            return
        calls = self.own_calls if address == self.own_address and self.own_calls is not None else self._stream(address)
        call = pb.Call(
            method=method,
            request=request,
            tenant=tenant,
            user=user,
            unlimited=unlimited,
            timeout_ms=max(1, int(timeout * 1000)),  # 0 would be the default of the other side
        )
        calls.submit(call, on_reply)

    def silent_since(self, address: str, asked: float) -> float:
        """For how many seconds nothing came from an address, at most since `asked`, a time of the loop's clock."""
        held = self._streams.get(address)
        heard = held.stream.heard_at if held is not None else 0.0
        return asyncio.get_running_loop().time() - max(asked, heard)

    @staticmethod
    def is_broken(status: status_pb2.Status) -> bool:
        """Whether a status says that no answer came: the call may or may not have been executed."""
        return status is BROKEN or status is LATE

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

    def _stream(self, address: str) -> CallStream:
        held = self._streams.get(address)
        if held is None:
            held = self._open(address)
        held.used = True
        return held.stream

    def _open(self, address: str) -> _Held:
        place, *slot = address.split("#")
        # What an Envoy routes by, see `kit.envoynodes`.
        labels = tuple(zip(("plaudit-service", "plaudit-route-key"), slot, strict=False))
        stream = CallStream(self._channel(place), lambda: (*self.metadata(EXCHANGE), *labels))
        held = _Held(stream, self._crew.start(stream.run(address)), time.monotonic(), renewed=bool(slot))
        self._streams[address] = held
        return held

    def _waiting(self) -> int:
        return len(self.own_calls or ()) + sum(len(held.stream) for held in self._streams.values())

    async def keep_tidy(self) -> None:
        """Ends streams that nothing has used for a while, such as those to nodes that are gone; for ever."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            await self.close_idle()

    async def close_idle(self) -> None:
        """Ends what nothing has used since the last time, and renews what goes through an Envoy.

        There a stream stays with the node it was led to first. Opened anew, it comes to the node that has come back.
        """
        now = time.monotonic()
        for address, held in list(self._streams.items()):
            if not held.used and not len(held.stream):
                del self._streams[address]
                held.task.cancel()
                await self._forget(address)
            elif held.renewed and now - held.opened > _RENEW_SECONDS:
                self._retired.append(held)
                self._open(address)
            else:
                held.used = False
        for held in [retired for retired in self._retired if not len(retired.stream)]:
            self._retired.remove(held)
            held.task.cancel()

    async def _forget(self, address: str) -> None:
        if address not in self._shared_channels and (channel := self._channels.pop(address, None)) is not None:
            await channel.close()

    async def close(self) -> None:
        """Closes the channels."""
        for channel in self._channels.values():
            await channel.close()


@asynccontextmanager
async def connected(nodes: Nodes, token: Callable[[str], str], tls: Tls | None = None) -> AsyncIterator[Mesh]:
    """A mesh for the block; `token` gives this process's token for a method, asked for each new stream."""
    async with task_scope() as tasks:
        mesh = Mesh(nodes, token, tasks, tls)
        tasks.start(mesh.keep_tidy())
        try:
            yield mesh
        finally:
            tasks.cancel_all()
            await mesh.close()
