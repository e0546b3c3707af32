"""What the log of conversations changes in what is remembered of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kit.access.cache import AccessCache
from kit.access.domain import UserAccess
from kit.access.follower import TOPIC, AccessFollower
from kit.access.ports import Answer
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.event_log.ports import Log
from kit.tasks import background
from plaudit.event.v1 import message_events_pb2 as pb
from plaudit.message.v1 import change_pb2
from tests.unit.kit.access.conversations import KEY


@pytest.fixture(name="log")
async def fixture_log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_sqlite_log(tmp_path / "messages.db") as log:
        yield log


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what is waited for is seen from outside
            await asyncio.sleep(0.001)


def remember(cache: AccessCache) -> None:
    ticket = cache.begin()
    cache.put(ticket, {KEY: Answer({"alice": UserAccess(True, ((1, 0),), 10)}, {})}, 0.0)
    cache.end(ticket)


def entry(*types: int, hidden_before: int = 0) -> bytes:
    row = pb.ConversationChanged(tenant=KEY[0], conversation_id=KEY[1], items=[pb.LogItem(type=each) for each in types])
    row.hidden_before = hidden_before
    if not types:
        row.members.add(user_id="alice", read_seq=3)
    return pb.MessagesChanged(conversations=[row]).SerializeToString()


@pytest.mark.parametrize(
    ("payload", "is_dropped"),
    [
        (entry(change_pb2.CHANGE_TYPE_MEMBER_REMOVED), True),
        (entry(change_pb2.CHANGE_TYPE_MEMBER_LEFT), True),
        (entry(change_pb2.CHANGE_TYPE_MEMBERS_ADDED), True),
        (entry(change_pb2.CHANGE_TYPE_MESSAGE_SENT, change_pb2.CHANGE_TYPE_MESSAGE_DELETED), True),
        (entry(hidden_before=3), True),
        (entry(change_pb2.CHANGE_TYPE_MESSAGE_SENT, hidden_before=3), True),
        (b"\xff\xff not an entry", True),
        (entry(change_pb2.CHANGE_TYPE_MESSAGE_SENT), False),
        (entry(), False),
    ],
)
async def test_changes_of_members_and_deletions_drop_what_is_remembered(
    log: Log, payload: bytes, is_dropped: bool
) -> None:
    cache = AccessCache(100, 0.5)
    follower = AccessFollower(log, cache, seconds=5.0, blind_seconds=0.5)
    await log.append(TOPIC, "a/0/1", entry(change_pb2.CHANGE_TYPE_MEMBER_LEFT))
    async with background(follower.run()):
        await until(lambda: cache.seconds == 5.0)
        remember(cache)
        other = ("default", "conv_" + "0" * 26)
        ticket = cache.begin()
        cache.put(ticket, {other: Answer({"eve": UserAccess(True, ((1, 0),), 1)}, {})}, 0.0)
        cache.end(ticket)
        await log.append(TOPIC, "a/0/2", payload)
        marker = pb.ConversationChanged(tenant=other[0], conversation_id=other[1], hidden_before=1)
        await log.append(TOPIC, "a/0/3", pb.MessagesChanged(conversations=[marker]).SerializeToString())
        await until(lambda: cache.user(other, "eve", 1.0) is None)
        if payload[:1] != b"\xff":
            assert (cache.user(KEY, "alice", 1.0) is None) is is_dropped
        else:
            await until(lambda: len(cache) == 0)


async def test_without_the_log_nothing_is_kept_for_long(log: Log) -> None:
    cache = AccessCache(100, 0.5)
    follower = AccessFollower(log, cache, seconds=5.0, blind_seconds=0.5)
    task = asyncio.create_task(follower.run())
    await until(lambda: cache.seconds == 5.0)
    remember(cache)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (cache.seconds, len(cache)) == (0.5, 0)
