"""The registration of this process at the session registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from kit.clock import Clock, SystemClock
from kit.cluster.registration_state import RegistrationState
from kit.cluster.registry_endpoints import ChannelProvider, RegistryEndpoints
from kit.tasks import run_with_backoff
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc

log = structlog.get_logger()
OnFenced = Callable[[Sequence[str]], None]

_BATCH = 1_000  # sessions and topics in one request: some 200 KiB, checked in a few milliseconds
_FIRST_RESPONSE = 3.0
_MIN_SILENCE = 2.0
_LEAVE_SECONDS = 1.0
_ATTACH = "/plaudit.session.v1.SessionRegistryService/Attach"


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """The state of the lease. `lease` in seconds, 0 before the first attachment; `heard_at` is the time of the last
    response, by the monotonic clock; `settled`: the registry has granted or fenced all sessions."""

    epoch: int
    lease: float
    heard_at: float
    settled: bool


class Registration:
    """Registers this process as a node: reports its sessions and topics, and all of them again after a break.

    Its methods never block and may be called at any time. Topics are not counted: `subscribe` for the first subscriber,
    `unsubscribe` after the last one.
    """

    def __init__(self, node_id: str, *, on_fenced: OnFenced | None = None, clock: Clock | None = None) -> None:
        self.node_id = node_id
        self.epoch = 0
        """The epoch of the last attachment; 0 before the first."""
        self._lease = self._heard_at = 0.0
        self._on_fenced = on_fenced
        self._on_logged_out: OnFenced | None = None
        self._clock = clock or SystemClock()
        self._state = RegistrationState()
        self._wake = asyncio.Event()
        self._attached = asyncio.Event()
        self._left = asyncio.Event()
        self._leaving = False

    def on_fenced(self, callback: OnFenced) -> None:
        """Sets the callback for ids of sessions that a later login has replaced; the registry has closed them
        already."""
        self._on_fenced = callback

    def on_logged_out(self, callback: OnFenced) -> None:
        """Sets the callback for ids of sessions whose user has logged out their device; the registry has closed them
        already."""
        self._on_logged_out = callback

    def opened(self, session_id: str, tenant: str, user: str, device: str, *, token_issued: int | None = None) -> None:
        """A session was opened: it owns its device until a later login. `token_issued`: when its token was, in Unix
        seconds; 0: the token does not say."""
        self._state.opened(session_id, tenant, user, device, int(self._clock.now() * 1_000_000), token_issued)
        self._wake.set()

    def closed(self, session_id: str) -> None:
        """A session was closed."""
        self._state.closed(session_id)
        self._wake.set()

    def subscribe(self, tenant: str, topic: str) -> None:
        """The topic has its first subscriber."""
        self._state.subscribe(tenant, topic)
        self._wake.set()

    def unsubscribe(self, tenant: str, topic: str) -> None:
        """The topic has no subscriber any more."""
        self._state.unsubscribe(tenant, topic)
        self._wake.set()

    def is_attached(self) -> bool:
        """Whether this node is attached now."""
        return self._attached.is_set()

    def lease_status(self) -> LeaseStatus:
        """The state of this node's lease."""
        settled = self.is_attached() and self._state.is_settled
        return LeaseStatus(self.epoch, self._lease, self._heard_at, settled)

    async def attached(self) -> None:
        """Waits until this node is attached."""
        await self._attached.wait()

    @asynccontextmanager
    async def running(
        self,
        reach: ChannelProvider,
        registry: Sequence[str] | str,
        address: str,
        services: Sequence[str],
        grace_seconds: Callable[[], float] = lambda: _LEAVE_SECONDS,
    ) -> AsyncIterator[None]:
        """Keeps this node attached to the leader of the registries at `registry` for the block, and leaves at its end.

        `address` is that of this process's gRPC server, which must listen already; `services` are the full names of the
        services it hosts; `grace_seconds` returns, at the end, how many seconds the registry has to answer that the
        node leaves."""
        node = session_pb2.Node(node_id=self.node_id, address=address, services=services)
        registries = RegistryEndpoints(registry)
        attempt = run_with_backoff("attachment", lambda: self._find(registries, reach, node), ceiling=0.5)
        loop = asyncio.create_task(attempt)
        try:
            yield
        finally:
            await self._leave(min(grace_seconds(), _LEAVE_SECONDS))
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    async def _leave(self, grace_seconds: float) -> None:
        self._leaving = True
        self._wake.set()
        if self._attached.is_set():
            try:
                await asyncio.wait_for(self._left.wait(), grace_seconds)
            except TimeoutError:
                log.info("registry did not answer that this node leaves", node=self.node_id)

    async def _find(self, registries: RegistryEndpoints, reach: ChannelProvider, node: session_pb2.Node) -> None:
        for _ in range(len(registries) + 1):
            stub: Any = pb_grpc.SessionRegistryServiceStub(reach.channel(registries.address()))
            try:
                return await self._attempt(stub, reach, node)
            except Exception as error:
                if not registries.failed(error):
                    raise
        raise ConnectionError(f"no registry of {registries} leads")

    async def _attempt(self, stub: Any, reach: ChannelProvider, node: session_pb2.Node) -> None:
        self._state.restart()
        call = stub.Attach(metadata=reach.metadata(_ATTACH))
        writer: asyncio.Task[None] | None = None
        try:
            await call.write(pb.AttachRequest(node=node))
            first = await _read(call, _FIRST_RESPONSE)
            lease = self._lease = first.lease_ms / 1000
            self.epoch = first.epoch
            self._on_response(first)
            log.info("attached to the registry", node=self.node_id, epoch=first.epoch)
            self._attached.set()
            writer = asyncio.create_task(self._report(call, lease / 3))
            # Every request is answered, and there is one every third of a lease: a longer silence means that the
            # registry is gone. There is time left to report to another one before the lease is over.
            while True:
                self._on_response(await _read(call, max(_MIN_SILENCE, lease * 2 / 3)))
        except EOFError:
            if not self._leaving:
                raise
        finally:
            self._attached.clear()
            if self._leaving:
                self._left.set()
            call.cancel()
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)

    async def _report(self, call: Any, pause: float) -> None:
        complete = False
        while not self._leaving:
            self._wake.clear()
            request = self._state.take(_BATCH)
            if request is None and not complete:
                complete = True
                request = pb.AttachRequest(complete=True)
            if request is None:
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                    continue
                except TimeoutError:
                    request = pb.AttachRequest()  # the heartbeat
            await call.write(request)
        await call.write(pb.AttachRequest(leaving=True))
        await call.done_writing()

    def _on_response(self, response: pb.AttachResponse) -> None:
        self._heard_at = self._clock.monotonic()
        fenced = self._state.fenced(response.fenced)
        self._state.granted(response.granted)
        if fenced and self._on_fenced is not None:
            self._on_fenced(fenced)
        logged_out = self._state.fenced(response.logged_out)
        if logged_out and self._on_logged_out is not None:
            self._on_logged_out(logged_out)


async def _read(call: Any, timeout: float) -> pb.AttachResponse:
    async with asyncio.timeout(timeout):
        response = await call.read()
    if response is grpc.aio.EOF:
        raise EOFError("the registry has ended the stream")
    assert isinstance(response, pb.AttachResponse)
    return response
