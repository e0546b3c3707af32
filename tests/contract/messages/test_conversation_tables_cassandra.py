"""The tables of conversations in Cassandra: rows written in any order and repeatedly, in many partitions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from kit.adapters.cassandra.engine import Cassandra
from kit.message_ids import direct_id, group_id
from kit.tenant_keys import TargetKey
from message_svc.actions import (
    Action,
    AddMembers,
    Delete,
    Edit,
    MarkDelivered,
    MarkRead,
    PinMessage,
    RemoveMember,
    Send,
    SetDraft,
    SetMembership,
    UnpinMessage,
    Update,
)
from message_svc.adapters.cassandra_reads import CassandraReads, open_cassandra_reads
from message_svc.adapters.cassandra_rows import BUCKET_ITEMS
from message_svc.adapters.cassandra_tables import CassandraTables, open_cassandra_tables
from message_svc.codec.entries import EntryCodec
from message_svc.commands import Command
from message_svc.domain import Body, ConversationChange, Head, Item, ItemType, Kind, Member, Role, Span
from message_svc.model.model import ModelLimits
from message_svc.model.state import LoadRequest, writes_of
from message_svc.ports import ListPosition, View
from tests.contract.messages.cassandra_conversations import fixture_keyspace, fixture_session
from tests.unit.message_svc.shards import TENANT, Shard

__all__ = ["fixture_keyspace", "fixture_session"]
USERS = ("ann", "bob", "cid", "dan")


@pytest.fixture(name="tables")
async def fixture_tables(session: Cassandra) -> CassandraTables:
    return await open_cassandra_tables(session)


@pytest.fixture(name="reads")
async def fixture_reads(session: Cassandra) -> CassandraReads:
    return await open_cassandra_reads(session)


def random_action(rng: random.Random, last_seq: int) -> Action:
    # Often a message that is sent in the same entry.
    seq, user = rng.randint(max(1, last_seq - 6), last_seq + 3), rng.choice(USERS)
    actions: list[Action] = [
        Send(Body(rng.choice("xyz"), mentions=("ann",))), Send(Body(rng.choice("xyz"))), Send(Body("")),
        Edit(seq, rng.choice("abc"), ("bob",)), Edit(seq, "", (), (("a", "b"),)), Delete(seq), MarkRead(seq),
        MarkDelivered(seq, "phone"), AddMembers((user,)), RemoveMember(user), Update(rng.choice("AB"), None),
        PinMessage(seq), UnpinMessage(seq),
        SetDraft(rng.choice("xyz")), SetDraft(""), Send(Body("d"), clear_draft=True),
        SetMembership(5, True), SetMembership(archived=True), SetMembership(marked_unread=True),
    ]  # fmt: skip
    return rng.choice(actions)


def random_walk(seed: int) -> tuple[Shard, list[TargetKey]]:
    """A shard in which many commands of three conversations are decided together, and their keys."""
    rng, shard = random.Random(seed), Shard(ModelLimits(weight=1_000))
    conversations = [shard.group(*USERS), shard.group("ann"), shard.direct("ann", "bob")]
    for _ in range(40):
        conversation_id = rng.choice(conversations)
        last_seq = shard.head(conversation_id).last_seq
        actions = [random_action(rng, last_seq) for _ in range(rng.randint(1, 8))]
        shard.execute(
            *(Command(TENANT, conversation_id, rng.choice(USERS), shard.new_op_id(), action) for action in actions)
        )
    return shard, [(TENANT, conversation_id) for conversation_id in conversations]


def changes_in(shard: Shard, entries: slice) -> list[ConversationChange]:
    codec = EntryCodec()
    return [change for entry in shard.entries[entries] for change in codec.decode(entry.payload, entry.stamp)]


@pytest.mark.parametrize("seed", range(3))
async def test_late_repeated_and_regrouped_writes_leave_the_last_state(
    tables: CassandraTables, reads: CassandraReads, seed: int
) -> None:
    shard, keys = random_walk(seed)
    rng, count = random.Random(seed), len(shard.entries)
    starts = list(range(0, count, 3)) * 2
    rng.shuffle(starts)
    for start in starts:
        await tables.write(0, writes_of(changes_in(shard, slice(start, start + rng.randint(3, 9)))))
    shard.write()
    operations = [name for name in shard.tables.operations if name[0] in keys]
    need = LoadRequest(
        keys,
        {key: [*USERS, "eve"] for key in keys},
        {key: range(1, 300) for key in keys},
        [*operations, (keys[0], "ann", "?")],
    )
    found, expected = await tables.load(0, need), shard.tables.find(need)
    assert found.members == expected.members
    assert found.items == expected.items
    assert found.operations == expected.operations
    for key in keys:
        assert found.conversations[key].head == expected.conversations[key].head
        rows = sorted(found.conversations[key].members)
        assert rows == sorted(expected.conversations[key].members)
        view = View(0, key, expected.conversations[key].head or HEAD, rows[0])
        items = await reads.items(view, Span(1, view.head.last_seq), 1_000)
        assert [row.item.seq for row in items] == list(range(1, view.head.last_seq + 1))
        for row in items:
            if row.item.type is ItemType.MESSAGE:
                _, body, edit_ms, delete_ms, deleted_by = shard.tables.messages[key][row.item.seq]
                assert row[1:] == (edit_ms, delete_ms, deleted_by)
                assert row.item.body is not None
                assert row.item.body.content == (body.content if body else "")
                assert row.item.body.mentions == (body.mentions if body else ())
                assert row.item.body.metadata == (body.metadata if body else ())


HEAD = Head(Kind.GROUP, "Team", "", "ann", 1, 1, 0)
MEMBER = Member("ann", Role.ADMIN, 1, (Span(1),))


def conversation(key: TargetKey, items: Sequence[Item]) -> View:
    last = items[-1]
    head = HEAD._replace(last_seq=last.seq, ordinal=last.ordinal, last_message_seq=last.seq, members=1, stamp=1_000)
    return View(0, key, head, MEMBER)


async def test_pages_of_history_continue_in_the_next_partition(tables: CassandraTables, reads: CassandraReads) -> None:
    key = (TENANT, group_id(TENANT, "ann", "long"))
    # The messages are on both sides of a partition in which there is none.
    seqs = [*range(BUCKET_ITEMS - 3, BUCKET_ITEMS), *range(2 * BUCKET_ITEMS, 2 * BUCKET_ITEMS + 4)]
    items = [
        Item(seq, ItemType.MESSAGE, "ann", seq, number + 1, body=Body(f"{seq}")) for number, seq in enumerate(seqs)
    ]
    edits = [Item(BUCKET_ITEMS + 1, ItemType.EDIT, "ann", 1, 3, subject=seqs[0], body=Body("edited"))]
    view = conversation(key, items)
    await tables.write(0, writes_of([ConversationChange(key, view.head, [*items, *edits], {"ann": MEMBER}, [])]))
    whole = Span(1, view.head.last_seq)

    async def messages(span: Span, limit: int, *, from_end: bool) -> list[int]:
        return [row.item.seq for row in await reads.messages(view, span, limit, from_end=from_end)]

    assert await messages(whole, 5, from_end=True) == seqs[-5:]
    assert await messages(whole, 5, from_end=False) == seqs[:5]
    assert await messages(Span(1, seqs[3] - 1), 5, from_end=True) == seqs[:3]
    assert await messages(whole, 100, from_end=True) == seqs
    every = [row.item.seq for row in await reads.items(view, whole, 100)]
    assert every == [*seqs[:3], BUCKET_ITEMS + 1, *seqs[3:]]
    single = await reads.find_items(view, [seqs[0], seqs[-1], 17])
    assert {seq: row.item.body for seq, row in single.items()} == {
        seqs[0]: Body("edited"),
        seqs[-1]: Body(f"{seqs[-1]}"),
    }


class CountingSession:
    """Counts the statements that are read; each names one partition."""

    def __init__(self, session: Cassandra) -> None:
        self._session = session
        self.statements = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def rows(self, statement: Any, parameters: Sequence[Any] = (), **options: Any) -> list[Any]:
        self.statements += 1
        return await self._session.rows(statement, parameters, **options)


async def test_a_page_of_history_is_one_partition(session: Cassandra, tables: CassandraTables) -> None:
    counting: Any = CountingSession(session)
    reads = await open_cassandra_reads(counting)
    key = (TENANT, group_id(TENANT, "ann", "traced"))
    items = [Item(seq, ItemType.MESSAGE, "ann", seq, seq, body=Body("x")) for seq in range(1, 500)]
    view = conversation(key, items)
    await tables.write(0, writes_of([ConversationChange(key, view.head, items, {"ann": MEMBER}, [])]))
    for before in (500, 250):
        counting.statements = 0
        assert len(await reads.messages(view, Span(1, before - 1), 50, from_end=True)) == 50
        assert counting.statements == 1
    counting.statements = 0
    assert (await reads.view(*key, "ann")) is not None
    assert counting.statements == 1


async def test_a_page_of_the_list_reads_the_conversations_of_the_page(
    session: Cassandra, tables: CassandraTables
) -> None:
    counting: Any = CountingSession(session)
    reads = await open_cassandra_reads(counting)
    changes = []
    for number in range(50):
        key = (TENANT, group_id(TENANT, "ann", f"{number}"))
        head = HEAD._replace(last_seq=1, update_ms=1_000 + number, members=1, stamp=1_000)
        changes.append(ConversationChange(key, head, [], {"ann": MEMBER}, []))
    await tables.write(0, writes_of(changes))
    counting.statements = 0
    page = await reads.list(TENANT, "ann", None, 10)
    assert [view.head.update_ms for view in page] == list(range(1_049, 1_039, -1))
    assert counting.statements == 2  # the partition of the user, and the ten conversations
    after = ListPosition(False, page[-1].head.update_ms, page[-1].ref)
    assert [view.head.update_ms for view in await reads.list(TENANT, "ann", after, 2)] == [1_039, 1_038]


async def test_batches_of_the_largest_messages_are_accepted(tables: CassandraTables, reads: CassandraReads) -> None:
    key = (TENANT, direct_id(TENANT, "ann", "bob"))
    body = Body("x" * 16_384, metadata=(("a", "\0" * 4_000),))
    items = [Item(seq, ItemType.MESSAGE, "ann", seq, seq, body=body) for seq in range(1, 801)]
    view = conversation(key, items)
    await tables.write(0, writes_of([ConversationChange(key, view.head, items, {"ann": MEMBER}, [])]))
    assert len(await reads.messages(view, Span(1, 800), 200, from_end=True)) == 200
