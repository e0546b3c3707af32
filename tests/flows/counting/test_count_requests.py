"""Requests for counts: fields that break a rule, tenants, and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from counter_svc.config import Config
from kit.errors import RemoteError
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from tests.flows.counting.counter_system import GET, KEYS, REBUILD, counter_stack, fixture_crowd, fixture_log
from tests.flows.crowd import Crowd, eventually

__all__ = ["fixture_crowd", "fixture_log"]

GET_ONE = "/plaudit.counter.v1.CounterService/GetReactionCounts"


@pytest.mark.parametrize(
    ("request_", "field", "reason"),
    [
        (pb.GetCountsRequest(targets=["messages/1,nonsense/2"]), "target", "INVALID_TARGET"),
        (pb.GetCountsRequest(targets=[",".join(["messages/1"] * 1001)]), "targets", "INVALID_REQUEST"),
        (pb.GetCountsRequest(targets=["messages/1,messages/2"], min_versions=[1]), "min_versions", "INVALID_REQUEST"),
        (pb.GetCountsRequest(targets=["messages/1"], min_versions=[-1]), "min_versions", "INVALID_REQUEST"),
        (pb.GetCountsRequest(), "targets", "INVALID_REQUEST"),
    ],
)
async def test_malformed_requests_for_counts_are_refused_with_their_field(
    tmp_path: Path, crowd: Crowd, request_: pb.GetCountsRequest, field: str, reason: str
) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        with pytest.raises(RemoteError) as caught:
            await counter.mesh.call(GET, request_.SerializeToString(), tenant="default", user="alice")
        found = caught.value
        assert (found.code, found.field, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, field, reason)


async def test_one_string_may_name_several_targets(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        request = pb.GetCountsRequest(targets=["messages/1,messages/2", "posts/3"])
        answer = await counter.mesh.call(GET, request.SerializeToString(), user="alice")
        rows = pb.GetCountsResponse.FromString(answer).counts
        assert [row.target for row in rows] == ["messages/1", "messages/2", "posts/3"]


async def test_a_user_reads_the_own_tenant_only_for_any_request(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.append([crowd.toggle(("acme", "messages/0"), "eve", "👍"), crowd.toggle(KEYS[0], "bob", "❤")])
        await counter.get([KEYS[0], ("acme", "messages/0")], [1, 1])
        request = pb.GetCountsRequest(targets=["messages/0"], tenants=["acme"])
        answer = await counter.mesh.call(GET, request.SerializeToString(), user="bob", tenant="default")
        assert pb.GetCountsResponse.FromString(answer).counts[0].reactions[0].emoji == "❤"
        one = pb.GetReactionCountsRequest(target="messages/0")
        answer = await counter.mesh.call(GET_ONE, one.SerializeToString(), user="eve", tenant="acme")
        assert pb.GetReactionCountsResponse.FromString(answer).reactions[0].emoji == "👍"


async def test_a_service_without_the_scope_reads_in_its_own_tenant_only(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter, grpc.aio.insecure_channel(counter.address) as channel:
        for scopes, method, request in (
            (("act-as",), GET, pb.GetCountsRequest(targets=["messages/0"], tenants=["acme"])),
            (("act-as", "audit"), REBUILD, pb.RebuildRequest(targets=["messages/0"], tenant="acme")),
            (("act-as", "audit"), REBUILD, pb.RebuildRequest()),
        ):
            token = counter.keys.minter().mint_service("narrow", scopes)
            call: Any = channel.unary_unary(method)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(request.SerializeToString(), metadata=(("authorization", f"Bearer {token}"),))
            assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
            assert "may not call this method" not in str(caught.value.details())


async def test_memory_has_a_bounded_number_of_targets(tmp_path: Path, crowd: Crowd) -> None:
    small = Config(targets_in_memory=2_000, drift_seconds=0)
    many: list[TargetKey] = [("default", f"posts/{n}") for n in range(6_000)]
    async with counter_stack(tmp_path, crowd, small) as counter:
        for start in range(0, len(many), 500):
            await crowd.append([crowd.toggle(key, "alice", "👍") for key in many[start : start + 500]])
        for start in range(0, len(many), 1_000):
            await counter.assert_exact(many[start : start + 1_000])

        async def bounded() -> bool:
            return (REGISTRY.get_sample_value("plaudit_counter_targets_in_memory") or 0) <= 2_000

        await eventually(bounded)
