"""The server of the call stream: batches of calls in, batches of replies out, as they become ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from google.rpc import status_pb2

from kit.auth.access import rule_of
from kit.auth.caller import Caller, caller
from kit.rpc.call_executor import CallExecutor, Method
from kit.rpc.guard import Guard, admission_of
from kit.rpc.service_call import Payload, ServiceCall, bytes_of
from plaudit.edge.v1 import call_service_pb2 as pb
from plaudit.edge.v1 import call_service_pb2_grpc

DEFAULT_TIMEOUT = 5.0
_MAX_REPLIES = 512


class CallServicer(call_service_pb2_grpc.CallServiceServicer):
    """Serves the unary rpcs of its own server to trusted services, many at a time."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.methods: dict[str, Method] = {}
        """By full name."""
        self.large = asyncio.Lock()
        """See `CallExecutor`."""
        self.draining = asyncio.Event()
        """Set when no more calls are accepted."""

    def host(self, service: str, handlers: Mapping[str, Any], batches: Mapping[str, Any]) -> None:
        """Adds the unary rpcs of a service; `batches` as in `kit.rpc.server.Hosted`."""
        for name, handler in handlers.items():
            if handler.unary_unary:
                method = f"/{service}/{name}"
                admission = admission_of("batched", method, self._guard.limits.batched)
                table = self._guard.table(method)
                self.methods[method] = Method(rule_of(method), handler, batches.get(name), table, admission)

    def drain(self) -> None:
        """Ends every stream when its accepted calls are answered."""
        self.draining.set()

    async def Exchange(
        self, request_iterator: AsyncIterator[pb.ExchangeRequest], context: Any
    ) -> AsyncIterator[pb.ExchangeResponse]:
        """See the contract."""
        await context.send_initial_metadata(())  # the client writes nothing before it has them
        stream = _Stream(self.methods, caller(), self.large, self._guard.limits.stream_in_flight)
        reader = asyncio.create_task(stream.read(request_iterator))
        drainer = asyncio.create_task(self._drained(reader))
        try:
            while (replies := await stream.replies()) is not None:
                yield pb.ExchangeResponse(replies=replies)
            await asyncio.wait([reader])
            if not reader.cancelled():
                reader.result()  # an error of the reader ends the stream
        finally:
            drainer.cancel()
            reader.cancel()
            stream.abandon()

    async def _drained(self, reader: asyncio.Task[None]) -> None:
        await self.draining.wait()
        reader.cancel()


class _Stream(CallExecutor):
    """One stream: accepted calls and ready replies."""

    def __init__(self, methods: Mapping[str, Method], service: Caller, large: asyncio.Lock, limit: int) -> None:
        super().__init__(methods, service, large)
        self._limit = limit
        self._ended = False
        self._ready: list[pb.Reply] = []
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()

    async def read(self, requests: AsyncIterator[pb.ExchangeRequest]) -> None:
        """Accepts calls until the client ends the stream or the server drains it."""
        try:
            async for request in requests:
                self.accept([self._call_of(call) for call in request.calls])
                while self.unanswered > self._limit:
                    self._has_room.clear()
                    await self._has_room.wait()
        finally:
            self._ended = True
            self._wake.set()

    async def replies(self) -> list[pb.Reply] | None:
        """Waits for replies, at most 512. None when the stream has ended and all calls are answered."""
        while not self._ready:
            if self._ended and not self.unanswered:
                return None
            self._wake.clear()
            await self._wake.wait()
        replies, self._ready = self._ready[:_MAX_REPLIES], self._ready[_MAX_REPLIES:]
        return replies

    def abandon(self) -> None:
        """Drops the ready replies of a stream that has ended. Calls in progress are not cancelled."""
        self._ready.clear()

    def _call_of(self, call: pb.Call) -> ServiceCall:
        return ServiceCall(
            call.method,
            call.request,
            partial(self._add_reply, call.id),
            call.tenant,
            call.user,
            call.unlimited,
            call.timeout_ms / 1000 or DEFAULT_TIMEOUT,
            call.scope,
        )

    def _add_reply(self, id_: int, response: Payload | None, error: status_pb2.Status | None) -> None:
        self._ready.append(
            pb.Reply(id=id_, error=error) if response is None else pb.Reply(id=id_, response=bytes_of(response))
        )
        self._wake.set()
        self._has_room.set()
