"""Commands to the nodes that own their shards: executed here, or forwarded once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from google.rpc import status_pb2

from kit.access import ANY_TENANT
from kit.caller import caller
from kit.errors import Forbidden, Invalid, OutcomeUnknown, Overloaded, Unavailable, remote_error
from kit.ledger import metrics
from kit.ledger.errors import FORWARDING_ERRORS, ShardNotServed
from kit.ledger.node import Executed, LedgerNode
from kit.ledger.routing import SILENCE_SECONDS, destination, is_executed_here
from kit.mesh import Mesh
from kit.server import Hosted
from plaudit.edge.v1 import ledger_service_pb2 as pb
from plaudit.edge.v1 import ledger_service_pb2_grpc

METHOD = "/plaudit.edge.v1.LedgerService/Execute"
_CHECK_SECONDS = 0.1


class CommandCodec(Protocol):
    """How commands and their answers travel between the nodes of a service."""

    def encode_commands(self, commands: Sequence[Any]) -> bytes:
        """Commands of one shard."""
        ...

    def decode_commands(self, data: bytes) -> Sequence[Any]:
        """The opposite; raises Invalid."""
        ...

    def encode_executed(self, executed: Executed) -> bytes:
        """Their answers."""
        ...

    def decode_executed(self, data: bytes) -> Executed:
        """The opposite."""
        ...


class LedgerRouter:
    """Executes commands on the node that owns their shard. `service`: whose nodes divide the shards."""

    def __init__(self, node: LedgerNode, codec: CommandCodec, mesh: Mesh, service: str, timeout: float) -> None:
        """`timeout` in seconds is what a call may take."""
        self._node = node
        self._codec = codec
        self._mesh = mesh
        self._service = service
        self._timeout = timeout

    async def execute(self, shard: int, commands: Sequence[Any]) -> Executed:
        """The answers to commands of one shard, in order. Every command has an operation id.

        Raises Overloaded and Unavailable with nothing done, OutcomeUnknown, and RemoteError for these from elsewhere.
        """
        there = destination(shard, self._mesh.hosts(self._service), self._mesh.worker, is_forwarded=False)
        if not there:
            return await self._node.execute(shard, commands, self._timeout)
        answered = await self._forward(there, shard, commands)
        if isinstance(answered, Executed):
            return answered
        try:
            return await self._node.execute(shard, commands, self._timeout)
        except (Unavailable, Overloaded) as problem:
            if not answered:
                raise
            # What the other node does with them is not known.
            raise OutcomeUnknown(f"{problem}; retry with the same op_id") from problem

    async def _forward(self, there: str, shard: int, commands: Sequence[Any]) -> Executed | bool:
        """The answers of the node at that address; or whether it may still execute the commands, which are to be
        executed here."""
        request = pb.ExecuteRequest(
            ledger=self._node.name,
            shard=shard,
            shards=self._node.shards,
            commands=self._codec.encode_commands(commands),
        )
        answered: asyncio.Future[bytes | status_pb2.Status] = asyncio.get_running_loop().create_future()

        def on_reply(response: bytes | None, status: status_pb2.Status | None) -> None:
            if not answered.done():
                answered.set_result(response if response is not None else status or status_pb2.Status())

        self._mesh.submit(
            METHOD, request.SerializeToString(), on_reply, at=there, unlimited=True, timeout=self._timeout
        )
        asked = asyncio.get_running_loop().time()
        while not answered.done():
            await asyncio.wait([answered], timeout=_CHECK_SECONDS)
            if not answered.done() and self._mesh.silent_since(there, asked) > SILENCE_SECONDS:
                answered.cancel()
                metrics.FORWARDED.labels("silent").inc()
                return True
        reply = answered.result()
        if isinstance(reply, bytes):
            metrics.FORWARDED.labels("there").inc()
            return self._codec.decode_executed(pb.ExecuteResponse.FromString(reply).answers)
        error = remote_error(reply)
        is_broken = self._mesh.is_broken(reply)
        if is_executed_here(error.reason, is_broken=is_broken):
            metrics.FORWARDED.labels("here").inc()
            return is_broken
        raise error


class LedgerServicer(ledger_service_pb2_grpc.LedgerServiceServicer):
    """See the contract. Hosts the ledgers of this process."""

    def __init__(self, ledgers: Sequence[tuple[LedgerNode, CommandCodec]], timeout: float) -> None:
        self._ledgers = {node.name: (node, codec) for node, codec in ledgers}
        self._timeout = timeout

    async def Execute(self, request: pb.ExecuteRequest, context: Any) -> pb.ExecuteResponse:
        """See the contract."""
        if ANY_TENANT not in caller().scopes:
            raise Forbidden("only nodes forward commands", reason="ACCESS_DENIED")
        found = self._ledgers.get(request.ledger)
        if found is None or request.shards != found[0].shards:
            raise ShardNotServed("this node has no such ledger", retry_after=0.5)
        node, codec = found
        if request.shard >= node.shards:
            raise Invalid("there is no such shard", field="shard")
        if node.is_away(request.shard):
            raise ShardNotServed("this node does not reach its store", retry_after=0.5)
        commands = codec.decode_commands(request.commands)
        executed = await node.execute(request.shard, commands, self._timeout)
        return pb.ExecuteResponse(answers=codec.encode_executed(executed))


def hosted(servicer: LedgerServicer) -> Hosted:
    """The servicer, for a server."""
    return Hosted(servicer, ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server, FORWARDING_ERRORS)
