"""Which messages a device lacks, page by page, whatever the size of the group."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from kit.adapters.sqlite.file import connect
from kit.clock import ManualClock
from message_svc.actions import AddMembers, Delete, MarkDelivered, MarkRead, RemoveMember, Send
from message_svc.adapters.sqlite_tables import SQL
from message_svc.domain import Body
from message_svc.service import pending
from message_svc.service.pending import PendingMessages
from tests.contract.messages.conversation_engine import TENANT, Engine
from tests.contract.messages.test_conversation_store import sqlite_engine


@pytest.fixture(name="engine")
async def fixture_engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with sqlite_engine(tmp_path / "messages.db", ManualClock()) as engine:
        yield engine


async def pages(engine: Engine, user: str, device: str) -> list[tuple[str, int]]:
    """The conversation and number of each pending message, of all pages."""
    found, position = [], None
    while True:
        page = await PendingMessages(engine.reads).page(TENANT, user, device, position)
        found += [(name, row.item.seq) for name, row in page.messages]
        position = page.next
        if position is None:
            return found


async def test_a_page_continues_where_the_one_before_ended_also_while_messages_are_sent(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "_PAGE", 3)
    monkeypatch.setattr(pending, "_INBOX", 2)
    groups = [await engine.group("alice", "bob", op_id=f"g{number}") for number in range(5)]
    for group in groups:
        for _ in range(4):
            await engine.do(group, "alice", Send(Body("hi")))
    expected = [(group, seq) for group in groups for seq in range(2, 6)]
    assert await pages(engine, "bob", "phone") == expected
    first = await PendingMessages(engine.reads).page(TENANT, "bob", "phone", None)
    # A message changes the order of the list of conversations, but not of these pages.
    await engine.do(groups[0], "alice", Send(Body("new")))
    rest, position = [], first.next
    while position is not None:
        page = await PendingMessages(engine.reads).page(TENANT, "bob", "phone", position)
        rest += [(name, row.item.seq) for name, row in page.messages]
        position = page.next
    assert [(name, row.item.seq) for name, row in first.messages] + rest == sorted(
        [*expected, (groups[0], 6)], key=lambda one: (groups.index(one[0]), one[1])
    )


async def test_deleted_messages_and_those_of_former_memberships_are_left_out(engine: Engine) -> None:
    group = await engine.group("alice", "bob")
    for _ in range(3):
        await engine.do(group, "alice", Send(Body("hi")))
    await engine.do(group, "alice", Delete(3))
    assert [seq for _, seq in await pages(engine, "bob", "phone")] == [2, 4]
    await engine.do(group, "alice", RemoveMember("bob"))
    assert await pages(engine, "bob", "phone") == []
    joined = await engine.do(group, "alice", AddMembers(("bob",)))
    await engine.do(group, "alice", Send(Body("hi")))
    assert [seq for _, seq in await pages(engine, "bob", "phone")] == [joined.seq + 1]


async def test_a_group_that_grows_and_shrinks_around_a_hundred_members_keeps_order_and_unread(engine: Engine) -> None:
    rng = random.Random(7)
    group = await engine.group("alice", "bob", *(f"user-{number}" for number in range(97)))
    added: list[str] = []
    sent: list[int] = []
    read = 0
    for step in range(60):
        choice = rng.random()
        if choice < 0.3 and len(added) < 2:
            added.append(f"more-{step}")
            await engine.do(group, "alice", AddMembers((added[-1],)))
        elif choice < 0.5 and added:
            await engine.do(group, "alice", RemoveMember(added.pop()))
        elif choice < 0.6 and sent:
            await engine.do(group, "bob", MarkDelivered(rng.choice(sent), "phone"))
        elif choice < 0.7 and sent:
            read = max(read, rng.choice(sent))
            await engine.do(group, "bob", MarkRead(read))
        else:
            sent.append((await engine.do(group, "alice", Send(Body(str(step))))).seq)
        view = await engine.view(group, "bob")
        cursor = dict(view.member.devices).get("phone")
        lacking = max(view.member.delivered_seq, view.member.read_seq) if cursor is None else cursor
        assert [seq for _, seq in await pages(engine, "bob", "phone")] == [seq for seq in sent if seq > lacking]
        assert await engine.unread(group, "bob") == sum(seq > read for seq in sent)


async def test_the_inbox_reads_rows_of_the_user_alone_and_in_their_order(engine: Engine, tmp_path: Path) -> None:
    await engine.group("alice", "bob")
    with closing(connect(tmp_path / "messages.db")) as reading:
        rows = reading.execute(f"EXPLAIN QUERY PLAN {SQL['inbox']}", (TENANT, "bob", 0, 10)).fetchall()
    plan = [row[3] for row in rows]
    assert plan == [
        "SEARCH member USING INDEX member_user (user=? AND conversation>?)",
        "SEARCH conversation USING INTEGER PRIMARY KEY (rowid=?)",
    ]
