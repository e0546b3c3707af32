"""A stop during the work of all clients: they get goaway, no call fails, and all reconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from plaudit_client import Options, connect
from tests.flows.clients import new_target
from tests.flows.stops.loads import RepeatingUser, after, reached, running
from tests.running import Stack


@pytest.fixture(name="stack")
def fixture_stack(tmp_path: Path) -> Iterator[Stack]:
    """Clients reconnect within half a second after goaway, not ten: few clients need no spread."""
    with Stack(tmp_path / "data", GATEWAY__RECONNECT_SPREAD="0.5") as stack:
        yield stack


async def test_a_stop_and_a_start_fail_no_change_of_any_user(stack: Stack) -> None:
    targets = [new_target() for _ in range(5)] + [new_target("posts")]
    finishing = asyncio.Event()
    async with AsyncExitStack() as opened:
        clients = [
            await opened.enter_async_context(
                connect(stack.ws_url, stack.token(f"person-{n}"), options=Options(backoff_ceiling=0.2))
            )
            for n in range(8)
        ]
        first_sessions = {client.session for client in clients}
        users = [RepeatingUser(client, targets) for client in clients]
        working = await opened.enter_async_context(running(*(user.run(finishing) for user in users)))
        for _ in range(2):
            enough = [len(user.toggles) + 5 for user in users]
            await reached(
                working,
                lambda enough=enough: all(len(one.toggles) >= n for one, n in zip(users, enough, strict=True)),  # type: ignore[misc]
                30,
            )
            assert await asyncio.to_thread(stack.stop) == 0
            await asyncio.to_thread(stack.restart)
        enough = [len(user.toggles) + 5 for user in users]
        await reached(working, lambda: all(len(one.toggles) >= n for one, n in zip(users, enough, strict=True)), 30)
        finishing.set()
        await asyncio.wait_for(asyncio.gather(*working), 30)

        assert {client.session for client in clients} == first_sessions
        assert {client.verdict for client in clients} == {"complete"}
        toggles = [toggle for one in users for toggle in one.toggles]
        expected = {name: dict(counts) for name, counts in after(toggles).items()}
        newest = {
            name: max(toggle.version for one in users for toggle in one.toggles if toggle.target == name)
            for name in targets
        }
        found = await clients[0].counts(*targets, min_versions=newest)
        assert {one.target: dict(one.reactions) for one in found} == expected
