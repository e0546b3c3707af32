"""Ways in for internal services: the stubs, with every attempt and every answer in the history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
from google.rpc import status_pb2

from kit.errors import RemoteError, remote_error
from kit.mesh import CHANNEL_OPTIONS
from plaudit.reaction.v1 import reaction_pb2
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from tests.faults.history import Kind, Recorder

_CALL_SECONDS = 4.0
_ACTIONS = {
    "toggle": reaction_pb2.ACTION_TOGGLE,
    "add": reaction_pb2.ACTION_ADD,
    "remove": reaction_pb2.ACTION_REMOVE,
}
# Refusals that stay refusals however often one asks.
FINAL = ("OP_CONFLICT", "TOO_MANY_EMOJI", "INVALID_REQUEST", "INVALID_TARGET", "INVALID_EMOJI", "FORBIDDEN")
# What nobody may ever be answered.
UGLY = ("INTERNAL", "UNKNOWN", "UNIMPLEMENTED", "DATA_LOSS")


class Change(NamedTuple):
    """One operation, the same at every attempt."""

    op_id: str
    tenant: str
    target: str
    user: str
    emoji: str
    action: str


class Reply(NamedTuple):
    """What became of one attempt."""

    kind: Kind
    result: Mapping[str, Any]

    @property
    def wait(self) -> float:
        """Seconds until another attempt makes sense."""
        return float(self.result.get("retry_after") or 0.0)

    @property
    def final(self) -> bool:
        """Whether trying again changes nothing."""
        return self.kind == "ok" or (self.kind == "fail" and self.result.get("reason") in FINAL)


def refusal(code: str, reason: str, message: str = "", retry_after: float | None = None) -> Reply:
    """An error as an answer: unknown where it does not say that nothing was done."""
    known = reason not in ("", "OUTCOME_UNKNOWN") and code not in ("DEADLINE_EXCEEDED", "CANCELLED", *UGLY)
    result = {"code": code, "reason": reason, "message": message[:200], "retry_after": retry_after}
    return Reply("fail" if known else "unknown", result)


def status_of(error: grpc.aio.AioRpcError) -> RemoteError | None:
    """What a server said; None where it is only our own end that speaks."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return remote_error(status_pb2.Status.FromString(value))
    return None


class Journal:
    """Writes attempts down."""

    def __init__(self, recorder: Recorder, process: str) -> None:
        self._recorder = recorder
        self._process = process
        self._attempts: dict[str, int] = {}

    def ask(self, change: Change, door: str) -> int:
        """An attempt begins; its number."""
        number = self._attempts[change.op_id] = self._attempts.get(change.op_id, 0) + 1
        args = change._asdict()
        del args["op_id"]
        self._recorder.write(
            self._process, "invoke", "change", op_id=change.op_id, args=args, connection=door, position=number
        )
        return number

    def tell(self, change: Change, door: str, number: int, reply: Reply) -> None:
        """An attempt has ended."""
        self._recorder.write(
            self._process, reply.kind, "change",
            op_id=change.op_id, result=reply.result, connection=door, position=number,
        )  # fmt: skip


class GrpcDoor:
    """Calls of one node's stubs for the people of all tenants."""

    def __init__(self, name: str, channel: grpc.aio.Channel, tokens: Mapping[str, str], journal: Journal) -> None:
        self.name = name
        self._stub: Any = pb_grpc.ReactionServiceStub(channel)
        self._tokens = tokens
        self._journal = journal

    async def change(self, change: Change) -> Reply:
        """One attempt."""
        number = self._journal.ask(change, self.name)
        reply = await self._answered(self._call(change))
        self._journal.tell(change, self.name, number, reply)
        return reply

    async def batch(self, changes: Sequence[Change]) -> list[Reply]:
        """One attempt of many changes of one tenant, none of them a clear."""
        numbers = [self._journal.ask(change, self.name) for change in changes]
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
            replies = [_failed(error)] * len(changes)
        else:
            replies = [_outcome(one) for one in answer.outcomes]
        for change, number, reply in zip(changes, numbers, replies, strict=True):
            self._journal.tell(change, self.name, number, reply)
        return replies

    async def _answered(self, call: Any) -> Reply:
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            return _failed(error)
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


def _failed(error: grpc.aio.AioRpcError) -> Reply:
    said = status_of(error)
    if said is None:
        # Our own end: the call may have been on its way.
        details = error.details() or ""
        code = "CANCELLED" if details == "Internal error from Core" else error.code().name
        return Reply("unknown", {"code": code, "reason": "", "message": details[:200]})
    return refusal(said.code.name, said.reason, said.message, said.retry_after)


def _outcome(outcome: reaction_pb2.Outcome) -> Reply:
    if outcome.HasField("error"):
        said = remote_error(outcome.error)
        return refusal(said.code.name, said.reason, said.message, said.retry_after)
    return Reply("ok", {"on": outcome.on, "version": outcome.version})


@asynccontextmanager
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that comes back soon after its node has."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as opened:
        yield opened
