"""Heads are read from the reaction node that decides the target: two real gRPC servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from counter_svc.adapters.mesh_records import SERVICE, MeshRecords
from counter_svc.domain import Totals
from counter_svc.errors import RecordsUnreachable
from kit.auth.keys import open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.cluster.partitions import owners
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from kit.target import partition_of
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc

PARTITIONS = 16
KEYS = [(tenant, f"messages/{n}") for tenant in ("default", "acme") for n in range(1_500)]


class RecordingReactions(pb_grpc.ReactionServiceServicer):
    """Gives every target the number in its name as version, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, str]]] = []

    async def BatchGetTargetCounts(
        self, request: pb.BatchGetTargetCountsRequest, context: Any
    ) -> pb.BatchGetTargetCountsResponse:
        """See the contract."""
        self.asked.append(list(zip(request.tenants, request.targets, strict=True)))
        answer = pb.BatchGetTargetCountsResponse()
        for target in request.targets:
            answer.counts.add(target=target, version=int(target.partition("/")[2]))
        return answer


@pytest.fixture(name="stack")
async def fixture_stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def mesh_of(stack: AsyncExitStack, folder: Path, nodes: int) -> tuple[Mesh, dict[str, RecordingReactions]]:
    """A mesh that knows so many nodes of the reaction service."""
    keys = open_keys(folder / "keys")
    found: dict[str, RecordingReactions] = {}
    for _ in range(nodes):
        node: Any = RecordingReactions()
        hosted = Hosted(node, pb_grpc.add_ReactionServiceServicer_to_server)
        limits = ServerLimits(grace=0.1)
        server = await stack.enter_async_context(serving([hosted], verifier=keys.verifier(), limits=limits))
        found[server.address] = node
    places = StaticNodes(services={SERVICE: sorted(found)})
    return await stack.enter_async_context(connected(places, NodeTokens(keys.minter()))), found


async def test_each_node_gets_requests_for_its_own_targets_a_thousand_at_a_time(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    mesh, nodes = await mesh_of(stack, tmp_path, 2)
    found = await MeshRecords(mesh, PARTITIONS).heads(KEYS)
    assert found == {key: Totals(int(key[1].partition("/")[2])) for key in KEYS}
    addresses = tuple(sorted(nodes))
    for address, node in nodes.items():
        assert all(len(question) <= 1_000 for question in node.asked)
        partitions = {partition_of(*key, PARTITIONS) for question in node.asked for key in question}
        assert {owners(addresses, PARTITIONS)[partition] for partition in partitions} == {address}
    assert sum(len(question) for node in nodes.values() for question in node.asked) == len(KEYS)


async def test_without_a_node_the_heads_are_unreachable(stack: AsyncExitStack, tmp_path: Path) -> None:
    mesh, _ = await mesh_of(stack, tmp_path, 0)
    with pytest.raises(RecordsUnreachable):
        await MeshRecords(mesh, PARTITIONS).heads(KEYS[:1])
