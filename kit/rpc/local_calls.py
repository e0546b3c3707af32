"""Calls of a process to itself: the same checks and batches as on a call stream, without the network."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

from google.rpc import status_pb2

from kit.auth.caller import CURRENT, Caller
from kit.rpc.call_server import CallExecutor, CallServicer
from kit.rpc.call_stream import OVERLOADED, UNREACHED, WAITING_LIMIT, OnReply
from plaudit.edge.v1 import call_service_pb2 as pb


class LocalCalls(CallExecutor):
    """A `CallStream` to the process itself; `service` is the caller. Created by `kit.rpc.server.Server`."""

    def __init__(self, servicer: CallServicer, service: Caller) -> None:
        super().__init__(servicer.methods, service, servicer.large)
        self._draining = servicer.draining
        self._loop = asyncio.get_running_loop()
        # Handlers see the service as the caller, and not the context of the first submitter.
        self._context = copy_context()
        self._context.run(CURRENT.set, service)
        self._next_id = 0
        self._pending: list[pb.Call] = []
        self._waiting: dict[int, OnReply] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, call: pb.Call, on_reply: OnReply) -> None:
        """See `CallStream.submit`. Calls of one iteration of the loop are one batch."""
        refused = OVERLOADED if len(self._waiting) >= WAITING_LIMIT else UNREACHED if self._draining.is_set() else None
        if refused is not None:
            self._loop.call_soon(on_reply, None, refused)
            return
        call.id = self._next_id = self._next_id + 1
        self._waiting[call.id] = on_reply
        if not self._pending:
            self._loop.call_soon(self._flush, context=self._context)
        self._pending.append(call)

    def _flush(self) -> None:
        calls, self._pending = self._pending, []
        self.accept(calls)

    def _answer(self, id_: int, response: bytes | None, error: status_pb2.Status | None) -> None:
        self._waiting.pop(id_)(response, error)
