"""A partition is read on from where its notifications ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from message_svc.codec.entries import EntryCodec
from message_svc.codec.notifications import notification_to_pb
from message_svc.codec.recent_entries import RecentEntries
from message_svc.notifications.consumer import GROUP
from message_svc.notifications.consumer import TOPIC as MESSAGES
from message_svc.notifications.notifier import Logs, Notifier
from message_svc.notifications.publisher import TOPIC
from tests.unit.message_svc.notifications.notifying import Notifying, notifying


@asynccontextmanager
async def running(on: Notifying) -> AsyncIterator[None]:
    """The notifier of the one partition; its records are read with `on.published`."""
    logs = Logs(on.engine.log, on.log)  # type: ignore[arg-type]
    read = RecentEntries(EntryCodec()).read
    notifier = Notifier(logs, on.engine.reads, on.sessions, on.names, read, notification_to_pb, on.clock, on.config)
    async with notifier.of(0):
        yield


async def published(on: Notifying, records: int) -> list[str]:
    """The texts of so many notifications, once they are there."""
    async with asyncio.timeout(20):
        found: list[str] = []
        while len(found) < records:
            await on.log.wait(TOPIC, on.read_position)
            found += [text for _, text, _ in await on.published()]
    return found


async def test_a_partition_is_read_on_after_what_was_published(tmp_path: Path) -> None:
    async with notifying(tmp_path) as on:
        async with running(on):
            for text in ("one", "two"):
                await on.send(await on.engine.group("alice", "bob", op_id=text), "alice", text)
                assert await published(on, 1) == [text]
        await on.send(await on.engine.group("alice", "bob", op_id="3"), "alice", "three")
        async with running(on):
            # The stop may have come between the last record and the position after it.
            found = await published(on, 1)
            if "three" not in found:
                found += await published(on, 1)
            assert found in (["three"], ["two", "three"])


async def test_messages_before_the_first_start_cause_no_notification(tmp_path: Path) -> None:
    async with notifying(tmp_path) as on:
        await on.send(await on.engine.group("alice", "bob", op_id="1"), "alice", "old")
        async with running(on):
            # The first position is saved before anything is read, so that a crash skips nothing that follows.
            assert await on.log.committed(GROUP, MESSAGES) == (await on.engine.log.bounds(MESSAGES))[1]
            await on.send(await on.engine.group("alice", "bob", op_id="2"), "alice", "new")
            assert await published(on, 1) == ["new"]


async def test_the_saved_position_is_before_a_message_that_waits(tmp_path: Path) -> None:
    async with notifying(tmp_path) as on:
        on.sessions.connected = {"bob"}
        async with running(on):
            await on.send(await on.engine.group("alice", "bob", op_id="1"), "alice", "waits")
            await on.send(await on.engine.group("alice", "carol", op_id="2"), "alice", "at once")
            assert await published(on, 1) == ["at once"]
        on.sessions.connected = set()
        async with running(on):
            assert set(await published(on, 2)) == {"waits", "at once"}
