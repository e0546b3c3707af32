"""The same system in several processes: services apart, gateways side by side on one port or on their own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from plaudit_client import Client, PlauditError, connect
from tests.running import ROOT, Stack

SERVICES = "session_registry,reaction_svc,counter_svc,fanout_svc"


@pytest.fixture(name="apart")
def fixture_apart(tmp_path: Path) -> Iterator[tuple[Stack, Stack]]:
    """Two gateways, each a process, before one process with all services."""
    data = tmp_path / "data"
    with Stack(data, SERVICES=SERVICES) as services:
        registry = {"SERVICES": "gateway", "REGISTRY": services.grpc_address}
        with Stack(data, **registry) as one, Stack(data, **registry) as other:
            yield one, other


async def shown(client: Client, target: str, people: int) -> None:
    """Returns once the client has been shown so many reactions."""
    async with client.subscribe(target) as updates:
        async for update in updates:
            if sum(update.reactions.values()) == people:
                return


async def test_a_toggle_at_one_gateway_is_pushed_at_the_other(apart: tuple[Stack, Stack]) -> None:
    one, other = apart
    async with (
        connect(one.ws_url, one.token("alice")) as alice,
        connect(other.ws_url, other.token("bob")) as bob,
        asyncio.timeout(10),
    ):
        watching = asyncio.create_task(shown(bob, "messages/apart", 1))
        outcome = await alice.toggle("messages/apart", "👍")
        assert outcome.reactions == {"👍": 1}
        await watching


async def test_a_device_that_logs_in_at_another_gateway_is_closed_at_the_first(apart: tuple[Stack, Stack]) -> None:
    one, other = apart
    async with (
        connect(one.ws_url, one.token("carol"), device="phone") as first,
        first.subscribe("messages/fenced") as updates,
        connect(other.ws_url, other.token("carol"), device="phone") as second,
        asyncio.timeout(10),
    ):
        with pytest.raises(PlauditError) as caught:
            _ = [update async for update in updates]
        assert caught.value.reason == "REPLACED"
        assert (await second.toggle("messages/fenced", "👍")).on


async def test_workers_share_one_port_and_end_with_the_first(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", WORKERS="2") as stack:
        async with AsyncExitStack() as opened, asyncio.timeout(30):
            guests: dict[str, Client] = {}
            while len(guests) < 2:  # the kernel spreads connections as it likes
                guest = await opened.enter_async_context(connect(stack.ws_url, stack.token("guest")))
                guests[guest.node] = guest
            watching = [asyncio.create_task(shown(guest, "messages/workers", 1)) for guest in guests.values()]
            await guest.toggle("messages/workers", "🎉")
            await asyncio.gather(*watching)
        assert stack.stop() == 0
        # No process uses the port any more, so it can be bound at once.
        stack.restart()


async def test_tail_prints_the_pushes_of_a_client(shared_stack: Stack) -> None:
    tail = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stack.cli", "tail", "messages/tailed", "--json"),
        env=shared_stack.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert tail.stdout is not None
        async with asyncio.timeout(20):
            empty = json.loads(await tail.stdout.readline())
            assert (empty["topic"], empty["reactions"]) == ("messages/tailed", [])
            await asyncio.to_thread(shared_stack.run, "react", "messages/tailed", "👍")
            assert json.loads(await tail.stdout.readline())["reactions"] == [{"emoji": "👍", "count": 1}]
    finally:
        tail.kill()
        await tail.wait()
