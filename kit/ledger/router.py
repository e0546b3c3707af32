"""Executes commands on the nodes that their shards are assigned to: on this node, or by one forwarded call.

The forwarding node has checked the commands, and each command names its user. So the identity of the caller is not
forwarded, and only nodes may forward.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from google.rpc import status_pb2

from kit.cluster.routing import SILENCE_SECONDS, destination, is_executed_here
from kit.errors import Invalid, OutcomeUnknown, Problem, remote_error
from kit.ledger import metrics
from kit.ledger.errors import FORWARDING_ERRORS, ShardNotServed
from kit.ledger.node import Executed, LedgerNode
from kit.rpc.deadline import remaining
from kit.rpc.mesh import Mesh
from kit.rpc.server import Hosted
from kit.rpc.service_call import Payload, ServiceCall, bytes_of
from plaudit.edge.v1 import ledger_service_pb2 as pb
from plaudit.edge.v1 import ledger_service_pb2_grpc

METHOD = "/plaudit.edge.v1.LedgerService/Execute"
_CHECK_SECONDS = 0.1


class CommandCodec(Protocol):
    """Encodes commands and their answers for calls between the nodes of a service."""

    def encode_commands(self, commands: Sequence[Any]) -> bytes:
        """Encodes commands of one shard."""
        ...

    def decode_commands(self, data: bytes) -> Sequence[Any]:
        """Decodes commands; raises Invalid."""
        ...

    def encode_executed(self, executed: Executed) -> bytes:
        """Encodes answers."""
        ...

    def decode_executed(self, data: bytes) -> Executed:
        """Decodes answers."""
        ...


class LedgerRouter:
    """Executes commands on the node that their shard is assigned to, one of the nodes of `service`."""

    def __init__(
        self,
        node: LedgerNode,
        codec: CommandCodec,
        mesh: Mesh,
        service: str,
        timeout: float,
        *,
        is_forwarding: bool = True,
    ) -> None:
        """`timeout`: the seconds that a call may take, including all attempts.

        `is_forwarding`: whether calls are forwarded to the assigned node; False: all are executed on this node.
        """
        self._node = node
        self._codec = codec
        self._mesh = mesh
        self._service = service
        self._timeout = timeout
        self._is_forwarding = is_forwarding

    async def execute(self, shard: int, commands: Sequence[Any]) -> Executed:
        """The answers to commands of one shard, in order. Every command has an operation id.

        Raises Overloaded and Unavailable with nothing done, OutcomeUnknown, and RemoteError for those of another node.
        """
        deadline = asyncio.get_running_loop().time() + remaining(self._timeout)
        there = self._is_forwarding and destination(
            shard, self._node.shards, self._mesh.hosts(self._service), self._mesh.member_id, is_forwarded=False
        )
        if not there:
            return await self._node.execute(shard, commands, _remaining(deadline))
        answered = await self._forward(there, shard, commands, deadline)
        if isinstance(answered, Executed):
            return answered
        try:
            return await self._node.execute(shard, commands, _remaining(deadline))
        except Problem as problem:
            if not answered or isinstance(problem, OutcomeUnknown):
                raise
            # Nothing was done here, but the other node may have executed the commands.
            raise OutcomeUnknown(
                f"{problem.message}; retry with the same op_id", retry_after=problem.retry_after
            ) from problem

    async def _forward(self, there: str, shard: int, commands: Sequence[Any], deadline: float) -> Executed | bool:
        """The answers of the node at that address. Or a bool, where the commands are to be executed on this node:
        whether the other node may execute them, too."""
        request = pb.ExecuteRequest(
            ledger=self._node.name,
            shard=shard,
            shards=self._node.shards,
            commands=self._codec.encode_commands(commands),
        )
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes | status_pb2.Status | None] = loop.create_future()
        sent_at = loop.time()
        timer: asyncio.TimerHandle | None = None

        def on_reply(response: Payload | None, status: status_pb2.Status | None) -> None:
            if not answered.done():
                answered.set_result(bytes_of(response) if response is not None else status or status_pb2.Status())

        def check_connection() -> None:
            nonlocal timer
            timer = None
            if answered.done():
                return
            seconds = _remaining(deadline)
            if not seconds or self._mesh.silent_since(there, sent_at) > SILENCE_SECONDS:
                answered.set_result(None)
            else:
                timer = loop.call_later(min(_CHECK_SECONDS, seconds), check_connection)

        call = ServiceCall(METHOD, request, on_reply, unlimited=True, timeout=_remaining(deadline))
        self._mesh.submit(call, at=there)
        timer = loop.call_later(min(_CHECK_SECONDS, _remaining(deadline)), check_connection)
        try:
            reply = await answered
        finally:
            if timer is not None:
                timer.cancel()
        if reply is None:
            is_late = not _remaining(deadline)
            metrics.FORWARDED.labels("late" if is_late else "silent").inc()
            if is_late:
                raise OutcomeUnknown("no answer came in time; retry with the same op_id")
            return True
        if isinstance(reply, bytes):
            metrics.FORWARDED.labels("there").inc()
            return self._codec.decode_executed(pb.ExecuteResponse.FromString(reply).answers)
        error = remote_error(reply)
        is_broken = self._mesh.is_broken(reply)
        if is_executed_here(error.reason, is_broken=is_broken):
            metrics.FORWARDED.labels("here").inc()
            return is_broken
        raise error


def _remaining(deadline: float) -> float:
    """The seconds until `deadline`, a time of the event loop."""
    return max(0.0, deadline - asyncio.get_running_loop().time())


class LedgerServicer(ledger_service_pb2_grpc.LedgerServiceServicer):
    """See the contract. Serves the ledgers of this process, each from when it is added."""

    def __init__(self) -> None:
        self._ledgers: dict[str, tuple[LedgerNode, CommandCodec, float]] = {}

    def add(self, node: LedgerNode, codec: CommandCodec, timeout: float) -> None:
        """Adds a ledger; `timeout`: the seconds that a call may take at most."""
        self._ledgers[node.name] = (node, codec, timeout)

    async def Execute(self, request: pb.ExecuteRequest, context: Any) -> pb.ExecuteResponse:
        """See the contract."""
        found = self._ledgers.get(request.ledger)
        if found is None or request.shards != found[0].shards:
            raise ShardNotServed("this node has no such ledger", retry_after=0.5)
        node, codec, timeout = found
        if request.shard >= node.shards:
            raise Invalid("there is no such shard", field="shard")
        if node.is_store_unreachable(request.shard):
            raise ShardNotServed("this node does not reach its store", retry_after=0.5)
        commands = codec.decode_commands(request.commands)
        executed = await node.execute(request.shard, commands, remaining(timeout))
        return pb.ExecuteResponse(answers=codec.encode_executed(executed))


def hosted(servicer: LedgerServicer) -> Hosted:
    """The servicer with its error table, for a server."""
    return Hosted(servicer, ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server, FORWARDING_ERRORS)
