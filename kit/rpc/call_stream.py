"""The client of the call stream: calls that come while a write is in flight are sent together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2

from kit.errors import NodeUnreachable, OutcomeUnknown, Overloaded, status_of
from kit.rpc.service_call import OnReply, ServiceCall, bytes_of
from kit.tasks import run_with_backoff
from kit.telemetry import CALL_BATCH
from plaudit.edge.v1 import call_service_pb2 as pb
from plaudit.edge.v1 import call_service_pb2_grpc

log = structlog.get_logger()

EXCHANGE = "/plaudit.edge.v1.CallService/Exchange"
_MAX_BATCH = 512
WAITING_LIMIT = 65_536
_SWEEP_SECONDS = 0.1
# The server answers at the deadline; the client gives up so many seconds later.
_GRACE_SECONDS = 0.25

OVERLOADED = status_of(Overloaded("too many calls are waiting for this node", retry_after=0.2), {})
BROKEN = status_of(
    OutcomeUnknown("the connection broke before the answer came; retry with the same op_id"),
    {},
)
LATE = status_of(OutcomeUnknown("no answer came in time; retry with the same op_id"), {})
UNREACHED = status_of(NodeUnreachable("the node could not be reached; nothing was done", retry_after=0.2), {})


class _PendingCall:
    """A call without a reply. `sent`: whether the server may have received it."""

    __slots__ = ("deadline", "on_reply", "sent")

    def __init__(self, on_reply: OnReply, deadline: float) -> None:
        self.on_reply = on_reply
        self.deadline = deadline
        self.sent = False


class CallStream:
    """All calls of this process to one node. Every call gets exactly one result: reply, error, or unknown outcome."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Callable[[], tuple[tuple[str, str], ...]]) -> None:
        self._stub: Any = call_service_pb2_grpc.CallServiceStub(channel)
        self._metadata = metadata
        self._next_id = 0
        self._pending: list[pb.Call] = []
        self._waiting: dict[int, _PendingCall] = {}
        self._wake = asyncio.Event()
        self.heard_at = 0.0
        """When the last message of the node came, by the loop's clock."""

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, call: ServiceCall) -> None:
        """Sends a call with the next batch. Its `on_reply` is never called from within `submit`."""
        if len(self._waiting) >= WAITING_LIMIT:
            asyncio.get_running_loop().call_soon(call.on_reply, None, OVERLOADED)
            return
        self._next_id += 1
        self._waiting[self._next_id] = _PendingCall(call.on_reply, time.monotonic() + call.timeout)
        self._pending.append(
            pb.Call(
                id=self._next_id,
                method=call.method,
                request=bytes_of(call.request),
                tenant=call.tenant,
                user=call.user,
                unlimited=call.unlimited,
                scope=call.scope,
                timeout_ms=max(1, int(call.timeout * 1000)),  # 0 means the default of the server
            )
        )
        if not self._wake.is_set():
            self._wake.set()

    async def run(self, name: str) -> None:
        """Keeps a stream to the node open until it is cancelled; pending calls then have an unknown outcome."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            await run_with_backoff(f"call stream to {name}", self._attempt)
        finally:
            sweeper.cancel()
            self._fail(lambda waiting: BROKEN if waiting.sent else UNREACHED)

    async def _attempt(self) -> None:
        call = self._stub.Exchange(metadata=self._metadata())
        writer = asyncio.create_task(self._write(call))
        try:
            async for response in call:
                self.heard_at = asyncio.get_running_loop().time()
                waiting = self._waiting
                for reply in response.replies:
                    found = waiting.pop(reply.id, None)
                    if found is None:
                        continue  # it has timed out
                    if reply.HasField("error"):
                        found.on_reply(None, reply.error)
                    else:
                        found.on_reply(reply.response, None)
        finally:
            writer.cancel()
            call.cancel()
            self._fail(lambda waiting: BROKEN if waiting.sent else None)

    async def _write(self, call: Any) -> None:
        await call.wait_for_connection()  # before, no call can have been executed
        wake = self._wake
        while True:
            await wake.wait()
            batch = self._pending[:_MAX_BATCH]
            del self._pending[:_MAX_BATCH]
            if not self._pending:
                wake.clear()
            if not batch:
                continue
            waiting = self._waiting
            live = []
            for one in batch:
                entry = waiting.get(one.id)
                if entry is not None:
                    entry.sent = True
                    live.append(one)
            if not live:
                continue
            CALL_BATCH.labels("client").observe(len(live))
            await call.write(pb.ExchangeRequest(calls=live))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic() - _GRACE_SECONDS
            self._fail(
                lambda waiting: None if waiting.deadline > now else LATE if waiting.sent else UNREACHED  # noqa: B023
            )

    def _fail(self, verdict: Callable[[_PendingCall], status_pb2.Status | None]) -> None:
        over = [(id_, status) for id_, waiting in self._waiting.items() if (status := verdict(waiting)) is not None]
        for id_, status in over:
            self._waiting.pop(id_).on_reply(None, status)
