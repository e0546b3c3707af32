"""Executes calls of a service, from a stream or from this process: their checks, batches, deadlines and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

import grpc
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from kit.auth.access import Rule, allows, denied, forwarded
from kit.auth.caller import CURRENT, Caller
from kit.errors import NoSuchMethod, Overloaded, status_of
from kit.limits.admission import Admission
from kit.rpc.deadline import answer_within
from kit.rpc.guard import CODE_NAMES, parsed
from kit.rpc.service_call import ServiceCall, bytes_of, size_of
from kit.rpc.validation import validate
from kit.telemetry import CALL_BATCH, REFUSED, RPC_RESULTS

log = structlog.get_logger()
# Bytes of requests that are executed in one iteration of the event loop: some milliseconds.
_SLICE_BYTES = 32 << 10
_BATCH_SIZES = CALL_BATCH.labels("server")
_NO_SCOPES: frozenset[str] = frozenset()
_OK = grpc.StatusCode.OK.value[0]
_INTERNAL = grpc.StatusCode.INTERNAL.value[0]


class Method:
    """One unary rpc that can be called through the stream."""

    __slots__ = ("_results", "admission", "batch", "parse", "refused", "request", "rule", "table", "unary")

    def __init__(self, rule: Rule, handler: Any, batch: Any, table: Any, admission: Admission) -> None:
        self.admission = admission
        self.refused = REFUSED.labels("batched", rule.full_name)
        self.rule = rule
        self.request = _request_class(rule.full_name)
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


def _request_class(method: str) -> type[Message] | tuple[()]:
    """The class of the requests; no class where the method has no contract, so that nothing may call it."""
    try:
        found = descriptor_pool.Default().FindMethodByName(method[1:].replace("/", "."))
    except KeyError:
        return ()
    return GetMessageClass(found.input_type)


class CallExecutor:
    """Executes accepted calls of a service. Each gets one reply, with its error where it has failed."""

    def __init__(self, methods: Mapping[str, Method], service: Caller, large: asyncio.Lock) -> None:
        """`large` is one lock for all executors of a process."""
        self.unanswered = 0
        """The number of accepted calls without a reply."""
        self._methods = methods
        self._large = large
        self._service = service
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, calls: Sequence[ServiceCall]) -> None:
        """Executes calls, those of one method together where it has a batch handler."""
        _BATCH_SIZES.observe(len(calls))
        self.unanswered += len(calls)
        by_method: dict[str, list[ServiceCall]] = {}
        for call in calls:
            by_method.setdefault(call.method, []).append(call)
        for name, group in by_method.items():
            method = self._methods.get(name)
            if method is None:
                missing = status_of(NoSuchMethod("no such method here"), {})
                for call in group:
                    self._reply(call, None, missing)
            elif method.batch is not None:
                for part, size in _slices(group):
                    self._admit(method, part, size)
            else:
                for call in group:
                    self._admit(method, [call], size_of(call.request))

    def _admit(self, method: Method, calls: Sequence[ServiceCall], size: int) -> None:
        """`size`: the bytes of all requests."""
        seconds = max([call.timeout for call in calls])
        try:
            method.admission.begin(seconds, perf_counter(), len(calls))
        except Overloaded as error:
            method.refused.inc(len(calls))
            for call in calls:
                self._fail(method, call, error)
        else:
            self._start(self._serve(method, calls, size, seconds))

    async def _serve(self, method: Method, calls: Sequence[ServiceCall], size: int, seconds: float) -> None:
        began = perf_counter()
        try:
            if size > _SLICE_BYTES // 2:
                await self._own_iteration()
            await (self._serve_one(method, calls[0]) if method.batch is None else self._serve_batch(method, calls))
        finally:
            ended = perf_counter()
            method.admission.end(began, ended, len(calls), answered=ended - began < seconds)

    async def _own_iteration(self) -> None:
        """Lets large requests begin one per iteration of the event loop, so that small ones come between them."""
        async with self._large:
            await asyncio.sleep(0)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _caller(self, method: Method, call: ServiceCall) -> Caller:
        service = self._service
        tenant = call.tenant or service.tenant
        if call.user and not call.unlimited:
            # A call of a user, forwarded by the gateway: it has none of the rights of the service.
            scopes = frozenset((call.scope,)) if call.scope else _NO_SCOPES
            who = forwarded(tenant, call.user, "", scopes, False)
        else:
            who = forwarded(tenant, call.user, service.service, service.scopes, True)
        if not allows(method.rule, who):
            raise denied(method.rule)
        return who

    def _checked(self, method: Method, call: ServiceCall) -> tuple[Any, Caller]:
        """The request and its caller; raises what the caller has to be told."""
        who = self._caller(method, call)
        request = call.request
        if not isinstance(request, method.request):
            request = parsed(method.parse, bytes_of(request))
        validate(request)
        return request, who

    async def _serve_batch(self, method: Method, calls: Sequence[ServiceCall]) -> None:
        good: list[tuple[Any, Caller]] = []
        checked: list[ServiceCall] = []
        for call in calls:
            try:
                good.append(self._checked(method, call))
                checked.append(call)
            except Exception as error:
                self._fail(method, call, error)
        if not good:
            return
        results: Sequence[Any]
        seconds = max([call.timeout for call in checked])
        answer_within(seconds)
        try:
            async with asyncio.timeout(seconds):
                results = await method.batch(good)
        except Exception as error:
            results = [error] * len(good)
        answered = 0
        for call, result in zip(checked, results, strict=True):
            if isinstance(result, Message):
                self._reply(call, result, None)
                answered += 1
            elif isinstance(result, Exception):
                self._fail(method, call, result)
            else:
                # A call that has to wait must not delay the others of its batch.
                self._start(self._serve_late(method, call, result))
        method.count(_OK, answered)

    async def _serve_late(self, method: Method, call: ServiceCall, result: Awaitable[Message]) -> None:
        try:
            async with asyncio.timeout(call.timeout):
                response = await result
        except Exception as error:
            self._fail(method, call, error)
        else:
            method.count(_OK)
            self._reply(call, response, None)

    async def _serve_one(self, method: Method, call: ServiceCall) -> None:
        try:
            request, who = self._checked(method, call)
            CURRENT.set(who)
            answer_within(call.timeout)
            async with asyncio.timeout(call.timeout):
                response = await method.unary(request, None)
        except Exception as error:
            self._fail(method, call, error)
        else:
            method.count(_OK)
            self._reply(call, response, None)

    def _fail(self, method: Method, call: ServiceCall, error: Exception) -> None:
        status: status_pb2.Status = status_of(error, method.table)
        method.count(status.code)
        if status.code == _INTERNAL:
            log.error("call failed", method=method.rule.full_name, exc_info=error)
        self._reply(call, None, status)

    def _reply(self, call: ServiceCall, response: Message | None, error: status_pb2.Status | None) -> None:
        self.unanswered -= 1
        call.on_reply(response, error)


def _slices(calls: Sequence[ServiceCall]) -> Iterator[tuple[Sequence[ServiceCall], int]]:
    """The calls in order, divided where their requests together have more than `_SLICE_BYTES`; and those bytes."""
    size = start = 0
    for index, call in enumerate(calls):
        added = size_of(call.request)
        if size and size + added > _SLICE_BYTES:
            yield calls[start:index], size
            size, start = 0, index
        size += added
    yield calls[start:], size
