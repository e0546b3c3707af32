"""A change of a conversation that is asked of one node and belongs to a shard of another: it is made there, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from prometheus_client import REGISTRY

import message_svc.app
from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.cluster.partitions import owners
from kit.ledger import router
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import serving
from message_svc.config import Config
from plaudit.message.v1 import message_changes_pb2 as pb
from plaudit.message.v1 import message_service_pb2_grpc as pb_grpc


class Node(NamedTuple):
    """A node with its own server; all of them have the same file."""

    mesh: Mesh
    stub: Any


class Pair(NamedTuple):
    """`owner` has the only shard; `asked` is the other node."""

    asked: Node
    owner: Node
    keys: Keys

    async def send(self, node: Node, user: str, content: str, client_msg_id: str) -> pb.SendMessageResponse:
        """A direct message to bob, asked of that node."""
        request = pb.SendMessageRequest(recipient_id="bob", content=content, client_msg_id=client_msg_id)
        token = (("authorization", f"Bearer {self.keys.minter().mint_user(user)}"),)
        sent: pb.SendMessageResponse = await node.stub.SendMessage(request, metadata=token, timeout=20)
        return sent


async def _opened(stack: AsyncExitStack, folder: Path, keys: Keys) -> Node:
    mesh = await stack.enter_async_context(connected(StaticNodes(), NodeTokens(keys.minter())))
    mesh.shares_work = True
    log = await stack.enter_async_context(open_sqlite_log(folder / "messages.db", ledgers=["messages"]))
    ledgers = router.LedgerServicer()
    engines = Engines(folder, log, message_log=log)
    hosted = await stack.enter_async_context(message_svc.app.opened(Config(), mesh, engines, ledgers))
    server = await stack.enter_async_context(
        serving([*hosted, router.hosted(ledgers)], verifier=keys.verifier(), limits=ServerLimits(grace=0.5))
    )
    mesh.own_address = server.address
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
    return Node(mesh, pb_grpc.MessageServiceStub(channel))


@pytest.fixture(name="pair")
async def fixture_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    # On a busy machine a working node may be silent for longer than the limit.
    monkeypatch.setattr(router, "SILENCE_SECONDS", 10.0)
    keys = open_keys(tmp_path / "keys")
    async with AsyncExitStack() as stack:
        nodes = [await _opened(stack, tmp_path, keys) for _ in range(2)]
        addresses = tuple(sorted(node.mesh.own_address for node in nodes))
        for node in nodes:
            node.mesh.set_resolver(StaticNodes(*addresses))
        (owner,) = owners(addresses, 1)
        asked, owning = sorted(nodes, key=lambda node: node.mesh.own_address == owner)
        yield Pair(asked, owning, keys)


def forwarded(where: str) -> float:
    return REGISTRY.get_sample_value("plaudit_ledger_forwarded_calls_total", {"where": where}) or 0.0


async def test_a_message_is_sent_by_the_node_that_owns_its_shard(pair: Pair) -> None:
    there, here = forwarded("there"), forwarded("here")
    sent = await pair.send(pair.asked, "alice", "Hi!", "1")
    assert (forwarded("there"), forwarded("here")) == (there + 1, here)
    # Wherever it comes again, it is the same message.
    assert await pair.send(pair.owner, "alice", "Hi!", "1") == sent
    assert forwarded("there") == there + 1
    assert await pair.send(pair.asked, "alice", "Hi!", "1") == sent
    following = await pair.send(pair.owner, "bobby", "Hello", "1")
    assert (sent.message_seq, following.message_seq) == (2, 2)
    assert following.conversation_id != sent.conversation_id


async def test_a_refusal_of_the_owner_is_returned_by_the_called_node(pair: Pair) -> None:
    await pair.send(pair.asked, "alice", "Hi!", "1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await pair.send(pair.asked, "alice", "another text", "1")
    assert caught.value.code() is grpc.StatusCode.ABORTED
