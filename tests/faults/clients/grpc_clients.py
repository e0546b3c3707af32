"""Clients that call a node through gRPC stubs and record every attempt and answer in the history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import grpc
from google.rpc import status_pb2

from kit.errors import RemoteError, remote_error
from kit.rpc.mesh import CHANNEL_OPTIONS
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_pb2
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from tests.faults.checks.history import Kind, Recorder

_CALL_SECONDS = 4.0
_ACTIONS = {
    "toggle": reaction_pb2.ACTION_TOGGLE,
    "add": reaction_pb2.ACTION_ADD,
    "remove": reaction_pb2.ACTION_REMOVE,
}
# Reasons of errors that a retry does not change.
FINAL_REASONS = (
    "OP_CONFLICT",
    "MESSAGE_CONFLICT",
    "MESSAGE_NOT_FOUND",
    "CONVERSATION_NOT_FOUND",
    "TOO_MANY_EMOJI",
    "INVALID_REQUEST",
    "INVALID_TARGET",
    "INVALID_EMOJI",
    "FORBIDDEN",
)
# Codes that a correct server never answers.
UNEXPECTED_CODES = ("INTERNAL", "UNKNOWN", "UNIMPLEMENTED", "DATA_LOSS")


class Change(NamedTuple):
    """One operation, the same at every attempt."""

    op_id: str
    tenant: str
    target: str
    user: str
    emoji: str
    action: str


class Operation(Protocol):
    """An operation with an id: a named tuple."""

    @property
    def op_id(self) -> str:
        """The same at every attempt."""

    def _asdict(self) -> dict[str, Any]:
        """Its fields."""


class Reply(NamedTuple):
    """The outcome of one attempt."""

    kind: Kind
    result: Mapping[str, Any]

    @property
    def wait(self) -> float:
        """Seconds to wait before the next attempt."""
        return float(self.result.get("retry_after") or 0.0)

    @property
    def final(self) -> bool:
        """Whether a retry would get the same answer."""
        return self.kind == "ok" or (self.kind == "fail" and self.result.get("reason") in FINAL_REASONS)


def error_reply(code: str, reason: str, message: str = "", retry_after: float | None = None) -> Reply:
    """The reply to an error: `unknown` unless the error means that nothing was changed."""
    is_refused = reason not in ("", "OUTCOME_UNKNOWN") and code not in (
        "DEADLINE_EXCEEDED",
        "CANCELLED",
        *UNEXPECTED_CODES,
    )
    result = {"code": code, "reason": reason, "message": message[:200], "retry_after": retry_after}
    return Reply("fail" if is_refused else "unknown", result)


def server_error(error: grpc.aio.AioRpcError) -> RemoteError | None:
    """The error that a server sent; None if gRPC itself made the status."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return remote_error(status_pb2.Status.FromString(value))
    return None


class AttemptRecorder:
    """Records the start and the end of attempts."""

    def __init__(self, recorder: Recorder, process: str) -> None:
        self._recorder = recorder
        self._process = process
        self._attempts: dict[str, int] = {}

    def begin(self, change: Operation, client: str) -> int:
        """Records the start of an attempt; returns its number."""
        number = self._attempts[change.op_id] = self._attempts.get(change.op_id, 0) + 1
        args = change._asdict()
        del args["op_id"]
        self._recorder.write(
            self._process, "invoke", "change", op_id=change.op_id, args=args, connection=client, position=number
        )
        return number

    def end(self, change: Operation, client: str, number: int, reply: Reply) -> None:
        """Records the end of an attempt."""
        self._recorder.write(
            self._process, reply.kind, "change",
            op_id=change.op_id, result=reply.result, connection=client, position=number,
        )  # fmt: skip


class GrpcClient:
    """Calls one node for the users of all tenants."""

    def __init__(
        self, name: str, channel: grpc.aio.Channel, tokens: Mapping[str, str], attempts: AttemptRecorder
    ) -> None:
        self.name = name
        self._stub: Any = pb_grpc.ReactionServiceStub(channel)
        self._tokens = tokens
        self._attempts = attempts

    async def change(self, change: Change) -> Reply:
        """Makes one attempt."""
        number = self._attempts.begin(change, self.name)
        reply = await self._reply_of(self._call(change))
        self._attempts.end(change, self.name, number, reply)
        return reply

    async def batch(self, changes: Sequence[Change]) -> list[Reply]:
        """Makes one attempt of a batch of changes of one tenant; a clear is not allowed in it."""
        numbers = [self._attempts.begin(change, self.name) for change in changes]
        request = pb.BatchChangeReactionsRequest(
            changes=[
                reaction_pb2.Change(
                    target=one.target, emoji=one.emoji, action=_ACTIONS[one.action], op_id=one.op_id, user=one.user
                )
                for one in changes
            ]
        )
        replies: list[Reply] = []
        try:
            answer = await self._stub.BatchChangeReactions(
                request, metadata=self._metadata(changes[0].tenant), timeout=_CALL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            replies = [reply_to_error(error)] * len(changes)
        else:
            replies = [_reply_to_outcome(one) for one in answer.outcomes]
        for change, number, reply in zip(changes, numbers, replies, strict=True):
            self._attempts.end(change, self.name, number, reply)
        return replies

    async def _reply_of(self, call: Any) -> Reply:
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            return reply_to_error(error)
        return Reply("ok", {"on": bool(getattr(answer, "on", False)), "version": answer.version})

    def _call(self, change: Change) -> Any:
        metadata = self._metadata(change.tenant, change.user)
        target, emoji, op_id = change.target, change.emoji, change.op_id
        if change.action == "toggle":
            request: Any = pb.ToggleReactionRequest(target=target, emoji=emoji, op_id=op_id)
            return self._stub.ToggleReaction(request, metadata=metadata, timeout=_CALL_SECONDS)
        if change.action == "clear":
            request = pb.ClearReactionsRequest(target=target, op_id=op_id)
            return self._stub.ClearReactions(request, metadata=metadata, timeout=_CALL_SECONDS)
        request = pb.SetReactionRequest(target=target, emoji=emoji, on=change.action == "add", op_id=op_id)
        return self._stub.SetReaction(request, metadata=metadata, timeout=_CALL_SECONDS)

    def _metadata(self, tenant: str, user: str = "") -> tuple[tuple[str, str], ...]:
        own = ("authorization", f"Bearer {self._tokens[tenant]}")
        return (own, ("plaudit-user", user)) if user else (own,)


def reply_to_error(error: grpc.aio.AioRpcError) -> Reply:
    """The reply to a failed call."""
    found = server_error(error)
    if found is None:
        # A status of gRPC itself: the server may have received the call.
        details = error.details() or ""
        code = "CANCELLED" if details == "Internal error from Core" else error.code().name
        return Reply("unknown", {"code": code, "reason": "", "message": details[:200]})
    return error_reply(found.code.name, found.reason, found.message, found.retry_after)


def _reply_to_outcome(outcome: reaction_pb2.Outcome) -> Reply:
    if outcome.HasField("error"):
        found = remote_error(outcome.error)
        return error_reply(found.code.name, found.reason, found.message, found.retry_after)
    return Reply("ok", {"on": outcome.on, "version": outcome.version})


@asynccontextmanager
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that reconnects soon after its node restarts."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as opened:
        yield opened
