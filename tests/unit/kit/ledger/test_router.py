"""What a node does with commands of another node's shard: one deadline, and no promise about what it cannot know."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import grpc
import pytest
from google.rpc import status_pb2

from kit.errors import OutcomeUnknown, Overloaded, Problem, RemoteError, Unavailable, make_status
from kit.ledger.errors import ShardNotServed
from kit.ledger.node import Executed, LedgerNode
from kit.ledger.router import CommandCodec, LedgerRouter
from kit.rpc.call_stream import BROKEN, LATE
from kit.rpc.deadline import answer_within
from kit.rpc.mesh import Mesh
from kit.rpc.service_call import ServiceCall

OWN, OTHER = "10.0.0.1:1", "10.0.0.2:1"
LOCAL = Executed(("here",), None)
NOT_SERVED = make_status(grpc.StatusCode.UNAVAILABLE, "SHARD_NOT_SERVED", "it stops")
FULL = make_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", "too much")


class OneNode:
    """A node of a ledger, that answers or fails at once."""

    name, shards = "things", 1

    def __init__(self) -> None:
        self.failure: Problem | None = None
        self.timeouts: list[float] = []

    async def execute(self, shard: int, commands: Sequence[Any], timeout: float) -> Executed:
        self.timeouts.append(timeout)
        if self.failure is not None:
            raise self.failure
        return LOCAL


class OneOwner:
    """A mesh in which another node owns all shards and answers with a status, or never."""

    member_id = OWN
    is_broken = staticmethod(Mesh.is_broken)

    def __init__(self) -> None:
        self.reply: status_pb2.Status | None = None
        self.silence = 0.0
        self.timeouts: list[float] = []

    def hosts(self, service: str) -> tuple[str, ...]:
        return (OTHER,)

    def submit(self, call: ServiceCall, *, at: str) -> None:
        self.timeouts.append(call.timeout)
        if self.reply is not None:
            asyncio.get_running_loop().call_soon(call.on_reply, None, self.reply)

    def silent_since(self, address: str, asked: float) -> float:
        return self.silence


class Text:
    """Commands are texts."""

    def encode_commands(self, commands: Sequence[str]) -> bytes:
        return "\n".join(commands).encode()


@pytest.fixture(name="node")
def fixture_node() -> OneNode:
    return OneNode()


@pytest.fixture(name="mesh")
def fixture_mesh() -> OneOwner:
    return OneOwner()


def router(node: OneNode, mesh: OneOwner, timeout: float = 5.0, **options: bool) -> LedgerRouter:
    return LedgerRouter(
        cast(LedgerNode, node), cast(CommandCodec, Text()), cast(Mesh, mesh), "a.Service", timeout, **options
    )


@pytest.mark.parametrize(
    "failure", [ShardNotServed("stops"), Overloaded("full", retry_after=2), Unavailable("no disk")]
)
@pytest.mark.parametrize("reply", [None, BROKEN, LATE], ids=["silent", "broken", "late"])
async def test_after_a_lost_answer_every_local_failure_is_an_unknown_outcome(
    node: OneNode, mesh: OneOwner, failure: Problem, reply: status_pb2.Status | None
) -> None:
    node.failure, mesh.reply, mesh.silence = failure, reply, 1.0
    with pytest.raises(OutcomeUnknown) as failed:
        await router(node, mesh).execute(0, ["a"])
    assert failed.value.retry_after == failure.retry_after


@pytest.mark.parametrize("failure", [ShardNotServed("stops"), Overloaded("full")])
async def test_a_local_failure_is_returned_unchanged_if_the_other_node_has_changed_nothing(
    node: OneNode, mesh: OneOwner, failure: Problem
) -> None:
    node.failure, mesh.reply = failure, NOT_SERVED
    with pytest.raises(type(failure)):
        await router(node, mesh).execute(0, ["a"])


async def test_a_call_that_the_owner_refuses_is_not_executed_on_this_node(node: OneNode, mesh: OneOwner) -> None:
    mesh.reply = FULL
    with pytest.raises(RemoteError, match="too much"):
        await router(node, mesh).execute(0, ["a"])
    assert node.timeouts == []


async def test_a_call_executed_after_a_failed_forward_has_only_the_remaining_time(
    node: OneNode, mesh: OneOwner
) -> None:
    mesh.silence = 1.0
    assert await router(node, mesh, timeout=5.0).execute(0, ["a"]) is LOCAL
    assert mesh.timeouts[0] <= 5.0
    assert node.timeouts[0] <= 4.95  # the owner's silence took a tenth of a second


async def test_a_call_ends_at_its_deadline_if_the_owner_is_connected_but_does_not_answer(
    node: OneNode, mesh: OneOwner
) -> None:
    with pytest.raises(OutcomeUnknown):
        await router(node, mesh, timeout=0.05).execute(0, ["a"])
    assert node.timeouts == []


@pytest.mark.parametrize("is_forwarding", [True, False])
async def test_a_shorter_timeout_of_the_caller_bounds_every_attempt(
    node: OneNode, mesh: OneOwner, is_forwarding: bool
) -> None:
    answer_within(1.0)
    mesh.reply = NOT_SERVED
    await router(node, mesh, timeout=5.0, is_forwarding=is_forwarding).execute(0, ["a"])
    assert len(mesh.timeouts) == is_forwarding
    assert all(0.5 < timeout <= 1.0 for timeout in [*mesh.timeouts, *node.timeouts])
