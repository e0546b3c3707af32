"""The whole system killed under heavy load, and started again on its data."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.counter.v1 import counter_service_pb2_grpc as counter_grpc
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as pb
from plaudit_client import Client, Options, Update, connect
from tests.flows.stops.loads import Load, RepeatingUser, Toggle, after, reached, running
from tests.running import Stack

TARGETS = [f"messages/m{n}" for n in range(60)] + [f"posts/p{n}" for n in range(20)]
RATE = 5_600  # offered a second, so that about 5,000 are made on two busy cores
KILLS = 2


class Watcher:
    """Reads every target all the time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.last: dict[str, Update] = {}
        self.updates = 0
        self.changed = asyncio.Event()

    async def run(self) -> None:
        async for update in self._client.subscribe(*TARGETS):
            before = self.last.get(update.topic)
            assert before is None or before.version < update.version, "a version went back"
            self.last[update.topic] = update
            self.updates += 1
            self.changed.set()

    async def reaches(self, versions: dict[str, int], seconds: float) -> None:
        """Waits until every target is shown at its version or a later one."""
        async with asyncio.timeout(seconds):
            while any(target not in self.last or self.last[target].version < versions[target] for target in versions):
                self.changed.clear()
                await self.changed.wait()


async def tallied(stack: Stack) -> dict[str, tuple[int, dict[str, int]]]:
    """Version and counts of every target's records."""
    metadata = (("authorization", f"Bearer {stack.service_token()}"),)
    found: dict[str, tuple[int, dict[str, int]]] = {}
    async with grpc.aio.insecure_channel(stack.grpc_address) as channel:
        stub: Any = pb_grpc.ReactionServiceStub(channel)
        page = pb.TallyReactionsRequest(page_size=50)
        while True:
            answer = await stub.TallyReactions(page, metadata=metadata, timeout=20)
            for tally in answer.tallies:
                counts = {one.emoji: one.count for one in tally.counts.reactions}
                found[tally.counts.target] = (tally.counts.version, counts)
            if not answer.next_page_token:
                return found
            page.page_token = answer.next_page_token


async def folded(stack: Stack, versions: dict[str, int]) -> dict[str, tuple[int, dict[str, int]]]:
    """Version and counts of every target as counter_svc answers them, at these versions at least."""
    metadata = (("authorization", f"Bearer {stack.service_token()}"), ("plaudit-user", "auditor"))
    request = counter_pb.GetCountsRequest(targets=list(versions), min_versions=list(versions.values()))
    async with grpc.aio.insecure_channel(stack.grpc_address) as channel:
        stub: Any = counter_grpc.CounterServiceStub(channel)
        answer = await stub.GetCounts(request, metadata=metadata, timeout=20)
    return {one.target: (one.version, {each.emoji: each.count for each in one.reactions}) for one in answer.counts}


@pytest.mark.timeout(240)
async def test_no_acknowledged_change_is_lost_or_doubled_by_kills_under_load(stack: Stack) -> None:
    loads = [
        Load(stack.grpc_address, stack.service_token(), TARGETS, 2_000, rate=RATE // 2, batch=100, seed=seed)
        for seed in (1, 2)
    ]
    options = Options(backoff_ceiling=0.5)
    finishing = asyncio.Event()
    async with AsyncExitStack() as opened:
        clients = [
            await opened.enter_async_context(connect(stack.ws_url, stack.token(f"person-{n}"), options=options))
            for n in range(5)
        ]
        watcher, users = Watcher(clients[0]), [RepeatingUser(client, TARGETS) for client in clients[1:]]
        watching = await opened.enter_async_context(running(watcher.run()))
        working = await opened.enter_async_context(
            running(*(load.run() for load in loads), *(user.run(finishing) for user in users))
        )

        def acked() -> int:
            return sum(len(load.toggles) for load in loads)

        rates: list[int] = []
        for _ in range(KILLS):
            enough = acked() + 3 * RATE
            started, before = time.monotonic(), acked()
            await reached(
                [*working, *watching],
                # Killed in the middle of an answer, not between two.
                lambda enough=enough: acked() >= enough and any(load.in_flight for load in loads),  # type: ignore[misc]
                60,
            )
            rates.append(round((acked() - before) / (time.monotonic() - started)))
            stack.kill()
            await asyncio.to_thread(stack.restart)
        enough = acked() + RATE
        by_hand = [len(user.toggles) for user in users]
        await reached(
            [*working, *watching],
            lambda: (
                acked() >= enough and all(len(user.toggles) > count for user, count in zip(users, by_hand, strict=True))
            ),
            60,
        )
        for load in loads:
            load.finish()
        finishing.set()
        await asyncio.wait_for(asyncio.gather(*working), 60)

        toggles = [toggle for load in loads for toggle in load.toggles] + [
            toggle for user in users for toggle in user.toggles
        ]
        assert len({(toggle.target, toggle.op_id) for toggle in toggles}) == len(toggles)
        expected = {target: dict(counts) for target, counts in after(toggles).items()}
        versions = {target: max(toggle.version for toggle in toggles if toggle.target == target) for target in expected}
        assert sorted(expected) == sorted(TARGETS)
        truth = {target: (versions[target], expected[target]) for target in expected}
        assert await tallied(stack) == truth
        assert await folded(stack, versions) == truth
        await watcher.reaches(versions, 10)
        shown = {target: (update.version, dict(update.reactions)) for target, update in watcher.last.items()}
        assert shown == truth
    resent = sum(load.resent for load in loads)
    print(f"{len(toggles)} toggles, {resent} resent, {rates} a second before the kills, {watcher.updates} updates seen")
    assert resent > 0, "no toggle was in flight at a kill: the load was too light to prove much"


def test_the_model_detects_a_lost_a_doubled_and_a_reordered_toggle() -> None:
    def toggle(version: int, on: bool, emoji: str = "👍", target: str = "messages/1") -> Toggle:
        return Toggle("u", target, emoji, f"op-{version}", on, version)

    assert after([toggle(1, True), toggle(3, True), toggle(2, False)]) == {"messages/1": Counter({"👍": 1})}
    assert after([toggle(1, True, target="posts/1"), toggle(2, True, "❤", "posts/1")]) == {"posts/1": Counter({"❤": 1})}
    for wrong in (
        [toggle(1, True), toggle(2, True)],
        [toggle(1, False)],
        [toggle(1, True), toggle(1, True, "❤")],
        [toggle(1, True), toggle(2, False), toggle(3, False)],
    ):
        with pytest.raises(AssertionError):
            after(wrong)
