"""A watch sends the current counts, then the changes, and ends in a known way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from counter_svc.config import Config
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc as pb_grpc
from tests.flows.counting.counter_system import KEYS, counter_stack, fixture_crowd, fixture_log
from tests.flows.crowd import Crowd, eventually

__all__ = ["fixture_crowd", "fixture_log"]


async def test_a_watch_sends_all_targets_then_changes_and_never_an_older_version(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter, grpc.aio.insecure_channel(counter.address) as channel:
        await crowd.act(KEYS, 30)
        await counter.assert_exact()
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        watch: Any = pb_grpc.CounterServiceStub(channel).WatchCounts(
            pb.WatchCountsRequest(targets=[target for _, target in KEYS]), metadata=bearer, timeout=20
        )
        seen: dict[str, int] = {}
        first = await watch.read()
        assert [row.target for row in first.counts] == [target for _, target in KEYS]
        for _ in range(20):
            await crowd.act(KEYS, 5)
        latest = {row.target: row for row in first.counts}
        while any(latest[key[1]].version < crowd.versions[key] for key in KEYS):
            for row in (await watch.read()).counts:
                assert row.version > seen.get(row.target, 0)
                seen[row.target] = row.version
                latest[row.target] = row
        for key in KEYS:
            row = latest[key[1]]
            assert (row.version, {one.emoji: one.count for one in row.reactions}) == crowd.truth(key)
        watch.cancel()


async def test_a_watch_ends_with_unavailable_when_the_counter_drains(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        channel = grpc.aio.insecure_channel(counter.address)
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        watch: Any = pb_grpc.CounterServiceStub(channel).WatchCounts(
            pb.WatchCountsRequest(targets=["messages/1"]), metadata=bearer, timeout=20
        )
        assert (await watch.read()).counts
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch.read()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    await channel.close()


async def test_watches_above_the_limit_are_refused_until_one_ends(tmp_path: Path, crowd: Crowd) -> None:
    config = Config(max_watchers=1, drift_seconds=0)
    async with counter_stack(tmp_path, crowd, config) as counter, grpc.aio.insecure_channel(counter.address) as channel:
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        stub: Any = pb_grpc.CounterServiceStub(channel)
        request = pb.WatchCountsRequest(targets=["messages/1"])
        first = stub.WatchCounts(request, metadata=bearer, timeout=20)
        assert (await first.read()).counts
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.WatchCounts(request, metadata=bearer, timeout=20).read()
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()

        async def room() -> bool:
            try:
                return bool((await stub.WatchCounts(request, metadata=bearer, timeout=20).read()).counts)
            except grpc.aio.AioRpcError:
                return False

        await eventually(room)
