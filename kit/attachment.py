"""How a process attaches itself to the session registry and keeps its lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from kit.clock import Clock, SystemClock
from kit.holdings import Holdings
from kit.registries import Reach, Registries
from kit.tasks import keep_running
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2_grpc as pb_grpc

log = structlog.get_logger()
OnFenced = Callable[[Sequence[str]], None]

_AT_ONCE = 1_000  # sessions and topics in one request: some 200 KiB, checked in a few milliseconds
_FIRST_ANSWER = 3.0
_LEAST_SILENCE = 2.0
_FAREWELL = 1.0
_ATTACH = "/plaudit.session.v1.SessionRegistryService/Attach"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a process stands with the registry. `lease` in seconds, 0 before the first attachment; `heard_at` is when the
    registry was last heard, on the clock that only grows; `settled`: it has granted or fenced all sessions."""

    epoch: int
    lease: float
    heard_at: float
    settled: bool


class Attachment:
    """This process as a node of the system: what it holds is told to the registry, and told again after any break.

    Its methods never block and may be called at any time. Topics are not counted: the holder says `wanted` for the
    first subscriber and `unwanted` after the last one.
    """

    def __init__(self, node_id: str, *, on_fenced: OnFenced | None = None, clock: Clock | None = None) -> None:
        self.node_id = node_id
        self.epoch = 0
        """The epoch of the last attachment; 0 before the first."""
        self._lease = self._heard_at = 0.0
        self._on_fenced = on_fenced
        self._clock = clock or SystemClock()
        self._holdings = Holdings()
        self._wake = asyncio.Event()
        self._attached = asyncio.Event()
        self._left = asyncio.Event()
        self._leaving = False

    def on_fenced(self, callback: OnFenced) -> None:
        """Calls back with the ids of this node's sessions that a later login has replaced; they are closed already
        as far as the registry is concerned."""
        self._on_fenced = callback

    def opened(self, session_id: str, tenant: str, user: str, device: str) -> None:
        """A session began: it will own its device, until a later login does."""
        self._holdings.opened(session_id, tenant, user, device, int(self._clock.now() * 1_000_000))
        self._wake.set()

    def closed(self, session_id: str) -> None:
        """A session ended."""
        self._holdings.closed(session_id)
        self._wake.set()

    def wanted(self, tenant: str, topic: str) -> None:
        """The first subscriber of a topic is here."""
        self._holdings.wanted(tenant, topic)
        self._wake.set()

    def unwanted(self, tenant: str, topic: str) -> None:
        """The last subscriber of a topic is gone."""
        self._holdings.unwanted(tenant, topic)
        self._wake.set()

    def is_attached(self) -> bool:
        """Whether the registry has this node now."""
        return self._attached.is_set()

    def standing(self) -> Standing:
        """How this node stands with the registry."""
        settled = self.is_attached() and self._holdings.is_settled
        return Standing(self.epoch, self._lease, self._heard_at, settled)

    async def attached(self) -> None:
        """Waits until the registry has this node."""
        await self._attached.wait()

    @asynccontextmanager
    async def running(
        self,
        reach: Reach,
        registry: Sequence[str] | str,
        address: str,
        services: Sequence[str],
        patience: Callable[[], float] = lambda: _FAREWELL,
    ) -> AsyncIterator[None]:
        """Is attached to whichever leads of the registries at `registry` for the block, and leaves at its end.

        `address` is where this process's gRPC server listens, already; `services` are the full names of what it hosts;
        `patience` says at the end how many seconds the registry has to answer.
        """
        node = session_pb2.Node(node_id=self.node_id, address=address, services=services)
        registries = Registries(registry)
        attempt = keep_running("attachment", lambda: self._find(registries, reach, node), ceiling=0.5)
        loop = asyncio.create_task(attempt)
        try:
            yield
        finally:
            await self._leave(min(patience(), _FAREWELL))
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    async def _leave(self, patience: float) -> None:
        self._leaving = True
        self._wake.set()
        if self._attached.is_set():
            try:
                await asyncio.wait_for(self._left.wait(), patience)
            except TimeoutError:
                log.info("registry did not answer the farewell", node=self.node_id)

    async def _find(self, registries: Registries, reach: Reach, node: session_pb2.Node) -> None:
        for _ in range(len(registries) + 1):
            stub: Any = pb_grpc.SessionRegistryServiceStub(reach.channel(registries.address()))
            try:
                return await self._attempt(stub, reach, node)
            except Exception as error:
                if not registries.failed(error):
                    raise
        raise ConnectionError(f"no registry of {registries} leads")

    async def _attempt(self, stub: Any, reach: Reach, node: session_pb2.Node) -> None:
        self._holdings.restart()
        call = stub.Attach(metadata=reach.metadata(_ATTACH))
        writer: asyncio.Task[None] | None = None
        try:
            await call.write(pb.AttachRequest(node=node))
            first = await _read(call, _FIRST_ANSWER)
            lease = self._lease = first.lease_ms / 1000
            self.epoch = first.epoch
            self._hear(first)
            log.info("attached to the registry", node=self.node_id, epoch=first.epoch)
            self._attached.set()
            writer = asyncio.create_task(self._tell(call, lease / 3))
            # Every request is answered, and there is one every third of a lease: silence for longer means that the
            # other side is gone. There is time left to tell another what is held before the lease is over.
            while True:
                self._hear(await _read(call, max(_LEAST_SILENCE, lease * 2 / 3)))
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

    async def _tell(self, call: Any, pause: float) -> None:
        complete = False
        while not self._leaving:
            self._wake.clear()
            request = self._holdings.take(_AT_ONCE)
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

    def _hear(self, response: pb.AttachResponse) -> None:
        self._heard_at = self._clock.monotonic()
        fenced = self._holdings.fenced(response.fenced)
        self._holdings.granted(response.granted)
        if fenced and self._on_fenced is not None:
            self._on_fenced(fenced)


async def _read(call: Any, timeout: float) -> pb.AttachResponse:
    async with asyncio.timeout(timeout):
        response = await call.read()
    if response is grpc.aio.EOF:
        raise EOFError("the registry has ended the stream")
    assert isinstance(response, pb.AttachResponse)
    return response
