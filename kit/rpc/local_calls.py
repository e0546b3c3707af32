"""Calls of a process to itself: the same checks and batches as on a call stream, and no bytes."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

from kit.auth.caller import CURRENT, Caller
from kit.rpc.call_executor import CallExecutor
from kit.rpc.call_server import CallServicer
from kit.rpc.call_stream import OVERLOADED, UNREACHED, WAITING_LIMIT
from kit.rpc.service_call import ServiceCall


class LocalCalls:
    """A `CallStream` to the process itself; `service` is the caller. Created by `kit.rpc.server.Server`."""

    def __init__(self, servicer: CallServicer, service: Caller) -> None:
        self._executor = CallExecutor(servicer.methods, service, servicer.large)
        self._draining = servicer.draining
        self._loop = asyncio.get_running_loop()
        # Handlers see the service as the caller, and not the context of the first submitter.
        self._context = copy_context()
        self._context.run(CURRENT.set, service)
        self._pending: list[ServiceCall] = []

    def __len__(self) -> int:
        return self._executor.unanswered + len(self._pending)

    def submit(self, call: ServiceCall) -> None:
        """See `CallStream.submit`. Calls of one iteration of the loop are one batch."""
        if len(self) >= WAITING_LIMIT or self._draining.is_set():
            refused = UNREACHED if self._draining.is_set() else OVERLOADED
            self._loop.call_soon(call.on_reply, None, refused)
            return
        if not self._pending:
            self._loop.call_soon(self._flush, context=self._context)
        self._pending.append(call)

    def _flush(self) -> None:
        calls, self._pending = self._pending, []
        self._executor.accept(calls)
