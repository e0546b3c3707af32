"""Counts that are read: as the caller's last change left them, also before the log brings it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from prometheus_client import REGISTRY

from counter_svc.domain import Totals
from kit.errors import RemoteError
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc as pb_grpc
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from tests.flows.counting.counter_system import KEYS, OTHER, UNCHECKED, counter_stack, fixture_crowd, fixture_log, knows
from tests.flows.crowd import Crowd, CrowdServicer, StalledLog, eventually
from tests.wire.registry.registering import status_in

__all__ = ["fixture_crowd", "fixture_log"]


async def test_a_user_reads_their_own_writes(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        for _ in range(20):
            await crowd.act(KEYS, 10)
            await counter.assert_exact()


async def test_a_version_missing_on_the_log_is_read_from_the_head(tmp_path: Path, crowd: Crowd) -> None:
    stalled = StalledLog(crowd.log, listening=True)
    async with counter_stack(tmp_path, crowd, UNCHECKED, log=stalled) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        stalled.listening.clear()
        before = heads_read()
        for _ in range(5):
            await crowd.act(KEYS, 50)
            await counter.assert_exact()
        assert heads_read() > before


def heads_read() -> float:
    return REGISTRY.get_sample_value("plaudit_counter_heads_read_total") or 0


async def test_a_version_on_the_log_is_answered_without_reading_the_head(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        before = heads_read()
        for _ in range(20):
            await crowd.act(KEYS, 10)
            await counter.assert_exact()
        assert heads_read() == before


async def test_a_head_that_was_read_does_not_hide_later_entries_of_the_log(tmp_path: Path, crowd: Crowd) -> None:
    slow = DelayedReactions(CrowdServicer(crowd))
    async with counter_stack(tmp_path, crowd, UNCHECKED, records=slow) as counter:
        await counter.get([OTHER])
        await crowd.append([crowd.toggle(KEYS[0], "alice", "👍")])
        slow.let_go.clear()
        cold = asyncio.create_task(counter.get([KEYS[1]]))
        await slow.asked.wait()
        changes = [crowd.toggle(KEYS[1], user, "❤") for user in ("alice", "bob")]
        await crowd.append(changes)
        assert (await counter.get([KEYS[1]], [2]))[KEYS[1]] == Totals(2, (("❤", 2),))
        slow.let_go.set()
        assert (await cold)[KEYS[1]].version in (0, 2)
        # What was read before the changes does not take their place.
        assert (await counter.get([KEYS[1]]))[KEYS[1]] == Totals(2, (("❤", 2),))


class DelayedReactions:
    """A reaction service that reads heads at once, and answers once it is let go."""

    def __init__(self, servicer: CrowdServicer) -> None:
        self._servicer = servicer
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servicer, name)

    async def BatchGetTargetCounts(self, request: Any, context: object) -> Any:
        answer = await self._servicer.BatchGetTargetCounts(request, context)
        self.asked.set()
        await self.let_go.wait()
        return answer


async def test_a_target_without_reactions_has_version_0(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        assert await counter.get(KEYS[:1]) == {KEYS[0]: Totals(0, ())}


async def test_a_version_that_does_not_arrive_is_refused_within_the_timeout(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 10)
        ready = asyncio.create_task(counter.get(KEYS))
        refused = await refusal(lambda timeout: counter.get(KEYS[:1], [10**15], timeout=timeout))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP")
        assert await ready
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        async with grpc.aio.insecure_channel(counter.address) as channel:
            stub: Any = pb_grpc.CounterServiceStub(channel)
            request = pb.GetReactionCountsRequest(target="messages/1", min_version=10**15)
            direct = await refusal(lambda timeout: stub.GetReactionCounts(request, timeout=timeout, metadata=bearer))
        assert (direct.code, direct.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP")


async def refusal(ask: Callable[[float], Awaitable[object]]) -> RemoteError:
    """The server's refusal of a call, which comes before the caller's timeout. The timeouts are shorter than the
    `wait_seconds` of the server; they grow, since a busy machine is slow, not wrong."""
    for timeout in (0.1, 0.2, 0.5, 1.0, 2.0, 4.0):
        try:
            await ask(timeout)
        except RemoteError as error:
            refused = error
        except grpc.aio.AioRpcError as error:
            refused = status_in(error)
        else:
            raise AssertionError("the call is not refused")
        if refused.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
            break
    return refused


async def test_a_counter_that_returns_does_not_answer_with_old_counts(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 100)
        await counter.assert_exact()
    await crowd.act(KEYS, 100)
    stalled = StalledLog(crowd.log)
    async with counter_stack(tmp_path, crowd, log=stalled) as counter:
        for _ in range(2):  # first lagging the log, then having read it
            found = await counter.get(KEYS)
            assert {key: value.version for key, value in found.items()} == {key: crowd.versions[key] for key in KEYS}
            stalled.listening.set()
            await crowd.act([OTHER], 1)
            await counter.get([OTHER], [crowd.versions[OTHER]])


async def test_without_the_reaction_service_only_targets_in_memory_are_answered(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(
        tmp_path, crowd, UNCHECKED, records=reaction_service_pb2_grpc.ReactionServiceServicer()
    ) as counter:
        await crowd.act(KEYS, 50)
        await eventually(partial(knows, counter, KEYS))
        await counter.assert_exact()
        refused = await refusal(lambda timeout: counter.get([OTHER], timeout=timeout))
        assert refused.code == grpc.StatusCode.UNAVAILABLE
