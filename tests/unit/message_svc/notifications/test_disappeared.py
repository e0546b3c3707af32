"""Members are not notified of what has disappeared, and of what is read late only where the tables still have it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from message_svc.actions import Delete, HideBefore, SetMembership, SetRetention
from tests.unit.message_svc.notifications.notifying import ACK_SECONDS, Notifying, notifying


@pytest.fixture(name="on")
async def fixture_on(tmp_path: Path) -> AsyncIterator[Notifying]:
    async with notifying(tmp_path) as on:
        yield on


@pytest.mark.parametrize("connected", [set(), {"bob"}], ids=["absent", "connected"])
async def test_a_message_that_has_disappeared_is_not_notified(on: Notifying, connected: set[str]) -> None:
    on.sessions.connected = connected
    group = await on.engine.group("alice", "bob")
    await on.engine.do(group, "alice", SetRetention(5), "r")
    hidden = await on.send(group, "alice", "hidden")
    await on.engine.do(group, "", HideBefore(hidden.seq + 1, 5, 0))
    await on.send(group, "alice", "seen")
    await on.read_all()
    assert await on.published() == ([] if connected else [("bob", "seen", "no_session")])
    await on.send(group, "alice", "late")
    on.clock.advance(5.0)  # the boundary has not moved yet
    await on.read_all()
    await on.pass_time(ACK_SECONDS + 1)
    assert await on.published() == []


@pytest.mark.parametrize("kind", ["muted", "deleted", "hidden"])
async def test_a_message_that_is_read_late_is_not_notified_where_the_tables_say_so(on: Notifying, kind: str) -> None:
    group = await on.engine.group("alice", "bob")
    await on.engine.do(group, "alice", SetRetention(60), "r")
    sent = await on.send(group, "alice", "hi")
    on.clock.advance(3.0)
    await on.read_all()
    # The entries that follow are not read yet.
    if kind == "muted":
        await on.engine.do(group, "bob", SetMembership(mute_until_ms=int(on.clock.now() * 1000) + 60_000))
    elif kind == "deleted":
        await on.engine.do(group, "alice", Delete(sent.seq), "d")
    else:
        await on.engine.do(group, "", HideBefore(sent.seq + 1, 60, 0))
    await on.pass_time(1.0)
    assert (await on.published(), len(on.timers)) == ([], 0)
