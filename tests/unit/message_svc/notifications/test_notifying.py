"""Members are notified of what has not reached them: at once, or when the time for their acknowledgement is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.errors import Unavailable
from message_svc.actions import AddMembers, Convert, Delete, Edit, Join, MarkDelivered, MarkRead, RemoveMember
from tests.unit.message_svc.notifications.notifying import ACK_SECONDS, Notifying, notifying


@pytest.fixture(name="on")
async def fixture_on(tmp_path: Path) -> AsyncIterator[Notifying]:
    async with notifying(tmp_path) as on:
        yield on


async def test_absent_members_are_notified_immediately_and_connected_ones_later(on: Notifying) -> None:
    on.sessions.connected = {"bob"}
    group = await on.engine.group("alice", "bob", "carol")
    await on.send(group, "alice", "hi")
    await on.read_all()
    (found,) = await on.records()
    assert (found.recipient_id, found.reason, found.sender_name) == ("carol", "no_session", "Alice A.")
    await on.pass_time(ACK_SECONDS - 0.1)
    assert await on.published() == []
    await on.pass_time(1.0)
    assert await on.published() == [("bob", "hi", "not_acked")]


async def test_sessions_are_requested_once_for_all_messages_that_are_read_together(on: Notifying) -> None:
    group = await on.engine.group("alice", "bob", "carol")
    for text in ("one", "two", "three"):
        await on.send(group, "alice", text)
    await on.read_all()
    assert on.sessions.questions == [{("acme", "bob"), ("acme", "carol")}]


@pytest.mark.parametrize("is_before", [True, False], ids=["read together", "read later"])
@pytest.mark.parametrize("kind", [MarkDelivered, MarkRead])
async def test_a_member_who_has_received_or_read_a_message_is_not_notified(
    on: Notifying, kind: type[MarkDelivered | MarkRead], is_before: bool
) -> None:
    on.sessions.connected = {"bob"}
    group = await on.engine.group("alice", "bob")
    seq = (await on.send(group, "alice", "hi")).seq
    if not is_before:
        await on.read_all()
        assert len(on.timers) == 1
    await on.engine.do(group, "bob", kind(seq))
    await on.read_all()
    assert len(on.timers) == 0
    await on.pass_time(ACK_SECONDS + 1)
    assert await on.published() == []


async def test_the_tables_are_read_again_when_the_time_is_over(on: Notifying) -> None:
    # The log may be behind: its reader waits for the engine, say.
    on.sessions.connected = {"bob"}
    group = await on.engine.group("alice", "bob")
    seq = (await on.send(group, "alice", "hi")).seq
    await on.read_all()
    await on.engine.do(group, "bob", MarkDelivered(seq))
    await on.pass_time(ACK_SECONDS + 1)
    assert (await on.published(), len(on.timers)) == ([], 0)


async def test_a_later_notification_has_the_text_of_the_last_edit_and_none_of_a_deleted_message(on: Notifying) -> None:
    on.sessions.connected = {"bob"}
    group = await on.engine.group("alice", "bob")
    edited = await on.send(group, "alice", "hj")
    deleted = await on.send(group, "alice", "sorry")
    await on.read_all()
    await on.engine.do(group, "alice", Edit(edited.seq, "hi"), "e")
    await on.engine.do(group, "alice", Delete(deleted.seq), "d")
    await on.pass_time(ACK_SECONDS + 1)
    assert await on.published() == [("bob", "hi", "not_acked")]


async def test_members_of_the_time_of_a_message_are_notified(on: Notifying) -> None:
    group = await on.engine.group("alice", "bob")
    await on.send(group, "alice", "one")
    await on.read_all()
    await on.engine.do(group, "alice", AddMembers(("carol",)), "a")
    await on.send(group, "alice", "two")
    await on.engine.do(group, "alice", RemoveMember("bob"), "r")
    await on.read_all()
    on.clock.advance(2.0)
    await on.send(group, "alice", "three")
    await on.read_all()
    assert await on.published() == [
        ("bob", "one", "no_session"), ("carol", "two", "no_session"), ("carol", "three", "no_session"),
    ]  # fmt: skip


async def test_a_channel_notifies_of_mentions_only(on: Notifying) -> None:
    channel = await on.engine.group("alice", "bob")
    await on.engine.do(channel, "alice", Convert(), "c")
    await on.engine.do(channel, "dave", Join(), "j")
    await on.send(channel, "alice", "to all")
    await on.send(channel, "alice", "to some", "dave", "eve", "alice")
    await on.read_all()
    assert await on.published() == [("dave", "to some", "no_session")]


async def test_a_name_that_cannot_be_read_delays_no_notification(on: Notifying) -> None:
    on.names.is_available = False
    await on.send(await on.engine.group("alice", "bob"), "alice", "hi")
    await on.read_all()
    assert [one.sender_name for one in await on.records()] == ["alice"]


async def test_while_the_topic_is_unavailable_no_notification_is_lost_or_finished(on: Notifying) -> None:
    on.sessions.connected = {"bob"}
    group = await on.engine.group("alice", "bob", "carol")
    await on.send(group, "alice", "hi")
    before = on.finished
    on.log.fails = True
    with pytest.raises(Unavailable):
        await on.read_all()
    assert on.finished == before
    on.log.fails = False
    await on.read_all()
    assert await on.published() == [("carol", "hi", "no_session")]
    on.log.fails = True
    await on.pass_time(ACK_SECONDS + 1)
    end = on.consumer.position
    assert (len(on.timers), on.finished) == (1, end - 1)
    on.log.fails = False
    await on.pass_time(2.0)
    assert await on.published() == [("bob", "hi", "not_acked")]
    assert on.finished == end


async def test_after_a_crash_waits_begin_again_and_end_at_their_time(on: Notifying) -> None:
    on.sessions.connected = {"bob"}
    group = await on.engine.group("alice", "bob", "carol")
    await on.send(group, "alice", "hi")
    await on.read_all()
    first = await on.records()
    saved = on.finished
    assert saved < on.consumer.position
    await on.pass_time(5.0)
    on.start(saved)
    await on.read_all()
    await on.pass_time(0.6)  # of a late message the tables decide
    # At least once: the repeated record has the key of the first one.
    assert [one.idempotency_key for one in await on.records()] == [one.idempotency_key for one in first]
    await on.pass_time(1.4)
    assert await on.published() == []
    await on.pass_time(2.0)
    assert await on.published() == [("bob", "hi", "not_acked")]
    on.start(on.finished)
    await on.read_all()
    await on.pass_time(ACK_SECONDS + 1)
    assert await on.published() == []


async def test_messages_above_the_limit_are_considered_when_others_have_ended(tmp_path: Path) -> None:
    async with notifying(tmp_path, pending_acks=2) as on:
        on.sessions.connected = {"bob"}
        texts = [f"{number}" for number in range(5)]
        for text in texts:
            await on.send(await on.engine.group("alice", "bob", op_id=text), "alice", text)
        reading = asyncio.create_task(on.read_all())
        found: list[str] = []
        async with asyncio.timeout(10):
            while not reading.done() or len(on.timers):
                await asyncio.sleep(0)
                assert len(on.timers) <= 2
                await on.pass_time(0.5)
                found += [text for _, text, _ in await on.published()]
        await reading
        assert sorted(found) == texts


async def test_many_conversations_are_followed_with_few_members_in_memory(on: Notifying) -> None:
    on.sessions.connected = {"bob"}
    groups = [await on.engine.group("alice", "bob", f"user-{number}", op_id=f"g{number}") for number in range(10)]
    for text in ("one", "two"):
        for number, group in enumerate(groups):
            await on.send(group, "alice", f"{text}-{number}")
            await on.read_all()
        on.clock.advance(1.0)
    assert len(await on.published()) == 20
    assert len(on.timers) == 20


async def test_many_messages_of_a_moment_are_one_notification_with_their_number(on: Notifying) -> None:
    on.sessions.connected = {"bob"}
    group = await on.engine.group("alice", "bob", "carol")
    for number in range(10):
        await on.send(group, "alice", f"first-{number}")
    await on.read_all()
    (found,) = await on.records()
    assert (found.recipient_id, found.snippet, found.unread_count) == ("carol", "first-9", 10)
    # An absent member is notified again after a second, of the newest message.
    for number in range(10):
        await on.send(group, "alice", f"then-{number}")
        await on.read_all()
    assert await on.records() == []
    await on.pass_time(2.0)
    (found,) = await on.records()
    assert (found.recipient_id, found.snippet, found.unread_count) == ("carol", "then-9", 20)
    assert found.reason == "no_session"
    await on.pass_time(ACK_SECONDS)
    (found,) = await on.records()
    assert (found.recipient_id, found.snippet, found.unread_count) == ("bob", "then-9", 20)


async def test_a_mention_among_many_messages_has_a_notification_of_its_own(on: Notifying) -> None:
    group = await on.engine.group("alice", "bob")
    await on.send(group, "alice", "one")
    await on.send(group, "alice", "two", "bob")
    await on.send(group, "alice", "three")
    await on.read_all()
    assert [(one.snippet, one.mentioned) for one in await on.records()] == [("two", True), ("three", False)]


async def test_a_deleted_message_does_not_hide_the_ones_before_it(on: Notifying) -> None:
    on.sessions.connected = {"bob"}
    group = await on.engine.group("alice", "bob", "carol")
    for text in ("one", "two", "oops"):
        seq = (await on.send(group, "alice", text)).seq
    await on.engine.do(group, "alice", Delete(seq), "d")
    await on.read_all()
    assert await on.published() == [("carol", "two", "no_session")]
    seq = (await on.send(group, "alice", "later")).seq
    await on.read_all()
    await on.engine.do(group, "alice", Delete(seq), "e")
    await on.pass_time(ACK_SECONDS + 1)
    # Of the same message again: a repeated notification, with the key of the first one.
    assert sorted(await on.published()) == [("bob", "two", "not_acked"), ("carol", "two", "no_session")]
