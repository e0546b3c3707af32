"""The server of the call stream: batches of calls in, batches of replies out, as they become ready."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from inspect import isawaitable
from time import perf_counter
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2

from kit.auth.access import Rule, allows, denied, forwarded, rule_of
from kit.auth.caller import CURRENT, Caller, caller
from kit.errors import Invalid, NoSuchMethod, Overloaded, status_of
from kit.limits.admission import Admission
from kit.rpc.deadline import answer_within
from kit.rpc.guard import CODE_NAMES, Guard, admission_of
from kit.rpc.validation import validate
from kit.telemetry import CALL_BATCH, REFUSED, RPC_RESULTS
from plaudit.edge.v1 import call_service_pb2 as pb
from plaudit.edge.v1 import call_service_pb2_grpc

log = structlog.get_logger()
DEFAULT_TIMEOUT = 5.0
# Bytes of requests that are executed in one iteration of the event loop: some milliseconds.
_SLICE_BYTES = 32 << 10
_MAX_REPLIES = 512
_OK = grpc.StatusCode.OK.value[0]
_INTERNAL = grpc.StatusCode.INTERNAL.value[0]


class Method:
    """One unary rpc that can be called through the stream."""

    __slots__ = ("_results", "admission", "batch", "parse", "refused", "rule", "table", "unary")

    def __init__(self, rule: Rule, handler: Any, batch: Any, table: Any, admission: Admission) -> None:
        self.admission = admission
        self.refused = REFUSED.labels("batched", rule.full_name)
        self.rule = rule
        self.parse = handler.request_deserializer
        self.unary = handler.unary_unary
        self.batch = batch
        self.table = table
        self._results: dict[int, Any] = {}

    def count(self, code: int, calls: int = 1) -> None:
        """Counts answered calls by status code, as rpcs that come one by one are counted."""
        if calls:
            if code not in self._results:
                self._results[code] = RPC_RESULTS.labels(self.rule.full_name, CODE_NAMES[code])
            self._results[code].inc(calls)


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


class CallExecutor(ABC):
    """Executes accepted calls; each is answered once, through `_answer`."""

    def __init__(self, methods: Mapping[str, Method], service: Caller, large: asyncio.Lock) -> None:
        """`large` is one lock for all executors of a process."""
        self._methods = methods
        self._large = large
        self._service = service
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, calls: Sequence[pb.Call]) -> None:
        """Executes calls, those of one method together where it has a batch handler."""
        CALL_BATCH.labels("server").observe(len(calls))
        by_method: dict[str, list[pb.Call]] = {}
        for call in calls:
            by_method.setdefault(call.method, []).append(call)
        for name, group in by_method.items():
            method = self._methods.get(name)
            if method is None:
                missing = status_of(NoSuchMethod("no such method here"), {})
                for call in group:
                    self._answer(call.id, None, missing)
            elif method.batch is not None:
                for part in _slices(group):
                    self._admit(method, part)
            else:
                for call in group:
                    self._admit(method, [call])

    def _admit(self, method: Method, calls: Sequence[pb.Call]) -> None:
        try:
            method.admission.begin(max(map(_timeout, calls)), perf_counter(), len(calls))
        except Overloaded as error:
            method.refused.inc(len(calls))
            status = status_of(error, method.table)
            method.count(status.code, len(calls))
            for call in calls:
                self._answer(call.id, None, status)
        else:
            self._start(self._serve(method, calls))

    async def _serve(self, method: Method, calls: Sequence[pb.Call]) -> None:
        began = perf_counter()
        try:
            if sum(len(call.request) for call in calls) > _SLICE_BYTES // 2:
                await self._own_iteration()
            await (self._serve_one(method, calls[0]) if method.batch is None else self._serve_batch(method, calls))
        finally:
            ended = perf_counter()
            in_time = ended - began < max(map(_timeout, calls))
            method.admission.end(began, ended, len(calls), answered=in_time)

    async def _own_iteration(self) -> None:
        """Lets large requests begin one per iteration of the event loop, so that small ones come between them."""
        async with self._large:
            await asyncio.sleep(0)

    @abstractmethod
    def _answer(self, id_: int, response: bytes | None, error: status_pb2.Status | None) -> None:
        """Answers the call of that id with a response or with an error."""

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _caller(self, method: Method, call: pb.Call) -> Caller:
        service = self._service
        tenant = call.tenant or service.tenant
        if call.user and not call.unlimited:
            # A call of a user, forwarded by the gateway: it has none of the rights of the service.
            who = forwarded(tenant, call.user, "", frozenset(), False)
        else:
            who = forwarded(tenant, call.user, service.service, service.scopes, True)
        if not allows(method.rule, who):
            raise denied(method.rule)
        return who

    def _decode(self, method: Method, call: pb.Call) -> tuple[Any, Caller]:
        who = self._caller(method, call)
        try:
            request = method.parse(call.request)
        except Exception:
            raise Invalid("the request is not a message of this method") from None
        validate(request)
        return request, who

    async def _serve_batch(self, method: Method, calls: Sequence[pb.Call]) -> None:
        good: list[tuple[Any, Caller]] = []
        decoded: list[pb.Call] = []
        for call in calls:
            try:
                good.append(self._decode(method, call))
                decoded.append(call)
            except Exception as error:
                self._fail(method, call.id, error)
        if not good:
            return
        results: Sequence[Any]
        seconds = max(map(_timeout, decoded))
        answer_within(seconds)
        try:
            async with asyncio.timeout(seconds):
                results = await method.batch(good)
        except Exception as error:
            results = [error] * len(good)
        answered = 0
        for call, result in zip(decoded, results, strict=True):
            if isinstance(result, Exception):
                self._fail(method, call.id, result)
            elif isawaitable(result):
                # A call that has to wait must not delay the others of its batch.
                self._start(self._serve_late(method, call, result))
            else:
                self._answer(call.id, result.SerializeToString(), None)
                answered += 1
        method.count(_OK, answered)

    async def _serve_late(self, method: Method, call: pb.Call, result: Awaitable[Any]) -> None:
        try:
            async with asyncio.timeout(_timeout(call)):
                response = (await result).SerializeToString()
        except Exception as error:
            self._fail(method, call.id, error)
        else:
            method.count(_OK)
            self._answer(call.id, response, None)

    async def _serve_one(self, method: Method, call: pb.Call) -> None:
        try:
            request, who = self._decode(method, call)
            CURRENT.set(who)
            seconds = _timeout(call)
            answer_within(seconds)
            async with asyncio.timeout(seconds):
                response = (await method.unary(request, None)).SerializeToString()
        except Exception as error:
            self._fail(method, call.id, error)
        else:
            method.count(_OK)
            self._answer(call.id, response, None)

    def _fail(self, method: Method, id_: int, error: Exception) -> None:
        status: status_pb2.Status = status_of(error, method.table)
        method.count(status.code)
        if status.code == _INTERNAL:
            log.error("call failed", method=method.rule.full_name, exc_info=error)
        self._answer(id_, None, status)


class _Stream(CallExecutor):
    """One stream: accepted calls and ready replies."""

    def __init__(self, methods: Mapping[str, Method], service: Caller, large: asyncio.Lock, limit: int) -> None:
        super().__init__(methods, service, large)
        self._limit = limit
        self._unanswered = 0
        self._ended = False
        self._ready: list[pb.Reply] = []
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()

    async def read(self, requests: AsyncIterator[pb.ExchangeRequest]) -> None:
        """Accepts calls until the client ends the stream or the server drains it."""
        try:
            async for request in requests:
                self._unanswered += len(request.calls)
                self.accept(request.calls)
                while self._unanswered > self._limit:
                    self._has_room.clear()
                    await self._has_room.wait()
        finally:
            self._ended = True
            self._wake.set()

    async def replies(self) -> list[pb.Reply] | None:
        """Waits for replies, at most 512. None when the stream has ended and all calls are answered."""
        while not self._ready:
            if self._ended and not self._unanswered:
                return None
            self._wake.clear()
            await self._wake.wait()
        replies, self._ready = self._ready[:_MAX_REPLIES], self._ready[_MAX_REPLIES:]
        return replies

    def abandon(self) -> None:
        """Drops the ready replies of a stream that has ended. Calls in progress are not cancelled."""
        self._ready.clear()

    def _answer(self, id_: int, response: bytes | None, error: status_pb2.Status | None) -> None:
        self._ready.append(
            pb.Reply(id=id_, response=response or b"") if error is None else pb.Reply(id=id_, error=error)
        )
        self._unanswered -= 1
        self._wake.set()
        self._has_room.set()


def _timeout(call: pb.Call) -> float:
    """The timeout of a call in seconds."""
    return call.timeout_ms / 1000 or DEFAULT_TIMEOUT


def _slices(calls: Sequence[pb.Call]) -> Iterator[Sequence[pb.Call]]:
    """The calls in order, divided where their requests together have more than `_SLICE_BYTES`."""
    size = start = 0
    for index, call in enumerate(calls):
        if size and size + len(call.request) > _SLICE_BYTES:
            yield calls[start:index]
            size, start = 0, index
        size += len(call.request)
    yield calls[start:]
