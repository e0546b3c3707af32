"""Counts are asked of the counter node that follows the target's partition: two real gRPC servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from fanout_svc.adapters.mesh_counts import MeshCounts as FanoutCounts
from fanout_svc.errors import CountsUnreachable
from kit.auth.keys import open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.cluster.partitions import owners
from kit.errors import Problem
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from kit.target import partition_of
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc

COUNTER = "plaudit.counter.v1.CounterService"
PARTITIONS = 16
KEYS = [("default", f"messages/{n}") for n in range(400)]


class Exhausted(Problem):
    """The counter has a bad day."""


class RecordingCounter(counter_service_pb2_grpc.CounterServiceServicer):
    """Answers every question with the version asked for, and remembers which targets it was asked about."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, str]]] = []
        self.is_exhausted = False

    async def GetCounts(self, request: pb.GetCountsRequest, context: Any) -> pb.GetCountsResponse:
        """See the contract."""
        if self.is_exhausted:
            raise Exhausted("not now")
        self.asked.append(list(zip(request.tenants, request.targets, strict=True)))
        answer = pb.GetCountsResponse()
        for target, version in zip(request.targets, request.min_versions, strict=True):
            answer.counts.add(target=target, version=version)
        return answer


@dataclass
class Counters:
    """Two counters, and a mesh that knows them."""

    mesh: Mesh
    servers: dict[str, RecordingCounter] = field(default_factory=dict)

    def assert_each_got_its_own_targets(self, partitions: int) -> None:
        nodes = tuple(sorted(self.servers))
        for address, counter in self.servers.items():
            for question in counter.asked:
                found = {partition_of(*key, partitions) for key in question}
                assert {owners(nodes, PARTITIONS)[partition] for partition in found} == {address}
        requested = [key for counter in self.servers.values() for question in counter.asked for key in question]
        assert sorted(requested) == sorted(KEYS)


@pytest.fixture(name="counters")
async def fixture_counters(tmp_path: Path) -> AsyncIterator[Counters]:
    keys = open_keys(tmp_path / "keys")
    add = counter_service_pb2_grpc.add_CounterServiceServicer_to_server
    async with AsyncExitStack() as stack:
        servers: dict[str, RecordingCounter] = {}
        for _ in range(2):
            counter = RecordingCounter()
            hosted = Hosted(counter, add, {Exhausted: (grpc.StatusCode.UNAVAILABLE, "TIRED")})
            limits = ServerLimits(grace=0.1)
            server = await stack.enter_async_context(serving([hosted], verifier=keys.verifier(), limits=limits))
            servers[server.address] = counter
        nodes = StaticNodes(services={COUNTER: sorted(servers)})
        yield Counters(await stack.enter_async_context(connected(nodes, NodeTokens(keys.minter()))), servers)


async def test_fan_out_requests_counts_from_the_counter_of_each_partition(counters: Counters) -> None:
    wanted = {key: n for n, key in enumerate(KEYS)}
    found = await FanoutCounts(counters.mesh, 5.0, PARTITIONS).get(wanted)
    assert {key: totals.version for key, totals in found.items()} == wanted
    counters.assert_each_got_its_own_targets(PARTITIONS)
    assert [len(counter.asked) for counter in counters.servers.values()] == [1, 1]


async def test_with_one_partition_one_request_is_sent(counters: Counters) -> None:
    await FanoutCounts(counters.mesh, 5.0, 1).get(dict.fromkeys(KEYS, 1))
    counters.assert_each_got_its_own_targets(1)
    assert [len(counter.asked) for counter in counters.servers.values() if counter.asked] == [1]


async def test_a_counter_that_does_not_answer_does_not_delay_the_others(counters: Counters) -> None:
    exhausted = next(iter(counters.servers))
    counters.servers[exhausted].is_exhausted = True
    nodes = tuple(sorted(counters.servers))
    others = {key for key in KEYS if owners(nodes, PARTITIONS)[partition_of(*key, PARTITIONS)] != exhausted}
    assert set(await FanoutCounts(counters.mesh, 5.0, PARTITIONS).get(dict.fromkeys(KEYS, 1))) == others
    for counter in counters.servers.values():
        counter.is_exhausted = True
    with pytest.raises(CountsUnreachable):
        await FanoutCounts(counters.mesh, 5.0, PARTITIONS).get(dict.fromkeys(KEYS, 1))
