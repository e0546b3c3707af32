"""The serving end of the call stream: batches of calls in, batches of replies out, as they become ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2

from kit.access import ACT_AS, ANY_TENANT, Rule, allows, forwarded, rule_of
from kit.caller import CURRENT, Caller, caller
from kit.deadline import answer_within
from kit.errors import Forbidden, Invalid, make_status, status_of
from kit.guard import Guard, validate
from kit.telemetry import CALL_BATCH
from plaudit.edge.v1 import call_service_pb2 as pb
from plaudit.edge.v1 import call_service_pb2_grpc

log = structlog.get_logger()
DEFAULT_TIMEOUT = 5.0
_REPLIES_AT_ONCE = 512
_INTERNAL = grpc.StatusCode.INTERNAL.value[0]


class _Method:
    """One unary rpc that can be called through the stream."""

    __slots__ = ("batch", "parse", "rule", "table", "unary")

    def __init__(self, rule: Rule, handler: Any, batch: Any, table: Any) -> None:
        self.rule = rule
        self.parse = handler.request_deserializer
        self.unary = handler.unary_unary
        self.batch = batch
        self.table = table


class CallServicer(call_service_pb2_grpc.CallServiceServicer):
    """Serves the unary rpcs of its own server to trusted services, many at a time."""

    def __init__(self, guard: Guard, in_flight: int) -> None:
        self._guard = guard
        self._in_flight = in_flight
        self._methods: dict[str, _Method] = {}
        self._draining = asyncio.Event()

    def host(self, service: str, handlers: Mapping[str, Any], batches: Mapping[str, Any]) -> None:
        """Makes the unary rpcs of a service callable; `batches` as in `kit.server.Hosted`."""
        for name, handler in handlers.items():
            if handler.unary_unary:
                method = f"/{service}/{name}"
                self._methods[method] = _Method(rule_of(method), handler, batches.get(name), self._guard.table(method))

    def drain(self) -> None:
        """Ends every stream once what it has accepted is answered."""
        self._draining.set()

    async def Exchange(
        self, request_iterator: AsyncIterator[pb.ExchangeRequest], context: Any
    ) -> AsyncIterator[pb.ExchangeResponse]:
        """See the contract."""
        await context.send_initial_metadata(())  # the client writes nothing before it knows that someone reads
        stream = _Stream(self._methods, caller(), self._in_flight)
        reader = asyncio.create_task(stream.read(request_iterator))
        drainer = asyncio.create_task(self._drained(reader))
        try:
            while (replies := await stream.replies()) is not None:
                yield pb.ExchangeResponse(replies=replies)
        finally:
            drainer.cancel()
            reader.cancel()
            stream.abandon()

    async def _drained(self, reader: asyncio.Task[None]) -> None:
        await self._draining.wait()
        reader.cancel()


class _Stream:
    """One stream: calls accepted, replies ready."""

    def __init__(self, methods: Mapping[str, _Method], service: Caller, limit: int) -> None:
        self._methods = methods
        self._service = service
        self._limit = limit
        self._accepted = 0
        self._ended = False
        self._ready: list[pb.Reply] = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, requests: AsyncIterator[pb.ExchangeRequest]) -> None:
        """Accepts calls until the client ends the stream or the server drains it."""
        try:
            async for request in requests:
                self._accept(request.calls)
                while self._accepted > self._limit:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._ended = True
            self._wake.set()

    async def replies(self) -> list[pb.Reply] | None:
        """What is ready, at most 512; waits for it. None once the stream has ended and all is answered."""
        while not self._ready:
            if self._ended and not self._accepted:
                return None
            self._wake.clear()
            await self._wake.wait()
        taken, self._ready = self._ready[:_REPLIES_AT_ONCE], self._ready[_REPLIES_AT_ONCE:]
        return taken

    def abandon(self) -> None:
        """The stream is gone: what still runs has nobody to answer to. Changes under way are not cancelled."""
        self._ready.clear()

    def _accept(self, calls: Sequence[pb.Call]) -> None:
        CALL_BATCH.labels("server").observe(len(calls))
        self._accepted += len(calls)
        by_method: dict[str, list[pb.Call]] = {}
        for call in calls:
            by_method.setdefault(call.method, []).append(call)
        for name, group in by_method.items():
            method = self._methods.get(name)
            if method is None:
                missing = make_status(grpc.StatusCode.UNIMPLEMENTED, "NO_SUCH_METHOD", "no such method here")
                self._answer([pb.Reply(id=call.id, error=missing) for call in group])
            elif method.batch is not None:
                self._start(self._serve_batch(method, group))
            else:
                for call in group:
                    self._start(self._serve_one(method, call))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _answer(self, replies: list[pb.Reply]) -> None:
        self._ready.extend(replies)
        self._accepted -= len(replies)
        self._wake.set()
        self._room.set()

    def _caller(self, method: _Method, call: pb.Call) -> Caller:
        service = self._service
        tenant = call.tenant or service.tenant
        if tenant != service.tenant and ANY_TENANT not in service.scopes:
            raise Forbidden("this service may not act in that tenant", reason="ACCESS_DENIED")
        if call.user and ACT_AS not in service.scopes:
            raise Forbidden(f"only a service with the scope {ACT_AS} may name a user", reason="ACT_AS_REQUIRED")
        if call.user and not call.unlimited:
            # A user's own call that the edge passes on: the service lends it nothing of its own rights.
            who = forwarded(tenant, call.user, "", frozenset(), False)
        else:
            who = forwarded(tenant, call.user, service.service, service.scopes, True)
        if not allows(method.rule, who):
            raise Forbidden("this caller may not call this method", reason="ACCESS_DENIED")
        return who

    def _decode(self, method: _Method, call: pb.Call) -> tuple[Any, Caller]:
        who = self._caller(method, call)
        try:
            request = method.parse(call.request)
        except Exception:
            raise Invalid("the request is not a message of this method") from None
        validate(request)
        return request, who

    async def _serve_batch(self, method: _Method, calls: Sequence[pb.Call]) -> None:
        good: list[tuple[Any, Caller]] = []
        ids: list[int] = []
        replies: list[pb.Reply] = []
        timeouts: dict[int, float] = {}
        for call in calls:
            try:
                good.append(self._decode(method, call))
                ids.append(call.id)
                timeouts[call.id] = _timeout(call)
            except Exception as error:
                replies.append(self._failed(method, call.id, error))
        if replies:
            self._answer(replies)
        if not good:
            return
        results: Sequence[Any]
        seconds = max(timeouts.values())
        answer_within(seconds)
        try:
            async with asyncio.timeout(seconds):
                results = await method.batch(good)
        except Exception as error:
            results = [error] * len(good)
        ready: list[pb.Reply] = []
        for id_, result in zip(ids, results, strict=True):
            if isinstance(result, Exception):
                ready.append(self._failed(method, id_, result))
            elif isawaitable(result):
                # One call that has to wait must not hold up the others of its batch.
                self._start(self._serve_late(method, id_, result, timeouts[id_]))
            else:
                ready.append(pb.Reply(id=id_, response=result.SerializeToString()))
        self._answer(ready)

    async def _serve_late(self, method: _Method, id_: int, result: Awaitable[Any], timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                reply = pb.Reply(id=id_, response=(await result).SerializeToString())
        except Exception as error:
            reply = self._failed(method, id_, error)
        self._answer([reply])

    async def _serve_one(self, method: _Method, call: pb.Call) -> None:
        try:
            request, who = self._decode(method, call)
            CURRENT.set(who)
            seconds = _timeout(call)
            answer_within(seconds)
            async with asyncio.timeout(seconds):
                response = await method.unary(request, None)
            reply = pb.Reply(id=call.id, response=response.SerializeToString())
        except Exception as error:
            reply = self._failed(method, call.id, error)
        self._answer([reply])

    def _failed(self, method: _Method, id_: int, error: Exception) -> pb.Reply:
        status: status_pb2.Status = status_of(error, method.table)
        if status.code == _INTERNAL:
            log.error("call failed", method=method.rule.full_name, exc_info=error)
        return pb.Reply(id=id_, error=status)


def _timeout(call: pb.Call) -> float:
    """How long the caller waits, seconds."""
    return call.timeout_ms / 1000 or DEFAULT_TIMEOUT
